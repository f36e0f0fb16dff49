"""What root wrote into another user's archive is given to that user, who must be able to go on with it.

Follows no link, and gives away nothing that has a second name elsewhere.
"""

import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


def give_to_owner(archive: Path, inside: Iterable[str]) -> None:
    """Gives what is root's to the owner of the archive; does nothing unless we are root, and that is somebody else.

    Args:
        archive: Its root.
        inside: Paths below it, of files or of whole folders; the folders above them are given too.
    """
    if os.geteuid() != 0:
        return
    with suppress(OSError):
        top = os.open(archive, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            owner = os.fstat(top)
            if owner.st_uid != 0:
                for path in inside:
                    _give(top, Path(path).parts, owner)
        finally:
            os.close(top)


def _give(folder: int, parts: tuple[str, ...], owner: os.stat_result) -> None:
    """The first of the parts, and below it the rest of them; all that is in it after the last one."""
    with suppress(OSError):  # gone by now, or not to be given: then it stays root's
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(parts[0], flags, dir_fd=folder)
        try:
            found = os.fstat(descriptor)
            is_folder = stat.S_ISDIR(found.st_mode)
            if found.st_uid == 0 and (is_folder or (stat.S_ISREG(found.st_mode) and found.st_nlink == 1)):
                os.fchown(descriptor, owner.st_uid, owner.st_gid)
            for name in [] if not is_folder else parts[1:2] or os.listdir(descriptor):
                _give(descriptor, (name, *parts[2:]), owner)
        finally:
            os.close(descriptor)
