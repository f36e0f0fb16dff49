"""`nanotape clock run`: looks after the clocks of this host, and does nothing else, until a signal."""

import select
from typing import Annotated

import typer

from nanotape.capture.clock.parts import clock_service
from nanotape.capture.stop_signals import StopSignals
from nanotape.cli.options import ConfigFile, talk
from nanotape.config import load


def run(
    config: ConfigFile = None,
    seconds: Annotated[
        float | None, typer.Option(min=0.0, metavar="SECONDS", help="End after so long. Default: at a signal.")
    ] = None,
) -> None:
    """Look after the clocks of this host, for captures that run as services of their own. Ctrl-C ends it in order."""
    settings = load(config)
    service = clock_service([settings.of_ring(name) for name in settings.rings], talk)
    if service is None:
        talk('nothing to do: clock.mode is "none", or no ring takes packets from an interface')
        raise typer.Exit(2)
    with StopSignals() as signals, service:
        select.select([signals.fileno()], [], [], seconds)
