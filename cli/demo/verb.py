"""The verb `demo`: its options, its output, its exit status."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from nanotape.cli.demo.report import report_text
from nanotape.cli.demo.story import DemoOptions, tell
from nanotape.cli.options import AsJson


def demo(
    seconds: Annotated[float, typer.Option("--seconds", min=1, max=600, help="How long the exchange sends.")] = 10,
    rate: Annotated[
        int | None,
        typer.Option(
            "--rate", min=1, help="Packets a second and line. Default: 50000 as root, 5000 without.", show_default=False
        ),
    ] = None,
    archive: Annotated[Path, typer.Option("--archive", metavar="DIR", help="Where the archive is left.")] = Path(
        "demo-archive"
    ),
    as_json: AsJson = False,
) -> None:
    """Capture a simulated exchange on this machine, kill parts of it, and account for every packet.

    As root: AF_XDP between two network namespaces, recorded by an unprivileged user.
    Without root: plain UDP on loopback.
    """
    verdict = tell(DemoOptions(seconds=seconds, rate=rate, archive=archive, quiet=as_json))
    sys.stdout.write((json.dumps(verdict.as_json()) if as_json else report_text(verdict)) + "\n")
    raise typer.Exit(0 if verdict.balanced else 1)
