"""The clock service of a host: a thread of `nanotape run` and `nanotape capture` that looks once a second and tells.

One process of a host does so, whoever has the lock; the others wait until it is let go. What goes wrong here never
ends a capture: then the bound of packets is unknown, which is told.
"""

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from nanotape.capture.clock.host_time import HostTime
from nanotape.capture.clock.journal import FOLDER, ClockJournal, ClockLock, read_state
from nanotape.capture.clock.sample import Change
from nanotape.capture.clock.thresholds import Thresholds
from nanotape.capture.clock.watch import ClockLook, ClockWatch, Reader
from nanotape.capture.errors import CaptureError
from nanotape.capture.footprint import Footprint
from nanotape.capture.severity import Error, Info

_LOOK_NS = 10**9
_LOCK_RETRY_S = 1.0
_BUG_PAUSE_S = 5.0
_FIRST_LOOK_S = 2.0
_STOP_TIMEOUT_S = 20.0  # three programs of linuxptp have five seconds each to end


class Daemons(Protocol):
    """What is needed of `nanotape.capture.clock.linuxptp.Linuxptp`."""

    def start(self) -> None:
        """Starts all, or raises and leaves nothing."""

    def look(self) -> Sequence[Any]:
        """Restarts what has died; tells of it: process, what, detail."""

    @property
    def processes(self) -> Sequence[Any]:
        """Facts of each: dataclasses."""

    def stop(self) -> None:
        """Ends all."""


class NicClocks(Protocol):
    """What is needed of `nanotape.capture.clock.nic_clocks.NicClockWatch`."""

    def look(self, look: ClockLook) -> Sequence[Change]:
        """Looks at each NIC's clock and its stamping, when it is time to; what has changed."""

    def as_json(self) -> Sequence[Mapping[str, Any]]:
        """Facts of each interface, for the state file."""

    @property
    def findings(self) -> Sequence[str]:
        """What is wrong with them, a line each."""


@dataclass(frozen=True, slots=True)
class ClockParts:
    """Whom the service asks and runs."""

    mode: str
    readers: Mapping[str, Reader]
    daemons: Daemons | None = None
    """None: nothing is run, only watched."""
    nics: NicClocks | None = None
    garbage: Mapping[str, int] = field(default_factory=dict)
    """Lines that could not be read, by reader; counted on by the readers."""


class ClockService:
    """Start it, stop it; or use it in a `with`, which does both."""

    def __init__(
        self,
        run_directory: Path,
        thresholds: Thresholds,
        parts: Callable[[Path], ClockParts],
        log: Callable[[str], None],
        host: HostTime | None = None,
        stop_timeout_s: float = _STOP_TIMEOUT_S,
        *,
        is_required: bool = True,
    ) -> None:
        """Starts nothing yet.

        Args:
            run_directory: Whose folder `clock` is written.
            thresholds: From when on a clock is locked.
            parts: Makes whom to ask, given that folder; called in the service's own thread.
            log: Takes one line at a time, from that thread.
            host: None: the host's clocks.
            stop_timeout_s: How long `stop` waits.
            is_required: Whether a start without it is refused; else it is told, and the bound of packets is unknown.
        """
        self._is_required = is_required
        self._stop_timeout_s = stop_timeout_s
        self._folder = run_directory / FOLDER
        self._run_directory, self._thresholds, self._parts, self._log = run_directory, thresholds, parts, log
        self._host = host or HostTime()
        self._stopping, self._settled = threading.Event(), threading.Event()
        self._error: CaptureError | None = None
        # What it starts dies with the thread that started it (prctl(2), PR_SET_PDEATHSIG).
        self._thread = threading.Thread(target=self._run, name="clock", daemon=True)
        self._has_complained = self._is_started = False
        self._made: Footprint | None = None

    def __enter__(self) -> "ClockService":
        """Itself, started."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stops it."""
        self.stop()

    def start(self, made: Footprint | None = None) -> None:
        """Returns after the first look, or when another process is found to look after the clocks.

        Args:
            made: Takes down what this start makes, should something else fail; None: nobody will.

        Raises:
            CaptureError: What is to be run cannot be: somebody else owns a clock, or it is not installed.
        """
        self._made = made
        self._thread.start()
        self._settled.wait(_FIRST_LOOK_S)
        self._is_started = True
        if self._error is not None:
            self._thread.join()
            raise self._error

    def stop(self) -> None:
        """Ends what was started and what goes on. May be called twice.

        A look that hangs, as in a driver, is left behind: what was started ends with this process then.
        """
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(self._stop_timeout_s)
            if self._thread.is_alive():
                self._log(f"clock: a look does not end within {self._stop_timeout_s:g} s; left behind")

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                lock = ClockLock(self._folder, self._made)
            except CaptureError as error:
                self._settle(error)
                return
            try:
                if not self._take(lock) or not self._serve(lock):
                    return
            finally:
                lock.let_go()
                self._settled.set()
            if not self._stopping.is_set():
                self._made = None  # what is made now is no start's to take back
                self._log(Info(f"clock: {self._folder} was removed; beginning anew"))

    def _take(self, lock: ClockLock) -> bool:
        is_told = False
        while not lock.take():
            if not is_told:
                is_told = True
                self._log(
                    Info(f"clock: {lock.holder()} looks after the clocks of this host; waiting until it has ended")
                )
                self._settled.set()
            if self._stopping.wait(_LOCK_RETRY_S):
                return False
        return True

    def _serve(self, lock: ClockLock) -> bool:
        """Returns when it is time to stop, or its folder is gone; whether what was to run could be run."""
        journal = ClockJournal(self._folder)
        parts = self._parts(self._folder)
        if parts.daemons is not None:
            try:
                parts.daemons.start()
            except CaptureError as error:
                self._settle(error)
                return False
        try:
            self._append(journal, None, _left_open(read_state(self._run_directory)))
            while not self._stopping.is_set() and lock.is_in_place:
                try:
                    self._watch(journal, parts, lock)
                except Exception as error:  # packets matter more: their bound is unknown meanwhile
                    self._log(f"clock: {type(error).__name__}: {error}; looking anew in {_BUG_PAUSE_S:g} s")
                    self._settled.set()
                    self._stopping.wait(_BUG_PAUSE_S)
        finally:
            if parts.daemons is not None:
                parts.daemons.stop()
        return True

    def _settle(self, error: CaptureError) -> None:
        if self._is_started or not self._is_required:  # nobody waits for it
            self._log(f"clock: {error}; nobody looks after the clocks, and the bound of packets is unknown")
        else:
            self._error = error
        self._settled.set()

    def _watch(self, journal: ClockJournal, parts: ClockParts, lock: ClockLock) -> None:
        watch = ClockWatch(self._thresholds, parts.readers, self._host)
        look, due_ns = None, self._host.monotonic_ns()
        while not self._stopping.wait(max(0, due_ns - self._host.monotonic_ns()) / 1e9):
            if not lock.is_in_place:
                return
            due_ns = max(due_ns + _LOOK_NS, self._host.monotonic_ns())
            look = watch.look()
            self._append(journal, look, [*look.changes, *self._beside(parts, look)])
            self._publish(journal, parts, look, watch.episodes)
            self._settled.set()
        self._append(journal, None, watch.end())
        if look is not None:
            self._publish(journal, parts, look, ())

    def _beside(self, parts: ClockParts, look: ClockLook) -> list[Change]:
        """What befell processes and NICs."""
        changes = []
        for each in parts.daemons.look() if parts.daemons else ():
            severity = "warning" if each.what in ("ended", "failed") else "info"
            detail = f"{each.process}: {each.what}: {each.detail}"
            changes.append(Change(look.at_ns, look.at_ns, "system", "process", severity, detail))  # type: ignore[arg-type]
        return changes + list(parts.nics.look(look) if parts.nics else ())

    def _append(self, journal: ClockJournal, look: ClockLook | None, changes: Sequence[Change]) -> None:
        for change in changes:
            self._log_change(change)
        try:
            journal.append([each.sample for each in look.clocks] if look else [], changes)
        except OSError as error:
            self._complain(error)

    def _log_change(self, change: Change) -> None:
        if change.end_ns is None or change.severity != "info":
            over = change.end_ns is not None and change.end_ns != change.at_ns
            line = f"clock: over: {change.detail}" if over else f"clock: {change.detail}"
            is_fine = over or change.severity == "info"
            self._log(Info(line) if is_fine else Error(line) if change.severity == "error" else line)

    def _publish(self, journal: ClockJournal, parts: ClockParts, look: ClockLook, episodes: Sequence[Change]) -> None:
        nics = parts.nics
        state = {
            "at_ns": look.at_ns,
            "pid": os.getpid(),
            "mode": parts.mode,
            "clocks": [each.as_json() for each in look.clocks],
            "interfaces": list(nics.as_json()) if nics else [],
            "processes": [asdict(each) for each in parts.daemons.processes] if parts.daemons else [],
            "garbage": dict(parts.garbage),
            "findings": [*look.findings, *(nics.findings if nics else ())],
            "episodes": [asdict(each) for each in episodes],
        }
        try:
            journal.publish(state)
        except OSError as error:
            self._complain(error)

    def _complain(self, error: OSError) -> None:
        if not self._has_complained:
            self._has_complained = True
            self._log(f"clock: {self._folder}: cannot be written: {error.strerror}; the bound of packets is unknown")


def _left_open(state: Mapping[str, Any] | None) -> list[Change]:
    """What went on when a service before this one was killed: it ends when that was heard of last."""
    if state is None:
        return []
    try:
        episodes = [Change(**each) for each in state.get("episodes", ())]
        return [replace(each, end_ns=max(each.at_ns, int(state["at_ns"]))) for each in episodes]
    except (TypeError, ValueError):
        return []
