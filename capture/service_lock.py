"""One service for each ring and run directory: the second is refused before it touches what the first one uses.

A file lock that the kernel drops with the process, so that a crash leaves nothing to clean up.
"""

import fcntl
import os
from pathlib import Path

from nanotape.capture.errors import PlaceUnusable, RingBusy

LOCK_NAME = "service.lock"


class ServiceLock:
    """Held from construction to `release`."""

    def __init__(self, path: Path, ring: str, inherited: int = -1) -> None:
        """Takes the lock and writes this process's id into it.

        Args:
            path: The lock file; 0600, because whoever may open it may lock it.
            ring: For the error.
            inherited: A descriptor by which this process has it already; -1: none.

        Raises:
            RingBusy: Another process holds it.
            PlaceUnusable: The file cannot be made or opened.
        """
        self._fd = inherited
        while self._fd < 0:
            fd = _open(path)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
                os.close(fd)
                raise RingBusy(
                    f"ring {ring}: expected no service that runs it, found process {holder}; stop that one first, "
                    "name other rings with --ring, or set ring.name to another"
                ) from None
            if _is_at(path, fd):
                self._fd = fd
            else:
                os.close(fd)  # a failed start removed it between our open and our lock
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def fileno(self) -> int:
        """The descriptor by which it is held."""
        return self._fd

    def release(self) -> None:
        """Lets the next service in. The file stays: removing it would let two in. May be called twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise PlaceUnusable(
            f"{path}: cannot be opened: {error.strerror}; run as the owner of {path.parent} or set paths.run_dir"
        ) from None


def _is_at(path: Path, fd: int) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    held = os.fstat(fd)
    return (there.st_dev, there.st_ino) == (held.st_dev, held.st_ino)
