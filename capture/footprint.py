"""What a start has made so far, in order: a start that fails takes back just that, so that nothing half-made stays."""

import contextlib
from pathlib import Path


class Footprint:
    """Folders, files and rings of one start."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._made: list[Path] = []

    def folder(self, path: Path, mode: int = 0o777, *, parents: bool = False) -> None:
        """Makes a folder, and those above it when told so, and remembers each.

        Raises:
            OSError: As `Path.mkdir` does.
        """
        if parents and not path.parent.exists():
            self.folder(path.parent, parents=True)
        path.mkdir(mode)
        self._made.append(path)

    def file(self, path: Path) -> None:
        """Remembers a file that is about to be made; one that is there already stays."""
        if not path.exists():
            self._made.append(path)

    def undo(self) -> None:
        """Removes it all, the newest first. Folders in which others have put something stay."""
        while self._made:
            path = self._made.pop()
            with contextlib.suppress(OSError):
                if path.is_dir():
                    path.rmdir()
                else:
                    path.unlink()
