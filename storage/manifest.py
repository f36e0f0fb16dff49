"""What of one table and one day is compacted: ARCHIVE/TABLE/date=YYYY-MM-DD/_manifest.json.

One file, replaced in one step: with it Parquet files become visible and what they were made from becomes invisible.
Whoever changes it holds the lock beside it. It is small, and says of each file what can be known without opening it.
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from nanotape.storage.errors import ArchiveError
from nanotape.storage.file_writes import sync_directory, sync_file

MANIFEST_NAME = "_manifest.json"
LOCK_NAME = "_manifest.lock"
VERSION = 1
PART_SUFFIX = ".part"
"""Of a Parquet file until the manifest names it; a reader takes a file under either name."""


@dataclass(frozen=True, slots=True)
class RingRange:
    """What a file holds of one ring."""

    ring: str
    first_seq: int
    last_seq: int
    rows: int


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One Parquet file."""

    path: str
    """Below the day's folder."""
    rows: int
    bytes: int
    crc32c: str
    """Of the whole file, 8 hexadecimal digits."""
    written_ns: int
    """UTC: when the oldest of it was recorded; retention takes the lowest first."""
    ts_min_ns: int | None = None
    """Lowest `ts` (or `ts_start`, `ts_from`) in it; None without rows."""
    ts_max_ns: int | None = None
    rings: dict[str, RingRange] = field(default_factory=dict)
    """By ring_id; rows without a ring are in none."""
    rows_hash: str = ""
    """Sum of the hashes of its rows, the same however they are ordered; see `compact`."""


@dataclass(frozen=True, slots=True)
class Gone:
    """A file, Parquet or segment, that retention deleted."""

    path: str
    rows: int
    deleted_ns: int
    ts_min_ns: int | None
    ts_max_ns: int | None
    rings: dict[str, RingRange]


@dataclass(frozen=True, slots=True)
class Retired:
    """A file that is invisible since `since_ns`, UTC, and deleted after a while: somebody may be reading it."""

    path: str
    """Below the archive."""
    since_ns: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """A table's day."""

    table: str
    date: str
    """YYYY-MM-DD, UTC: the day of recording."""
    files: tuple[FileEntry, ...] = ()
    replaces: tuple[str, ...] = ()
    """Segments that `files` hold, as RING/NAME: invisible though they may still be there."""
    retired: tuple[Retired, ...] = ()
    gone: tuple[Gone, ...] = ()

    def ranges(self) -> Iterator[tuple[str, RingRange]]:
        """What its files hold, and what deleted ones held, of each ring by ring_id; a ring may come several times."""
        for entry in self.files:
            yield from entry.rings.items()
        for gone in self.gone:
            yield from gone.rings.items()


def day_folder(archive: Path, table: str, date: str) -> Path:
    """ARCHIVE/TABLE/date=YYYY-MM-DD."""
    return archive / table / f"date={date}"


def dates(archive: Path, table: str) -> list[str]:
    """The days of a table that have a manifest, in order."""
    try:
        names = os.listdir(archive / table)
    except (FileNotFoundError, NotADirectoryError):
        return []
    found = [name.removeprefix("date=") for name in names if name.startswith("date=")]
    return sorted(date for date in found if (day_folder(archive, table, date) / MANIFEST_NAME).exists())


def read_manifest(archive: Path, table: str, date: str) -> Manifest:
    """A day's manifest; an empty one where there is none.

    Raises:
        ArchiveError: It cannot be read, or is not one.
    """
    path = day_folder(archive, table, date) / MANIFEST_NAME
    try:
        content = json.loads(path.read_bytes())
        if content.pop("version") != VERSION:
            raise ValueError("another version")
        return _parsed(content)
    except FileNotFoundError:
        return Manifest(table, date)
    except OSError as error:
        raise ArchiveError(f"{path}: cannot be read: {error.strerror}; give this user the right to") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArchiveError(
            f"{path}: a manifest of version {VERSION} expected, found something else ({error}); restore it from a "
            "copy, or remove it: then only its day's segments are seen"
        ) from error


def read_manifests(archive: Path, table: str) -> list[Manifest]:
    """All days of a table, in order."""
    return [read_manifest(archive, table, date) for date in dates(archive, table)]


class ManifestEdit:
    """A manifest that is being changed: set `manifest` as often as need be, `commit` once."""

    def __init__(self, archive: Path, manifest: Manifest) -> None:
        """Holds what is in force; the caller has the lock."""
        self._archive = archive
        self.manifest = manifest

    def commit(self) -> None:
        """Puts `manifest` in force, in one step, and has the disk keep it.

        Raises:
            OSError: It was not, and what was in force still is.
        """
        folder = day_folder(self._archive, self.manifest.table, self.manifest.date)
        draft = folder / (MANIFEST_NAME + ".new")
        draft.write_text(json.dumps({"version": VERSION, **asdict(self.manifest)}) + "\n", encoding="utf-8")
        sync_file(draft)
        os.rename(draft, folder / MANIFEST_NAME)
        sync_directory(folder)


@contextlib.contextmanager
def edit_manifest(archive: Path, table: str, date: str) -> Iterator[ManifestEdit]:
    """Locks a day of a table, which is made if need be, and gives its manifest. Keep it short: others wait.

    Raises:
        ArchiveError: The folder cannot be made or locked, or the manifest not read.
    """
    folder = day_folder(archive, table, date)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise ArchiveError(f"{folder}: cannot be written: {error.strerror}; see to it") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield ManifestEdit(archive, read_manifest(archive, table, date))
    finally:
        os.close(lock)


def present_path(archive: Path, table: str, date: str, entry: FileEntry) -> Path:
    """Where a file that a manifest names is now: under its name, or still under its name as a part."""
    path = day_folder(archive, table, date) / entry.path
    part = path.with_name(path.name + PART_SUFFIX)
    return part if not path.exists() and part.exists() else path


def _parsed(content: dict[str, Any]) -> Manifest:
    return Manifest(
        table=content["table"],
        date=content["date"],
        files=tuple(FileEntry(**{**each, "rings": _rings(each["rings"])}) for each in content["files"]),
        replaces=tuple(content["replaces"]),
        retired=tuple(Retired(**each) for each in content["retired"]),
        gone=tuple(Gone(**{**each, "rings": _rings(each["rings"])}) for each in content["gone"]),
    )


def _rings(content: dict[str, Any]) -> dict[str, RingRange]:
    return {ring_id: RingRange(**each) for ring_id, each in content.items()}
