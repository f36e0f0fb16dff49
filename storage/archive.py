"""The one class that decides what of an archive is visible.

Parquet files that a manifest names; complete segments that none replaces; of a live part file what its sidecar covers:
never a half-written file, never a row twice, while others go on writing. Needs no native code, and never writes but for
the folders that a recorder asks for.
"""

import errno
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pyarrow as pa

from nanotape.storage.errors import ArchiveError
from nanotape.storage.manifest import Manifest, read_manifests
from nanotape.storage.parquet_facts import ParquetFacts, parquet_facts, read_parquet
from nanotape.storage.segment_facts import SegmentFacts, read_segment, segment_facts
from nanotape.storage.segment_names import NAME_PATTERN
from nanotape.storage.table_schemas import table_schema

__all__ = ["Archive", "SegmentFacts", "Visible"]

RING_NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


@dataclass(frozen=True, slots=True)
class Visible:
    """All of one table that was visible at one moment: each row once."""

    table: str
    parquet: tuple[ParquetFacts, ...]
    """By day, in the order of the manifests."""
    segments: tuple[SegmentFacts, ...]
    """By ring, then ring_id in order of appearance, then sequence."""
    ends: Mapping[str, int]
    """By ring_id, the last ring sequence that is, or before retention was, in the archive."""

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Its rows, Parquet first, in the order of the files; memory stays at about one batch.

        Args:
            columns: Names to read; None: all, in the schema's order.

        Raises:
            ArchiveError: An unknown column, or a file that cannot be read.
        """
        schema = projected(self.table, columns)
        for each in self.parquet:
            yield from read_parquet(each, schema)
        for facts in self.segments:
            yield from read_segment(facts, schema)


class Archive:
    """An archive, read while it grows: each call looks at the directory anew."""

    def __init__(self, path: Path | str) -> None:
        """Opens an existing archive.

        Raises:
            ArchiveError: There is no directory at `path`.
        """
        self.path = Path(path)
        if not self.path.is_dir():
            found = "a file" if self.path.exists() else "nothing"
            raise ArchiveError(
                f"{self.path}: an archive directory expected, found {found}; give the directory that a recorder writes"
            )

    @classmethod
    def create(cls, path: Path | str) -> Self:
        """Opens an archive for a recorder; makes the directory if its parent exists.

        Raises:
            ArchiveError: The parent is missing, a file is in the way, or the directory may not be made.
        """
        path = Path(path)
        try:
            path.mkdir(exist_ok=True)
        except FileNotFoundError:
            raise ArchiveError(f"{path}: its parent directory does not exist; make it, or correct the path") from None
        except FileExistsError:
            raise ArchiveError(f"{path}: an archive directory expected, found a file; choose another path") from None
        except OSError as error:
            raise ArchiveError(f"{path}: cannot make the directory: {error.strerror}; {_advice(error)}") from error
        return cls(path)

    def ring_directory(self, ring: str) -> Path:
        """ARCHIVE/segments/RING, made if need be.

        Raises:
            ArchiveError: It cannot be made, or `ring` is no name for a directory.
        """
        if not RING_NAME_PATTERN.fullmatch(ring):
            raise ArchiveError(f"ring name {ring!r}: letters, digits, '.', '_' and '-' expected, 63 at most")
        directory = self.path / "segments" / ring
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise ArchiveError(f"{directory}: a directory expected, found a file in its place; move it away") from None
        except OSError as error:
            raise ArchiveError(f"{directory}: cannot make the directory: {error.strerror}; {_advice(error)}") from error
        return directory

    def segments(self, ring: str | None = None) -> list[SegmentFacts]:
        """The visible segments of packets, by ring, then ring_id in order of appearance, then sequence."""
        return list(self.visible("packets", ring).segments)

    def visible(self, table: str = "packets", ring: str | None = None) -> Visible:
        """All of a table that is visible now.

        Rows beside packets are not visible before the packets that they belong to.

        Args:
            table: One of `nanotape.storage.table_schemas.TABLES`.
            ring: Only segments of this ring; Parquet files hold several.

        Raises:
            ArchiveError: A folder cannot be listed, or a manifest or a complete segment not be read.
        """
        limits = None if table == "packets" else self.visible("packets").ends
        # Segments first: what is compacted meanwhile is found in the manifests, and still there for a while.
        rings = [ring] if ring is not None else self._rings()
        segments = [facts for name in rings for facts in self._ring_segments(name, table, limits)]
        manifests = read_manifests(self.path, table)
        replaced = {key for manifest in manifests for key in manifest.replaces}
        segments = [facts for facts in segments if facts.key not in replaced]
        parquet = tuple(parquet_facts(self.path, manifest, entry) for manifest in manifests for entry in manifest.files)
        return Visible(table, parquet, tuple(segments), _ends(manifests, segments))

    def packets(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """All visible packets, batch by batch; see `Visible.batches`."""
        yield from self.visible().batches(columns)

    def rows(self, table: str, columns: Sequence[str] | None = None) -> pa.Table:
        """All that is visible of a table, in memory."""
        return pa.Table.from_batches(list(self.visible(table).batches(columns)), schema=projected(table, columns))

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """All visible packets in memory."""
        return self.rows("packets", columns)

    def _rings(self) -> list[str]:
        try:
            return sorted(entry.name for entry in (self.path / "segments").iterdir() if entry.is_dir())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ArchiveError(f"{self.path / 'segments'}: cannot list: {error.strerror}; {_advice(error)}") from error

    def _ring_segments(self, ring: str, table: str, limits: Mapping[str, int] | None) -> list[SegmentFacts]:
        directory = self.path / "segments" / ring
        if table != "packets":
            directory /= table
        try:
            # A renaming meanwhile may hide both names of a segment from the listing, but not its sidecar's.
            names = {entry.name.split(".arrow")[0] for entry in directory.iterdir() if ".arrow" in entry.name}
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ArchiveError(f"{directory}: cannot list: {error.strerror}; {_advice(error)}") from error
        found = [
            facts
            for name in sorted(names)
            if NAME_PATTERN.fullmatch(name) and (facts := segment_facts(directory, ring, name, table, limits))
        ]
        appearance = {facts.ring_id: place for place, facts in reversed(list(enumerate(found)))}
        return sorted(found, key=lambda facts: (appearance[facts.ring_id], facts.first_seq))


def _ends(manifests: Sequence[Manifest], segments: Sequence[SegmentFacts]) -> dict[str, int]:
    ends: dict[str, int] = {}
    for manifest in manifests:
        for ring_id, held in manifest.ranges():
            ends[ring_id] = max(ends.get(ring_id, 0), held.last_seq)
    for facts in segments:
        ends[facts.ring_id] = max(ends.get(facts.ring_id, 0), facts.last_seq)
    return ends


def projected(table: str, columns: Sequence[str] | None) -> pa.Schema:
    """The schema of these columns of a table; None: of all.

    Raises:
        ArchiveError: An unknown column.
    """
    schema = table_schema(table)
    if columns is None:
        return schema
    unknown = [name for name in columns if name not in schema.names]
    if unknown:
        raise ArchiveError(f"column {unknown[0]!r}: one of {', '.join(schema.names)} expected")
    return pa.schema([schema.field(name) for name in columns], metadata=schema.metadata)


def _advice(error: OSError) -> str:
    if error.errno == errno.EROFS:
        return "the file system is mounted read-only"
    if error.errno in (errno.EACCES, errno.EPERM):
        return "give this user the right to write there, or choose another directory"
    return "see to it, or choose another directory"
