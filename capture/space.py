"""How much room a file system has. Writes nothing, and needs no right on what it asks about but to reach it."""

import os
from pathlib import Path

from nanotape.capture.health import Space


def space_of(archive: Path) -> Space | None:
    """The file system that an archive lies on, or will when it is made; None: it cannot be asked."""
    for path in (archive, *archive.parents):
        try:
            found = os.statvfs(path)
        except FileNotFoundError:
            continue
        except OSError:
            return None
        return Space(str(path), found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize)
    return None
