"""What there is to compact: segments that are complete, and on days that are over Parquet files that are small.

Looks only; each piece of work is of one table and one day, and small enough to be done again if it is broken off.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from nanotape.storage.archive import Archive
from nanotape.storage.parquet_facts import ParquetFacts
from nanotape.storage.segment_facts import SegmentFacts
from nanotape.storage.table_schemas import TABLES

SMALL_BYTES = 256 << 20
"""A Parquet file below this is merged with others."""
LARGE_BYTES = 1 << 30
"""No file is made larger, by much."""
MERGED_FILES_MAX = 16
"""Files that are merged at once: each costs memory."""
_SEGMENTS_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Piece:
    """Inputs that become Parquet files in one step."""

    table: str
    date: str
    """YYYY-MM-DD."""
    segments: tuple[SegmentFacts, ...] = ()
    parquet: tuple[ParquetFacts, ...] = ()
    """Either these or segments."""

    @property
    def rows(self) -> int:
        """Rows of all inputs."""
        return sum(each.rows for each in self.segments) + sum(each.entry.rows for each in self.parquet)

    @property
    def bytes(self) -> int:
        """Bytes of all inputs."""
        return sum(each.bytes for each in self.segments) + sum(each.entry.bytes for each in self.parquet)


def segment_pieces(archive: Archive, date: str | None) -> list[Piece]:
    """Visible segments that nobody writes any more, of all tables; those of one day go together as far as they fit.

    Args:
        archive: Where.
        date: Only this day; None: all.

    Raises:
        ArchiveError: The archive cannot be listed.
    """
    pieces = []
    for table in TABLES:
        segments = [each for each in archive.visible(table).segments if each.complete and not each.cut]
        segments.sort(key=lambda each: (each.date, each.ring, each.name))
        for day, of_day in groupby(segments, key=lambda each: each.date):
            if date in (None, day):
                pieces += [Piece(table, day, segments=tuple(part)) for part in _fitting(list(of_day))]
    return pieces


def merge_pieces(archive: Archive, before: str, date: str | None) -> list[Piece]:
    """Small Parquet files of days that are over, together as far as they fit.

    Args:
        archive: Where.
        before: Only days before this one, YYYY-MM-DD.
        date: Only this day, even if it is not over; None: all.

    Raises:
        ArchiveError: A manifest cannot be read.
    """
    pieces = []
    for table in TABLES:
        small = [each for each in archive.visible(table).parquet if each.entry.bytes < SMALL_BYTES]
        small = [each for each in small if (each.date == date if date else each.date < before)]
        small.sort(key=lambda each: (each.date, folder_of(each), each.entry.written_ns, each.entry.path))
        for (day, _), files in groupby(small, key=lambda each: (each.date, folder_of(each))):
            parts = [part for part in _together(list(files)) if len(part) > 1]
            pieces += [Piece(table, day, parquet=tuple(part)) for part in parts]
    return pieces


def folder_of(file: ParquetFacts) -> str:
    """The folder of a feed below the day's; empty for other tables than packets."""
    return file.entry.path.rpartition("/")[0]


def _fitting(segments: Sequence[SegmentFacts]) -> Iterator[list[SegmentFacts]]:
    part: list[SegmentFacts] = []
    for each in segments:
        if part and sum(one.bytes for one in part) + each.bytes > _SEGMENTS_BYTES:
            yield part
            part = []
        part.append(each)
    if part:
        yield part


def _together(files: Sequence[ParquetFacts]) -> Iterator[list[ParquetFacts]]:
    part: list[ParquetFacts] = []
    for each in files:
        full = len(part) >= MERGED_FILES_MAX or sum(one.entry.bytes for one in part) + each.entry.bytes > LARGE_BYTES
        if part and full:
            yield part
            part = []
        part.append(each)
    if part:
        yield part
