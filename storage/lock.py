"""One recorder per archive and ring.

A file lock that the kernel drops with the process, so a crash leaves nothing to clean up.
"""

import errno
import fcntl
import os
from pathlib import Path

from nanotape.storage.errors import ArchiveError, RecorderBusyError

LOCK_NAME = "recorder.lock"


class RecorderLock:
    """Held from construction to `release`."""

    def __init__(self, directory: Path) -> None:
        """Takes ARCHIVE/segments/RING/recorder.lock and writes this process's id into it.

        Raises:
            RecorderBusyError: Another process holds it.
            ArchiveError: The directory cannot be written.
        """
        path = directory / LOCK_NAME
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            advice = (
                "the file system is mounted read-only"
                if error.errno == errno.EROFS
                else "give this user the right to write there"
            )
            raise ArchiveError(
                f"{directory}: a writable directory expected, found: {error.strerror}; {advice}"
            ) from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._fd)
            raise RecorderBusyError(
                f"{directory}: already recorded by process {holder}; stop it, or record into another archive"
            ) from None
        try:
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)
        except OSError:
            """A full disk: the lock holds all the same, only its holder goes unnamed."""

    def release(self) -> None:
        """Lets the next recorder in. The file stays: removing it would let two in."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
