"""ARCHIVE/segments/RING while a recorder has it: locked, and looked after in case somebody takes it away.

A folder that was removed is made anew. Where the archive itself is gone, or its file system is, nothing is made: what
would be written there would lie hidden below the next mount.
"""

import os
from pathlib import Path

from nanotape.storage.archive import Archive
from nanotape.storage.errors import StorageError
from nanotape.storage.lock import RecorderLock


class RingFolder:
    """Held from construction to `release`."""

    def __init__(self, archive: Archive, ring: str) -> None:
        """Makes it if need be, and locks it.

        Raises:
            StorageError: It cannot be made or locked, or another recorder has it.
        """
        self._archive, self._ring = archive, ring
        self.path: Path = archive.ring_directory(ring)
        self._was_mounted = os.path.ismount(archive.path)
        self._lock: RecorderLock | None = RecorderLock(self.path)
        self._identity = _identity(self.path)

    def is_there(self) -> bool:
        """Whether it is still the folder that was locked."""
        return self._identity is not None and _identity(self.path) == self._identity

    def retake(self) -> bool:
        """Makes and locks it anew. Returns whether that could be done; else try again later."""
        self.release()
        if not self._archive.path.is_dir() or (self._was_mounted and not os.path.ismount(self._archive.path)):
            return False
        try:
            self._archive.ring_directory(self._ring)
            self._lock = RecorderLock(self.path)
        except StorageError:
            return False
        self._identity = _identity(self.path)
        return True

    def release(self) -> None:
        """Lets the next recorder in."""
        if self._lock:
            self._lock.release()
            self._lock = None


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
