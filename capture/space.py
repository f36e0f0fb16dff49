"""How much room a file system has. Writes nothing, and needs no right on what it asks about but to reach it."""

import os
from collections.abc import Callable
from pathlib import Path

from nanotape.capture.health import Space


def space_of(archive: Path, kept: Callable[[int], int]) -> Space | None:
    """The file system that an archive lies on, or will when it is made; None: it cannot be asked.

    Args:
        archive: Where it is, or will be.
        kept: Bytes to be kept free on a file system of so many bytes.
    """
    for path in (archive, *archive.parents):
        try:
            found = os.statvfs(path)
        except FileNotFoundError:
            continue
        except OSError:
            return None
        total_bytes = found.f_blocks * found.f_frsize
        return Space(str(path), total_bytes, found.f_bavail * found.f_frsize, kept(total_bytes))
    return None
