"""`nanotape capture`: captures into the ring only."""

from pathlib import Path
from typing import Annotated

import typer

from nanotape.capture.service import ServiceOptions
from nanotape.cli.options import AsJson, ConfigFile
from nanotape.cli.supervise import supervise
from nanotape.config import load


def capture(
    config: ConfigFile = None,
    holder: Annotated[
        Path | None,
        typer.Option(
            "--holder", metavar="SOCKET", help="Borrow from a holder that runs already, instead of starting one."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Capture into the ring only; readers such as `nanotape record` write to disk."""
    supervise(load(config), ServiceOptions(borrow_from=holder), as_json)
