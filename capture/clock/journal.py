"""What the clock service tells: RUN_DIR/clock/state.json, replaced whole each second, and journal.jsonl, appended to.

Written by one process, which holds the folder's lock; read by anybody. A reader that was away for an hour finds in
the journal all that it missed.
"""

import fcntl
import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nanotape.capture.clock.sample import Change, Sample
from nanotape.capture.errors import PlaceUnusable
from nanotape.capture.footprint import Footprint
from nanotape.capture.processes import is_alive

FOLDER = "clock"
STATE_NAME, JOURNAL_NAME, OLD_JOURNAL_NAME, LOCK_NAME = "state.json", "journal.jsonl", "journal.jsonl.old", "lock"
JOURNAL_BYTES = 4 << 20
STATE_VERSION = 1
"""Of the state's form; another one is told by another nanotape, as while it is upgraded, and not understood here."""
FRESH_NS = 5 * 10**9
"""A state that is older was told by a service that has ended, or hangs."""


class ClockLock:
    """Who holds it is the clock service of this host; the kernel lets it go with the process."""

    def __init__(self, folder: Path, made: Footprint | None = None) -> None:
        """Makes the folder, and those above it where they are missing.

        Args:
            folder: RUN_DIR/clock.
            made: Takes it down again when a start fails; None: nobody will.

        Raises:
            PlaceUnusable: It cannot be made or written to.
        """
        self._path, self._is_ours = folder / LOCK_NAME, True
        try:
            with suppress(FileExistsError):
                (made or Footprint()).tree(folder)
            self._file: int | None = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except PermissionError as error:
            # Another user's folder: who looks after the clocks is that user.
            with suppress(OSError):
                self._file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
                self._is_ours = False
                return
            raise _unusable(folder, error) from None
        except OSError as error:
            raise _unusable(folder, error) from None

    @property
    def is_in_place(self) -> bool:
        """Whether what is locked still is what others would lock; not where somebody has removed the folder."""
        assert self._file is not None  # noqa: S101 - not after let_go
        try:
            mine, there = os.fstat(self._file), self._path.stat()
        except OSError:
            return False
        return (mine.st_dev, mine.st_ino) == (there.st_dev, there.st_ino)

    def take(self) -> bool:
        """Whether it is ours now."""
        assert self._file is not None  # noqa: S101 - not after let_go
        if not self._is_ours:
            return False
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)
        return True

    def holder(self) -> str:
        """Who has it, in words."""
        with suppress(OSError, ValueError):
            return f"process {int(self._path.read_text(encoding='utf-8'))}"
        return "another process"

    def let_go(self) -> None:
        """May be called twice."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _unusable(folder: Path, error: OSError) -> PlaceUnusable:
    return PlaceUnusable(
        f"{folder}: cannot be made or written to: {error.strerror}; run as root or as its owner, set another "
        'paths.run_dir, or clock.mode = "none"'
    )


class ClockJournal:
    """Writes both files. The caller holds the lock."""

    def __init__(self, folder: Path, limit_bytes: int = JOURNAL_BYTES) -> None:
        """Writes nothing yet.

        Args:
            folder: RUN_DIR/clock.
            limit_bytes: Size at which the journal is begun anew, and the one before kept.
        """
        self._folder, self._limit_bytes = folder, limit_bytes

    def append(self, samples: Iterable[Sample], changes: Iterable[Change]) -> None:
        """Adds what one look said, in one write.

        Raises:
            OSError: It cannot be written.
        """
        rows = [{"type": "sample", **asdict(each)} for each in samples]
        rows += [{"type": "change", **asdict(each)} for each in changes]
        if not rows:
            return
        path = self._folder / JOURNAL_NAME
        text = "".join(json.dumps(row) + "\n" for row in rows).encode()
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            size = os.fstat(file).st_size
            if size and os.pread(file, 1, size - 1) != b"\n":
                text = b"\n" + text  # behind a line that a full disk cut short
            os.write(file, text)
        finally:
            os.close(file)
        if size + len(text) >= self._limit_bytes:
            os.replace(path, self._folder / OLD_JOURNAL_NAME)

    def publish(self, state: Mapping[str, Any]) -> None:
        """Replaces the state.

        Raises:
            OSError: It cannot be written.
        """
        draft = self._folder / f".{STATE_NAME}.new"
        draft.write_text(json.dumps({"version": STATE_VERSION, **state}), encoding="utf-8")
        os.replace(draft, self._folder / STATE_NAME)


def read_state(run_directory: Path) -> dict[str, Any] | None:
    """What the clock service of this host told last; None: there has been none, or it cannot be read."""
    try:
        told = json.loads((run_directory / FOLDER / STATE_NAME).read_bytes())
        if not isinstance(told, dict) or told.get("version", STATE_VERSION) != STATE_VERSION:
            return None
        return told if isinstance(told["at_ns"], int) else None
    except (OSError, ValueError, KeyError, RecursionError):
        return None


def is_current(state: Mapping[str, Any], now_ns: int) -> bool:
    """Whether a state is of now: told a moment ago by a process that lives."""
    pid = state.get("pid")
    return abs(now_ns - int(state["at_ns"])) <= FRESH_NS and isinstance(pid, int) and is_alive(pid)
