"""What was imported into an archive: ARCHIVE/imports.jsonl, one line when a file is begun and one when it is done.

By it a file is not taken twice, and one that an import was killed in goes on behind its last row in the archive. The
rows decide, not the lines: a file is held only as far as the archive holds its ring sequences.
"""

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nanotape.storage.errors import ArchiveError
from nanotape.storage.file_writes import sync_directory
from nanotape.storage.resume import archive_end, compacted_end

LOG_NAME = "imports.jsonl"
_BEGUN, _DONE = "begun", "done"


@dataclass(frozen=True, slots=True)
class Begun:
    """A file whose packets are about to go into the archive."""

    sha256: str
    """Of the file as it lay on the disk, in hexadecimal."""
    file: str
    """Its path then."""
    bytes: int
    """Its size on the disk."""
    at: str
    """UTC, ISO 8601."""
    ring: str
    ring_id: str
    first_seq: int
    """Ring sequence of the first packet that this import takes of it."""
    skipped: int = 0
    """Packets of it before that one, which an earlier import had taken."""


@dataclass(frozen=True, slots=True)
class Held:
    """What an archive holds of a file."""

    begun: Begun
    packets: int
    """From its beginning on."""
    is_whole: bool
    """All that there is in it, up to its damage if it has one."""


class ImportLog:
    """The lines of one archive. One that was cut short by a crash counts for nothing."""

    def __init__(self, archive: Path) -> None:
        """Touches nothing yet; there may be no archive."""
        self._archive = archive
        self._path = archive / LOG_NAME
        self._lines: list[dict[str, Any]] = []
        self._newest: dict[str, int] = {}
        self._offset = 0

    def begin(self, begun: Begun) -> None:
        """Notes a file, for good on return, before its first packet is written.

        Raises:
            ArchiveError: It cannot be written.
        """
        self._append({"state": _BEGUN, **asdict(begun)})

    def done(self, begun: Begun, last_seq: int) -> None:
        """Notes that the archive has all of a file.

        Args:
            begun: As it was noted.
            last_seq: Ring sequence of its last packet; one less than the first for a file without packets.

        Raises:
            ArchiveError: It cannot be written.
        """
        self._append({"state": _DONE, **asdict(begun), "last_seq": last_seq})

    def held(self, sha256: str) -> Held | None:
        """What the archive holds of a file, by the newest import of it; None: it never was imported.

        Raises:
            ArchiveError: The log or the archive cannot be read.
        """
        self._read_on()
        if sha256 not in self._newest:
            return None
        at = self._newest[sha256]
        begun, last_seq = _begun(self._lines[at]), None
        for line in self._lines[at + 1 :]:
            if line["ring_id"] != begun.ring_id:
                continue
            if line["state"] == _DONE and line["first_seq"] == begun.first_seq and line["sha256"] == sha256:
                last_seq = line["last_seq"]
                break
            if line["state"] == _BEGUN:
                last_seq = line["first_seq"] - 1  # the next file is not begun before all of this one is read
                break
        rows = max(0, self._end(begun, last_seq) - begun.first_seq + 1)
        wanted = None if last_seq is None else last_seq - begun.first_seq + 1
        return Held(begun, begun.skipped + rows, rows == wanted)

    def _end(self, begun: Begun, last_seq: int | None) -> int:
        """Last ring sequence of a file that is in the archive."""
        directory = self._archive / "segments" / begun.ring
        if directory.is_dir():
            end = archive_end(directory, begun.ring_id).last_seq
        else:
            end = compacted_end(self._archive, begun.ring_id)
        return min(end or 0, last_seq if last_seq is not None else end or 0)

    def _read_on(self) -> None:
        """Takes in what was added since."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                added = file.read()
        except FileNotFoundError:
            return
        except OSError as error:
            raise ArchiveError(f"{self._path}: cannot be read: {error.strerror}; see to it, or move it away") from None
        whole = added[: added.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.splitlines():
            with suppress(ValueError, TypeError, KeyError):
                self._add(json.loads(line))

    def _add(self, line: dict[str, Any]) -> None:
        if line["state"] == _BEGUN:
            self._newest[_begun(line).sha256] = len(self._lines)
        elif not isinstance(line["last_seq"] - line["first_seq"], int) or not line["sha256"] or not line["ring_id"]:
            return
        self._lines.append(line)

    def _append(self, line: dict[str, Any]) -> None:
        is_new = not self._path.exists()
        content = (json.dumps(line) + "\n").encode()
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            try:
                size = os.fstat(descriptor).st_size
                if size and os.pread(descriptor, 1, size - 1) != b"\n":
                    content = b"\n" + content  # behind a line that a crash cut short
                os.write(descriptor, content)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            if is_new:
                sync_directory(self._archive)
        except OSError as error:
            raise ArchiveError(f"{self._path}: cannot be written: {error.strerror}; see to its disk") from None


def _begun(line: dict[str, Any]) -> Begun:
    return Begun(**{name: value for name, value in line.items() if name != "state"})
