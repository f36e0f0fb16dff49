"""The rows of table `clock` of some archives, a day at a time: memory holds a day, however many years there are.

Rows come in the order of their stamps, whatever files they lie in. Never writes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from nanotape.storage.archive import Visible, projected
from nanotape.storage.parquet_facts import ParquetFacts, read_parquet
from nanotape.storage.reader import ArchiveReader
from nanotape.storage.schema import TIMESTAMP
from nanotape.storage.segment_facts import SegmentFacts, read_segment
from nanotape.storage.selection import Selection

DAY_NS = 86_400 * 10**9
_TABLE = "clock"


@dataclass(frozen=True, slots=True)
class _Piece:
    """A file, and between which stamps its rows lie."""

    file: ParquetFacts | SegmentFacts
    first_ns: int
    last_ns: int

    def batches(self, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        if isinstance(self.file, SegmentFacts):
            return read_segment(self.file, schema)
        return read_parquet(self.file, schema)


class ClockRows:
    """What is visible when this is made."""

    def __init__(self, reader: ArchiveReader, columns: Sequence[str], selection: Selection) -> None:
        """Looks between which stamps the rows of each file lie.

        Args:
            reader: The archives.
            columns: To read, `ts`, `host` and `clock` among them.
            selection: Its time alone counts.

        Raises:
            ArchiveError: A file cannot be read.
        """
        self._schema = projected(_TABLE, columns)
        self._selection = selection
        found = [piece for visible in reader.visible(_TABLE, selection) for piece in _pieces(visible)]
        self._pieces = [each for each in found if self._clipped(each) is not None]

    @property
    def extent_ns(self) -> tuple[int, int] | None:
        """First and last stamp, as far as the files say; None: there is no row."""
        clipped = [each for each in map(self._clipped, self._pieces) if each is not None]
        return (min(first for first, _ in clipped), max(last for _, last in clipped)) if clipped else None

    def between(self, begin_ns: int, end_ns: int) -> pa.Table:
        """Rows by stamp, the end excluded.

        Raises:
            ArchiveError: A file cannot be read.
        """
        low, high = (pa.scalar(ns, pa.int64()).cast(TIMESTAMP) for ns in (begin_ns, end_ns))
        wanted = (pc.field("ts") >= low) & (pc.field("ts") < high)
        chosen = [
            rows
            for piece in self._pieces
            if piece.first_ns < end_ns and piece.last_ns >= begin_ns
            for batch in piece.batches(self._schema)
            if (rows := pa.table(batch).filter(wanted)).num_rows
        ]
        if not chosen:
            return self._schema.empty_table()
        rows = pa.concat_tables(chosen).unify_dictionaries().combine_chunks()
        return rows.sort_by("ts")

    def _clipped(self, piece: _Piece) -> tuple[int, int] | None:
        start, end = self._selection.start_ns, self._selection.end_ns
        first = piece.first_ns if start is None else max(piece.first_ns, start)
        last = piece.last_ns if end is None else min(piece.last_ns, end - 1)
        return (first, last) if first <= last else None


def _pieces(visible: Visible) -> Iterator[_Piece]:
    stamps = projected(_TABLE, ("ts",))
    for file in visible.parquet:
        lowest, highest = file.entry.ts_min_ns, file.entry.ts_max_ns
        if lowest is not None and highest is not None:
            yield _Piece(file, lowest, highest)
    for segment in visible.segments:
        found = [pc.min_max(batch.column(0).cast(pa.int64())).as_py() for batch in read_segment(segment, stamps)]
        known = [each for each in found if each["min"] is not None]
        if known:
            yield _Piece(segment, min(each["min"] for each in known), max(each["max"] for each in known))
