"""What is known of this host's clocks now: as the clock service tells it, or as a look of our own finds it.

Needs no privilege to read what a service tells; a look of our own finds what this user may ask.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nanotape.capture.clock.host_time import HostTime
from nanotape.capture.clock.journal import is_current, read_state
from nanotape.capture.clock.observation import SYSTEM
from nanotape.capture.clock.readers import configured_places, readers_of
from nanotape.capture.clock.thresholds import Thresholds
from nanotape.capture.clock.watch import ClockWatch
from nanotape.config import Settings

LOOK_S = 1.0
_TOLD = {"mode", "clocks", "interfaces", "processes", "findings"}


@dataclass(frozen=True, slots=True)
class ClockStatus:
    """Of one host. Each mapping is as in `state.json`."""

    at_ns: int
    """UTC: when it was looked."""
    is_told: bool
    """By a clock service that runs; else it was looked at here, for some seconds."""
    mode: str
    clocks: Sequence[Mapping[str, Any]]
    """The system clock first."""
    interfaces: Sequence[Mapping[str, Any]]
    processes: Sequence[Mapping[str, Any]]
    findings: Sequence[str]

    @property
    def system(self) -> Mapping[str, Any]:
        """The clock of stamps that do not come from a NIC."""
        return next(each for each in self.clocks if each["clock"] == SYSTEM)

    @property
    def is_fine(self) -> bool:
        """Whether every clock is locked, and nothing is found wrong."""
        return all(each["state"] == "locked" for each in self.clocks) and not self.findings


def told_status(settings: Settings, now_ns: int) -> ClockStatus | None:
    """What the clock service tells; None: none tells now."""
    state = read_state(Path(settings.paths.run_dir))
    if state is None or not is_current(state, now_ns) or not _TOLD <= state.keys() or not state["clocks"]:
        return None
    return _of_state(state)


def own_status(
    settings: Settings, seconds: float, host: HostTime | None = None, sleep: Callable[[float], object] = time.sleep
) -> ClockStatus:
    """Looks for some seconds, whatever the configured mode: once a second, the last time at the end.

    Args:
        settings: Thresholds, and where to look.
        seconds: How long.
        host: None: the host's clocks.
        sleep: Waits some seconds.
    """
    watch = ClockWatch(
        Thresholds.of(settings.clock), readers_of(settings.clock, configured_places(settings.clock)), host
    )
    look = watch.look()
    for _ in range(int(seconds / LOOK_S)):
        sleep(LOOK_S)
        look = watch.look()
    clocks = [each.as_json() for each in look.clocks]
    return ClockStatus(look.at_ns, False, settings.clock.mode, clocks, (), (), look.findings)


def _of_state(state: Mapping[str, Any]) -> ClockStatus:
    return ClockStatus(
        int(state["at_ns"]), True, str(state["mode"]), state["clocks"], state["interfaces"], state["processes"],
        state["findings"],
    )  # fmt: skip
