"""What the clock service has written of this host's clocks: RUN_DIR/clock/journal.jsonl, and `.old` before it.

Follows the file while it grows, is rotated or replaced. A line that is not whole yet waits; one that is none of ours is
skipped and counted.
"""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nanotape.storage.clock_entries import ClockChange, ClockSample, parse_line

NAME = "journal.jsonl"
OLD_NAME = NAME + ".old"

_READ_BYTES = 8 << 20
_LINE_BYTES_MAX = 1 << 20


@dataclass(frozen=True, slots=True)
class ClockNews:
    """What was read, in the order in which it was written."""

    samples: tuple[ClockSample, ...] = ()
    changes: tuple[ClockChange, ...] = ()


class ClockJournal:
    """Follows the journal in a folder, which need not be there yet."""

    def __init__(self, folder: Path) -> None:
        """Reads nothing yet.

        Args:
            folder: RUN_DIR/clock.
        """
        self._path, self._old_path = folder / NAME, folder / OLD_NAME
        self._file: _File | None = None
        self.garbage_lines = 0
        """Lines that were neither a sample nor a change."""

    def read(self) -> ClockNews:
        """All that was written since the last call; at the first one all that there is.

        What cannot be read is taken for not there: a recorder does not stop for it.
        """
        samples: list[ClockSample] = []
        changes: list[ClockChange] = []
        for line in self._lines():
            entry = parse_line(line)
            if isinstance(entry, ClockSample):
                samples.append(entry)
            elif entry is not None:
                changes.append(entry)
            else:
                self.garbage_lines += 1
        return ClockNews(tuple(samples), tuple(changes))

    @property
    def is_there(self) -> bool:
        """Whether something was written."""
        return self._path.exists()

    def rewind(self) -> None:
        """Makes the next `read` begin with the oldest line that there still is. Lets go of the file."""
        if self._file:
            self._file.close()
            self._file = None

    def _lines(self) -> list[bytes]:
        found: list[bytes] = []
        with suppress(OSError):
            if self._file is None:  # the newer one is opened first: what it is renamed to meanwhile is not missed
                self._file = _File(self._path)
                found += self._older(self._file.inode)
            found += self._file.lines()
            # The service ends a file before it renames it: one that has lost its name grows no more.
            while self._path.stat().st_ino != self._file.inode:
                found += self._file.lines() + self._file.rest()
                newer = _File(self._path)
                found += self._older(self._file.inode, newer.inode)
                self._file.close()
                self._file = newer
                found += newer.lines()
        return found

    def _older(self, *read: int) -> list[bytes]:
        """The lines of the older file, unless it is one of these: one came and went since the last look."""
        try:
            old = _File(self._old_path)
        except FileNotFoundError:
            return []
        try:
            return [] if old.inode in read else old.lines() + old.rest()
        finally:
            old.close()


class _File:
    """An open file, read from its beginning to where its writer has come to."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.inode = os.fstat(self._fd).st_ino  # nobody else gets it while this is open
        self._offset, self._torn = 0, b""

    def lines(self) -> list[bytes]:
        """Those that are whole by now and were not read yet."""
        found: list[bytes] = []
        if os.fstat(self._fd).st_size < self._offset:  # cut off in place, and begun anew
            self._offset, self._torn = 0, b""
        while data := os.pread(self._fd, _READ_BYTES, self._offset):
            self._offset += len(data)
            *lines, self._torn = (self._torn + data).split(b"\n")
            found += lines
            self._torn = self._torn[:_LINE_BYTES_MAX]  # a longer one is none of ours: its end need not be known
        return found

    def rest(self) -> list[bytes]:
        """What it ends with, should it be over: nothing, or a line that nobody will end."""
        rest, self._torn = self._torn, b""
        return [rest] if rest else []

    def close(self) -> None:
        os.close(self._fd)
