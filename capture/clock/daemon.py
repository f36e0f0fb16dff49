"""One program that runs on and on beside us, its output in a log of bounded size; ends when we do, however we do.

Restarts nothing by itself. Belongs to the thread that started it.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from nanotape.capture.child import ending
from nanotape.capture.clock import tether
from nanotape.capture.errors import LinuxptpError

LOG_BYTES = 4 << 20
"""Of a log; a copy of that size stands beside it as `.old`."""
_STOP_TIMEOUT_S = 5.0
_LAST_BYTES = 4096


class Daemon:
    """A running program."""

    def __init__(self, name: str, command: Sequence[str], log: Path) -> None:
        """Starts it.

        Args:
            name: For an operator.
            command: Program and arguments.
            log: Gets what it prints, behind what is there.

        Raises:
            LinuxptpError: It cannot be started, or its log not be written.
        """
        self.name, self._log = name, log
        tethered = [sys.executable, "-I", "-S", str(tether.__file__), str(os.getpid()), *command]
        try:
            # Not a pipe: who is not read from in time would stand still, and the clock with it.
            descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
            try:
                self._process = subprocess.Popen(
                    tethered,
                    stdin=subprocess.DEVNULL,
                    stdout=descriptor,
                    stderr=descriptor,
                    start_new_session=True,  # Ctrl-C is ours alone
                )
            finally:
                os.close(descriptor)
        except OSError as error:
            raise LinuxptpError(f"{name}: cannot be started, with its log in {log}: {error.strerror}") from None

    @property
    def pid(self) -> int | None:
        """Process id; None: it has ended."""
        return self._process.pid if self._process.poll() is None else None

    def ending(self) -> str:
        """How it ended, and its last words."""
        status = self._process.wait()
        last = last_line(self._log)
        return f"{ending(status)}: {last}" if last else ending(status)

    def bound_log(self) -> None:
        """Moves what is in the log aside, once there is much of it. The program goes on writing into the same file."""
        with contextlib.suppress(OSError):
            if self._log.stat().st_size > LOG_BYTES:
                beside = self._log.with_name(f"{self._log.name}.old")
                partial = beside.with_name(f"{beside.name}.partial")
                shutil.copyfile(self._log, partial)
                os.replace(partial, beside)
                os.truncate(self._log, 0)

    def stop(self) -> None:
        """Asks it to end, and kills it when it does not. May be called twice."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()


def last_line(log: Path) -> str:
    """The last line of a log that says anything; empty: there is none."""
    try:
        with log.open("rb") as opened:
            opened.seek(max(0, os.fstat(opened.fileno()).st_size - _LAST_BYTES))
            lines = opened.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
