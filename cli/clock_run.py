"""`nanotape clock run`: looks after the clocks of this host, and does nothing else, until a signal."""

import math
import select
import time
from typing import Annotated

import typer

from nanotape.capture.clock.parts import clock_service
from nanotape.capture.notify import Notifier
from nanotape.capture.progress import ClockProgress
from nanotape.capture.stop_signals import StopSignals
from nanotape.cli.options import ConfigFile, talk
from nanotape.config import load
from nanotape.storage.clock import SystemClock
from nanotape.storage.service_log import service_log

_TICK_S = 1.0


def run(
    config: ConfigFile = None,
    seconds: Annotated[
        float | None, typer.Option(min=0.0, metavar="SECONDS", help="End after so long. Default: at a signal.")
    ] = None,
) -> None:
    """Look after the clocks of this host, for captures that run as services of their own. Ctrl-C ends it in order."""
    settings = load(config)
    log = service_log(settings.log.format, settings.log.repeats, {"process": "clock"}, SystemClock())
    service = clock_service([settings.of_ring(name) for name in settings.rings], log, is_required=True)
    if service is None:
        talk('nothing to do: clock.mode is "none", or no ring takes packets from an interface')
        raise typer.Exit(2)
    notifier, progress = Notifier.of_environment(), ClockProgress(settings.paths.run_dir)
    end_s = math.inf if seconds is None else time.monotonic() + seconds
    with StopSignals() as signals, service:
        notifier.ready("looking after the clocks")
        while not signals.caught and (left_s := end_s - time.monotonic()) > 0:
            select.select([signals.fileno()], [], [], min(left_s, _TICK_S))
            if notifier.is_due() and progress.has_moved():
                notifier.feed()
        notifier.stopping()
    log.close()
