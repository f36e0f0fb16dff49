"""Small files in folders where other users may write too: read without waiting, without a link, up to a size."""

import errno
import os
import stat
from pathlib import Path

_MOST_BYTES = 16 << 20


def read_foreign(path: Path, uid: int | None = None, most_bytes: int = _MOST_BYTES) -> bytes:
    """What a file holds.

    Args:
        path: The file.
        uid: Whose it has to be; None: anybody's.
        most_bytes: The largest that is read.

    Raises:
        OSError: It cannot be opened, is a link, a pipe or anything else but a file, is another's, or larger than that.
    """
    # A pipe that somebody put there would otherwise hold whoever reads it for as long as they like.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "no file")
        if uid is not None and found.st_uid != uid:
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    return content
