"""What a start has made so far, in order: a start that fails takes back just that, so that nothing half-made stays."""

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path

from nanotape.capture.errors import RingError
from nanotape.capture.listing import remove_ring
from nanotape.capture.ring import ring_path


class Footprint:
    """Folders, files and rings of one start."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._undo: list[Callable[[], object]] = []

    def folder(self, path: Path, *, parents: bool = False) -> None:
        """Makes a folder, and those above it when told so.

        Raises:
            OSError: As `Path.mkdir` does.
        """
        if parents and not path.parent.exists():
            self.folder(path.parent, parents=True)
        path.mkdir()
        self._undo.append(path.rmdir)  # which fails, and rightly, when others have put something into it

    def tree(self, path: Path) -> None:
        """Makes a folder, and those above it, for files that nobody else puts there: it goes with all of them.

        Raises:
            OSError: As `Path.mkdir` does.
        """
        self.folder(path, parents=True)
        self._undo.append(lambda: shutil.rmtree(path))

    def file(self, path: Path, *, is_new: bool) -> None:
        """Remembers a file that this start makes; one that was there before stays."""
        if is_new:
            self._undo.append(path.unlink)

    def ring(self, name: str, shm_directory: Path) -> None:
        """Remembers a ring that is about to be made; one that is there already stays."""
        if not ring_path(name, shm_directory).exists():
            self._undo.append(lambda: remove_ring(name, shm_directory))

    def undo(self) -> None:
        """Removes it all, the newest first; what is gone already, or in use, is no error."""
        while self._undo:
            with contextlib.suppress(OSError, RingError):
                self._undo.pop()()
