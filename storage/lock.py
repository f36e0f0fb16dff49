"""One recorder per archive and ring.

A file lock that the kernel drops with the process, so a crash leaves nothing to clean up. Whoever gets it can write.
"""

import errno
import fcntl
import os
from pathlib import Path

from nanotape.storage.errors import ArchiveError, RecorderBusyError

LOCK_NAME = "recorder.lock"
_PROBE_NAME = "recorder.probe"


class RecorderLock:
    """Held from construction to `release`."""

    def __init__(self, directory: Path) -> None:
        """Takes ARCHIVE/segments/RING/recorder.lock and writes this process's id into it.

        Raises:
            RecorderBusyError: Another process holds it.
            ArchiveError: No file can be made in the directory, or an older lock file there is another user's.
        """
        path = directory / LOCK_NAME
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise _refusal(path if path.exists() else directory, error) from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._fd)
            raise RecorderBusyError(
                f"{directory}: already recorded by process {holder}; stop it, or record into another archive"
            ) from None
        try:
            # The lock file may be an old one: it proves nothing about the directory now.
            os.close(os.open(directory / _PROBE_NAME, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))
            os.unlink(directory / _PROBE_NAME)
        except OSError as error:
            self.release()
            raise _refusal(directory, error) from error
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


def _refusal(path: Path, error: OSError) -> ArchiveError:
    advice = "give this user the right to write there"
    if error.errno == errno.EROFS:
        advice = "the file system is mounted read-only"
    elif error.errno in (errno.ENOSPC, errno.EDQUOT):
        advice = "make room"
    return ArchiveError(f"{path}: expected to be writable by user {os.geteuid()}, found: {error.strerror}; {advice}")
