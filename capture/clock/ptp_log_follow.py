"""Follows the logs of linuxptp, line by line.

A log that is renamed, cut off or not there yet is no error; a line is read when it is whole. What was logged before the
first look counts as far as the log's last megabyte holds it.
"""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

from nanotape.capture.clock.ptp_log import LogReader
from nanotape.capture.clock.ptp_log_state import LogState

_FIRST_READ_BYTES = 1 << 20
_READ_BYTES = 4 << 20
"""At one look; the rest is read at the next ones."""


class LogFollower:
    """One log, line by line."""

    def __init__(self, path: Path) -> None:
        """Opens nothing yet."""
        self.path = path
        self._descriptor = -1
        self._at = 0
        self._torn: bytes | None = b""  # None: the begin of this line was passed over, and it with it

    def lines(self) -> list[str]:
        """The whole lines that were written since the last call; none where there is no such log."""
        found = self._new()
        if self._is_another():
            found += self._new()  # what came between the two looks
            self._open()
            found += self._new()
        return found

    def close(self) -> None:
        """Gives the file back. May be called twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _is_another(self) -> bool:
        try:
            there = self.path.stat()
        except OSError:
            return False
        if self._descriptor < 0:
            return True
        mine = os.fstat(self._descriptor)
        return (mine.st_dev, mine.st_ino) != (there.st_dev, there.st_ino)

    def _open(self) -> None:
        is_first = self._descriptor < 0
        self.close()
        self._torn, self._at = b"", 0
        with contextlib.suppress(OSError):
            self._descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            size = os.fstat(self._descriptor).st_size
            if is_first and size > _FIRST_READ_BYTES:
                self._at, self._torn = size - _FIRST_READ_BYTES, None

    def _new(self) -> list[str]:
        if self._descriptor < 0:
            return []
        try:
            if os.fstat(self._descriptor).st_size < self._at:  # cut off in place, as `copytruncate` does
                self._at, self._torn = 0, b""
            read = os.pread(self._descriptor, _READ_BYTES, self._at)
        except OSError:  # a folder, or a disk that fails
            return []
        self._at += len(read)
        *whole, torn = ((self._torn or b"") + read).split(b"\n")
        if self._torn is None:
            if not whole:
                return []
            del whole[0]
        self._torn = torn
        return [line.decode("utf-8", "replace") for line in whole]


class PtpLogs:
    """Several logs, as one state."""

    def __init__(self, paths: Sequence[Path], state: LogState) -> None:
        """Reads nothing yet.

        Args:
            paths: The logs.
            state: Takes the lines in.
        """
        self._followers = [LogFollower(path) for path in paths]
        self.state, self.reader = state, LogReader()

    def look(self) -> None:
        """Takes in what was written since."""
        for follower in self._followers:
            for line in self.reader.read(follower.lines()):
                self.state.take(line)

    def close(self) -> None:
        """Gives the files back."""
        for follower in self._followers:
            follower.close()
