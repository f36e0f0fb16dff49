"""What a service knows and its ring does not say: who goes blind by it, which links are down, how it ended.

`RUN_DIR/RING/service.json`, written by the service alone, whole or not at all, whenever it changes; the ring's group
may read it.
"""

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from nanotape.capture.accounts import Accounts
from nanotape.capture.errors import PlaceUnusable
from nanotape.capture.plan import write_owned
from nanotape.capture.processes import is_alive

STATE_NAME = "service.json"
STOPPED, HOLDER_DIED = "stopped", "its holder died"
_DEATHS_TOLD = 20


@dataclass(frozen=True, slots=True)
class ServiceState:
    """One service, the running one or the last."""

    pid: int
    """Of `nanotape run` or `nanotape capture`."""
    delivery: str
    """As configured: with `steal` nobody minds the listeners."""
    listeners: tuple[str, ...] = ()
    """Who listens to what AF_XDP takes, and receives nothing; a line each, as of the last look."""
    ended: str = ""
    """How it ended; empty: it has not, or was killed."""
    damaged: bool = False
    """Its file was read only up to where it is damaged."""
    deaths: tuple[tuple[str, int], ...] = ()
    """The last processes that ended unasked, and were started anew: which, and when (UTC, nanoseconds)."""
    links: tuple[str, ...] = ()
    """Which of its links are down, a line each."""
    notes: tuple[str, ...] = ()
    """Which of its links are not as they should be, and yet captured; a line each."""


class StateFile:
    """A service's own state, told to whoever asks."""

    def __init__(self, path: Path, owners: Accounts, delivery: str, clock: Callable[[], int] = time.time_ns) -> None:
        """Tells that this process is the service now.

        Raises:
            PlaceUnusable: The file cannot be written.
        """
        self._path, self._owners, self._clock = path, owners, clock
        self._state = ServiceState(os.getpid(), delivery)
        self._write()

    def listeners(self, lines: Iterable[str]) -> None:
        """Tells who listens now, instead of those before."""
        self._change(replace(self._state, listeners=tuple(sorted(lines))))

    def links(self, lines: Iterable[str], notes: Iterable[str] = ()) -> None:
        """Tells which links are down now, and what is to be noted of the others, instead of those before."""
        self._change(replace(self._state, links=tuple(lines), notes=tuple(notes)))

    def died(self, process: str) -> None:
        """Tells of a process that ended unasked."""
        deaths = (*self._state.deaths, (process, self._clock()))
        self._change(replace(self._state, deaths=deaths[-_DEATHS_TOLD:]))

    def ended(self, how: str, *, damaged: bool = False) -> None:
        """Tells of the end: what is told first counts."""
        if not self._state.ended:
            self._change(replace(self._state, listeners=(), links=(), notes=(), ended=how, damaged=damaged))

    def _change(self, state: ServiceState) -> None:
        if state == self._state:
            return
        self._state = state
        with contextlib.suppress(PlaceUnusable):  # packets matter more than what is told of them
            self._write()

    def _write(self) -> None:
        write_owned(self._path, json.dumps(asdict(self._state)).encode(), self._owners)


def read_state(path: Path) -> ServiceState | None:
    """What a service told; None when there was none, or it cannot be read. Listeners and links are of a running one."""
    try:
        told = json.loads(path.read_bytes())
        lines = tuple(str(line) for line in told["listeners"])
        deaths = tuple((str(process), int(at_ns)) for process, at_ns in told["deaths"])
        # A service of an earlier version tells none of these.
        links, notes = (tuple(map(str, told.get(name, ()))) for name in ("links", "notes"))
        facts = int(told["pid"]), str(told["delivery"]), lines, str(told["ended"]), told["damaged"] is True
        state = ServiceState(*facts, deaths, links, notes)
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return state if is_alive(state.pid) else replace(state, listeners=(), links=(), notes=())
