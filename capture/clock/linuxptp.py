"""Runs linuxptp as `[clock]` wants it: checks that nobody else steers the same clocks, starts, restarts, ends.

What dies is restarted, the later the more often it died, and never beside somebody who has taken its clock meanwhile.
All calls come from one thread: what it started ends with it.
"""

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nanotape.capture.clock.clock_owners import clock_owners, conflicts
from nanotape.capture.clock.daemon import Daemon
from nanotape.capture.clock.linuxptp_config import Program, programs, read_only_socket_path, socket_path
from nanotape.capture.clock.linuxptp_version import installed_version
from nanotape.capture.clock.ptp_observation import PhcOf
from nanotape.capture.clock.tool import found_tool
from nanotape.capture.errors import LinuxptpError
from nanotape.config.clock import ClockSettings

_BACKOFF_S = (0.0, 1.0, 2.0, 5.0, 10.0, 30.0)
_SOUND_AFTER_S = 60.0  # who ran as long is restarted at once


@dataclass(frozen=True, slots=True)
class LinuxptpHappening:
    """One thing that befell a program."""

    process: str
    what: str
    """`started`, `ended`, `restarted`, `failed`."""
    detail: str


@dataclass(frozen=True, slots=True)
class LinuxptpProcess:
    """A program as it is now."""

    name: str
    pid: int | None
    """None: it does not run."""
    restarts: int
    since_ns: int | None
    """UTC, when it was started; None: it does not run."""


class _Supervised:
    """A program, and how it has fared."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.daemon: Daemon | None = None
        self.restarts = self.tries = 0
        self.started_s = self.due_s = 0.0
        self.since_ns = 0

    @property
    def pid(self) -> int | None:
        return self.daemon.pid if self.daemon else None


class Linuxptp:
    """ptp4l, phc2sys and ts2phc, as many of them as are wanted."""

    def __init__(
        self,
        settings: ClockSettings,
        folder: Path,
        wrap: Sequence[str] = (),
        log: Callable[[str], None] = lambda _: None,
        *,
        phc_of: PhcOf = lambda _: None,
        proc: Path = Path("/proc"),
        monotonic_s: Callable[[], float] = time.monotonic,
        utc_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """Starts nothing yet.

        Args:
            settings: `[clock]`, in mode `manage`.
            folder: Where configuration files, logs and sockets lie; made if it is missing.
            wrap: A command that is put before each, such as `ip netns exec NAME`.
            log: Takes a line at a time.
            phc_of: Names the clock of an interface.
            proc: Where processes are looked for.
            monotonic_s: Of a clock that nobody sets.
            utc_ns: For an operator to read.
        """
        self._settings, self._folder, self._wrap, self._log = settings, folder, tuple(wrap), log
        self._phc_of, self._proc, self._monotonic_s, self._utc_ns = phc_of, proc, monotonic_s, utc_ns
        self._supervised: list[_Supervised] = []
        self._happened: list[LinuxptpHappening] = []

    def start(self) -> None:
        """Starts all.

        Raises:
            LinuxptpError: Not installed, of an unknown version, or somebody else steers one of the clocks; nothing was
                started then.
        """
        wanted = programs(self._settings, installed_version(), self._folder)
        for program in wanted:
            if found_tool(program.name) is None:
                raise LinuxptpError(f"{program.name} is not installed; install all of linuxptp")
        self._refuse_conflicts(wanted)
        self._write(wanted)
        self._supervised = [_Supervised(program) for program in wanted]
        try:
            for each in self._supervised:
                self._begin(each)
                self._happened.append(LinuxptpHappening(each.program.name, "started", f"process {each.pid}"))
        except BaseException:
            self.stop()
            raise

    def look(self) -> list[LinuxptpHappening]:
        """Restarts what has ended, when it is time to. What has happened since the last look."""
        happened, self._happened = self._happened, []
        for each in self._supervised:
            if each.daemon is not None and each.daemon.pid is None:
                happened.append(self._ended(each, each.daemon))
            elif each.daemon is not None:
                each.daemon.bound_log()
            if each.daemon is None and self._monotonic_s() >= each.due_s:
                happened.append(self._again(each))
        return happened

    @property
    def processes(self) -> tuple[LinuxptpProcess, ...]:
        """Each program as it is now."""
        return tuple(
            LinuxptpProcess(each.program.name, each.pid, each.restarts, each.since_ns if each.pid else None)
            for each in self._supervised
        )

    @property
    def sockets(self) -> tuple[Path, ...]:
        """Where our ptp4l may be asked, the read-only one first; 3.1 has none of that kind."""
        return read_only_socket_path(self._folder), socket_path(self._folder)

    @property
    def logs(self) -> tuple[Path, ...]:
        """Logs of what runs."""
        return tuple(self._log_path(each.program) for each in self._supervised)

    def stop(self) -> None:
        """Ends all, who follows before whom it follows. May be called twice."""
        for each in reversed(self._supervised):
            if each.daemon is not None:
                each.daemon.stop()
        self._supervised = []
        for path in self.sockets:
            with contextlib.suppress(OSError):
                path.unlink()

    def _refuse_conflicts(self, wanted: Sequence[Program]) -> None:
        clocks = dict.fromkeys(clock for program in wanted for clock in program.steers)
        own = {each.pid for each in self._supervised}
        found = conflicts(clocks, [each for each in clock_owners(self._proc) if each.pid not in own], self._phc_of)
        if found:
            raise LinuxptpError("; ".join(found))

    def _write(self, wanted: Sequence[Program]) -> None:
        try:
            self._folder.mkdir(mode=0o755, parents=True, exist_ok=True)
            for program in wanted:
                _replace(program.config, program.text)
        except OSError as error:
            raise LinuxptpError(f"{self._folder}: cannot be written: {error.strerror}") from None

    def _log_path(self, program: Program) -> Path:
        return self._folder / f"{program.name}.log"

    def _begin(self, each: _Supervised) -> None:
        program = each.program
        path = found_tool(program.name) or program.name
        each.daemon = Daemon(program.name, (*self._wrap, path, *program.command[1:]), self._log_path(program))
        each.started_s, each.since_ns = self._monotonic_s(), self._utc_ns()

    def _ended(self, each: _Supervised, daemon: Daemon) -> LinuxptpHappening:
        detail = daemon.ending()
        each.daemon = None
        now = self._monotonic_s()
        each.tries = 0 if now - each.started_s >= _SOUND_AFTER_S else each.tries
        self._put_off(each)
        return self._tell(each, "ended", detail)

    def _put_off(self, each: _Supervised) -> None:
        each.due_s = self._monotonic_s() + _BACKOFF_S[min(each.tries, len(_BACKOFF_S) - 1)]
        each.tries += 1

    def _again(self, each: _Supervised) -> LinuxptpHappening:
        try:
            self._refuse_conflicts([each.program])
            self._begin(each)
        except LinuxptpError as error:
            self._put_off(each)
            return self._tell(each, "failed", str(error))
        each.restarts += 1
        return self._tell(each, "restarted", f"process {each.pid}, for the {_nth(each.restarts)} time")

    def _tell(self, each: _Supervised, what: str, detail: str) -> LinuxptpHappening:
        self._log(f"{each.program.name}: {what}: {detail}")
        return LinuxptpHappening(each.program.name, what, detail)


def _nth(number: int) -> str:
    endings = {1: "st", 2: "nd", 3: "rd"}
    return f"{number}{'th' if 10 <= number % 100 <= 20 else endings.get(number % 10, 'th')}"


def _replace(path: Path, text: str) -> None:
    """Never half a file under its name."""
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("w", encoding="utf-8") as opened:
        opened.write(text)
        opened.flush()
        os.fsync(opened.fileno())
    os.replace(partial, path)
