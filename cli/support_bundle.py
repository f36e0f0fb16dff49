"""`nanotape support-bundle`: what an engineer asks for, in one file."""

import os
import socket
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from nanotape.cli.options import ConfigFile, talk
from nanotape.config import DEFAULT_FILE, ConfigError, Settings, load


def support_bundle(
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Default: here, by host and time.")
    ] = None,
    config: ConfigFile = None,
) -> None:
    """Gather configuration, state, events, logs and facts of this host into one file. No payload, no secret."""
    from nanotape.capture.support.bundle import write_bundle
    from nanotape.capture.support.parts import parts_without_settings, support_parts
    from nanotape.storage.atomic_file import asked_for

    try:
        parts = support_parts(load(config) if config or DEFAULT_FILE.exists() else Settings(), config)
    except ConfigError as error:
        parts = parts_without_settings(config or DEFAULT_FILE, error)
        talk(f"{error}\nthe configuration does not load: gathering what can be had without it")
    name = f"nanotape-{socket.gethostname()}-{datetime.fromtimestamp(time.time(), UTC):%Y%m%dT%H%M%SZ}"
    target = output or Path(f"{name}.tar.gz")
    with asked_for(target) as file:
        with suppress(OSError):  # a pipe of somebody else's
            os.fchmod(file.fileno(), 0o600)
        gathered = write_bundle(parts, file, name)
    missing = [each for each in gathered if each.bytes is None]
    for each in missing:
        talk(f"without {each.name}: {each.reason}")
    count = len(gathered) - len(missing)
    talk(f"{target}: {count} files, {target.stat().st_size:,} bytes; look at it before you send it")
