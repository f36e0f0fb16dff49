"""The rows of a channel by time of arrival, file by file: rows, and up to when all rows are known.

A Parquet file has slices of time in order, a segment its ring's order, in which stamps lag a little. So nothing is
sorted here: whoever takes rows sorts those up to the watermark. A file is opened when its time has come.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pds

from nanotape.storage.archive import Visible
from nanotape.storage.compact_piece import SLICE_NS
from nanotape.storage.parquet_facts import ParquetFacts, read_parquet
from nanotape.storage.segment_facts import SegmentFacts, read_segment
from nanotape.storage.selection import Selection
from nanotape.storage.table_schemas import table_schema

NEVER_NS = 2**63 - 1
_BEGIN_NS = -(2**63)
_BATCH_ROWS = 32_768
_BUFFER_BYTES = 1 << 20
RING_LAG_NS = 10**9
"""A ring's records come from several sockets: a stamp may lag behind those before it by so much."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """Some more rows."""

    rows: pa.Table
    known_ns: int
    """UTC: no row that comes later has an earlier stamp, unless a clock was set back."""


@dataclass(slots=True)
class _Run:
    """Files that are read one after the other."""

    steps: Iterator[Arrived]
    known_ns: int
    rows: list[pa.Table] = field(default_factory=list)

    def advance(self) -> pa.Table | None:
        """Some rows; None at the end."""
        step = next(self.steps, None)
        if step is None:
            self.known_ns = NEVER_NS
            return None
        self.known_ns = max(self.known_ns, step.known_ns)
        return step.rows


def in_order(found: Sequence[Visible], selection: Selection, columns: Sequence[str]) -> Iterator[Arrived]:
    """The chosen packets; the last step has a watermark of NEVER_NS.

    Args:
        found: What is visible of packets in each archive.
        selection: Of one channel: Parquet files have one channel's slices in order.
        columns: To read; `ts` among them.

    Raises:
        ArchiveError: A file cannot be read.
    """
    runs = [
        _Run(_of_parquet(file, selection, columns), _BEGIN_NS if file.entry.ts_min_ns is None else file.entry.ts_min_ns)
        for visible in found
        for file in visible.parquet
    ]
    for visible in found:
        for _, segments in groupby(visible.segments, key=lambda each: (each.ring, each.ring_id)):
            runs.append(_Run(_of_segments(list(segments), selection, columns), _BEGIN_NS))
    nothing = pa.schema([table_schema("packets").field(name) for name in columns]).empty_table()
    while runs:
        lowest = min(runs, key=lambda run: run.known_ns)
        rows = lowest.advance()
        runs = [run for run in runs if run.known_ns != NEVER_NS]
        known = min((run.known_ns for run in runs), default=NEVER_NS)
        if rows is not None and rows.num_rows:
            yield Arrived(rows, known)
    yield Arrived(nothing, NEVER_NS)


def _of_parquet(file: ParquetFacts, selection: Selection, columns: Sequence[str]) -> Iterator[Arrived]:
    schema = _read_schema(selection, columns)
    wanted = selection.expression("packets")
    for batch in read_parquet(file, schema, _BATCH_ROWS, _BUFFER_BYTES, selection.can_be_in):
        rows = _chosen(batch, wanted, columns)
        if rows.num_rows:
            last = rows.column("ts").cast(pa.int64())[-1].as_py()
            yield Arrived(rows, last // SLICE_NS * SLICE_NS)


def _of_segments(segments: Sequence[SegmentFacts], selection: Selection, columns: Sequence[str]) -> Iterator[Arrived]:
    schema = _read_schema(selection, columns)
    wanted = selection.expression("packets")
    for facts in segments:
        for batch in read_segment(facts, schema):
            if batch.num_rows:
                newest = pc.max(batch.column("ts").cast(pa.int64())).as_py()
                yield Arrived(_chosen(batch, wanted, columns), newest - RING_LAG_NS)


def _read_schema(selection: Selection, columns: Sequence[str]) -> pa.Schema:
    names = dict.fromkeys([*columns, *(each.name for each in selection.fields("packets"))])
    return pa.schema([table_schema("packets").field(name) for name in names])


def _chosen(batch: pa.RecordBatch, wanted: pds.Expression | None, columns: Sequence[str]) -> pa.Table:
    rows = pa.Table.from_batches([batch])
    return (rows if wanted is None else rows.filter(wanted)).select(list(columns))
