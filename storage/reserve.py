"""Disk that is taken beforehand, so that on a full one there is still room to say what is done about it."""

import errno
import os
from contextlib import suppress
from pathlib import Path

_LEAVES_SHARE = 8  # of the last room nobody takes a reserve


class Reserve:
    """A file that takes room and holds nothing."""

    def __init__(self, path: Path, size_bytes: int) -> None:
        """Takes nothing yet."""
        self._path, self._size_bytes = path, size_bytes

    def keep(self) -> None:
        """Takes the room, if it is not taken yet and there is plenty."""
        if self._path.exists():
            return
        with suppress(OSError):
            room = os.statvfs(self._path.parent)
            if room.f_bavail * room.f_frsize < _LEAVES_SHARE * self._size_bytes:
                return
            fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(fd, 0, self._size_bytes)
            except OSError as error:
                if error.errno != errno.EOPNOTSUPP:  # a file system that can promise nothing has no reserve
                    self._path.unlink(missing_ok=True)
            finally:
                os.close(fd)

    def release(self) -> bool:
        """Gives it back. Returns whether there was any."""
        try:
            self._path.unlink()
        except OSError:
            return False
        return True
