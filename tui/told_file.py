"""A small file that another process writes anew once a second, read and understood only when it has changed.

At ten looks a second that is nine readings saved, each of a thousand lines.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

Told = TypeVar("Told")


class ToldFile(Generic[Told]):
    """One file, and what was last understood of it."""

    def __init__(self, path: Path, read: Callable[[], Told]) -> None:
        """Has read nothing yet.

        Args:
            path: The file, whose change is looked for.
            read: Reads it, whatever state it is in.
        """
        self._path, self._read = path, read
        self._mark: tuple[int, ...] | None = None
        self._told: Told | None = None
        self._is_read = False

    def told(self) -> Told:
        """What it says now.

        Raises:
            Exception: What `read` raises; then it is read again the next time.
        """
        mark = self._look()
        if not self._is_read or mark != self._mark:
            self._is_read = False
            self._told = self._read()
            self._mark, self._is_read = mark, True
        return self._told  # type: ignore[return-value]

    def _look(self) -> tuple[int, ...] | None:
        """What changes when the file does; None: there is none to be seen."""
        try:
            found = self._path.stat()
        except OSError:
            return None
        return (found.st_ino, found.st_mtime_ns, found.st_size)
