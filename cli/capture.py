"""`nanotape capture`: captures into the ring only."""

from pathlib import Path
from typing import Annotated

import typer

from nanotape.capture.service import ServiceOptions
from nanotape.cli.options import AsJson, ConfigFile, RingNames, chosen_rings
from nanotape.cli.supervise import supervise
from nanotape.config import load


def capture(
    config: ConfigFile = None,
    ring: RingNames = None,
    holder: Annotated[
        Path | None,
        typer.Option("--holder", metavar="SOCKET", help="Borrow from a holder that runs already, of one ring."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Capture into the ring only; readers such as `nanotape record` write to disk."""
    rings = chosen_rings(load(config), ring)
    if holder is not None and len(rings) > 1:
        found = ", ".join(each.ring.name for each in rings)
        raise typer.BadParameter(f"--holder: expected one ring to borrow for, found {found}; add --ring NAME")
    supervise(lambda: chosen_rings(load(config), ring), ServiceOptions(borrow_from=holder), as_json)
