"""`nanotape tune`: what `nanotape doctor` asks for, as files to review in a folder. Changes nothing itself."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from nanotape.capture.host.live import this_host
from nanotape.capture.host.table import examine
from nanotape.capture.host.tuning import tuning
from nanotape.capture.host.tuning_files import files, write_folder
from nanotape.cli.options import AsJson, ConfigFile, talk
from nanotape.config import DEFAULT_FILE, Settings, load


def tune(
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="Folder to write: a new or an empty one.")
    ],
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Write what doctor asks for as files to review: kernel command line, tuned profile, sysctl, scripts."""
    settings = load(config) if config or DEFAULT_FILE.exists() else Settings()
    host = this_host(settings, 0.0)
    found = tuning(host, examine(host))
    content = files(found, settings.host)
    write_folder(output, content)
    if as_json:
        left = [result.id for result in found.left]
        report = {"folder": str(output), "files": sorted(content), "answers": list(found.answers), "left": left}
        sys.stdout.write(json.dumps(report) + "\n")
        return
    talk(f"{output}: {len(content)} files for {len(found.answers)} checks; nothing was changed: begin with README.md")
    sys.stdout.write("".join(f"{output / name}\n" for name in sorted(content)))
