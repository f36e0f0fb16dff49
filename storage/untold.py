"""What a recorder that died had recorded and not told beside it: found in its rows, for the next one to tell."""

from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nanotape.storage.archive import Archive
from nanotape.storage.manifest import RingRange
from nanotape.storage.parquet_facts import ParquetFacts, read_parquet
from nanotape.storage.segment_facts import SegmentFacts, read_segment
from nanotape.storage.settlement import Loss
from nanotape.storage.table_schemas import table_schema
from nanotape.storage.traffic_stats import SOURCE_COLUMNS

_BATCH_ROWS = 65_536
_NONE = RingRange("", 0, 0, 0)
_COLUMNS = (*SOURCE_COLUMNS, "lost_before", "ring_id")


def told_through(archive: Archive, ring_id: str) -> int:
    """The last ring sequence that is summed up in `stats`; 0: none.

    Raises:
        ArchiveError: The archive cannot be read.
    """
    return archive.visible("stats").ends.get(ring_id, 0)


def rows_after(
    archive: Archive, ring_id: str, after: int, columns: Sequence[str] = _COLUMNS
) -> Iterator[pa.RecordBatch]:
    """The packets of a ring after a sequence, in order, with SOURCE_COLUMNS and `lost_before`, or other columns.

    Of segments, where as a rule all of them are, no more than a batch is held in memory: a recorder that begins cannot
    wait, while its ring goes on, for seconds of its predecessor's packets to be sorted. What is compacted by then is
    held and sorted, about 50 bytes a row.

    Raises:
        ArchiveError: The archive cannot be read.
    """
    visible, schema = archive.visible(), table_schema("packets")
    wanted = pa.schema([schema.field(name) for name in columns])
    files = [each for each in visible.parquet if each.entry.rings.get(ring_id, _NONE).last_seq > after]
    segments = [each for each in visible.segments if each.ring_id == ring_id and each.last_seq > after]
    files_end = max((each.entry.rings[ring_id].last_seq for each in files), default=0)
    among = [each for each in segments if each.first_seq <= files_end]
    if files:
        yield from _sorted_rows(files, among, wanted, (pc.field("ring_seq") > after) & (pc.field("ring_id") == ring_id))
    for each in segments[len(among) :]:
        for batch in read_segment(each, wanted):
            sequences = batch.column("ring_seq")
            if sequences[0].as_py() > after:
                yield batch
            elif sequences[-1].as_py() > after:
                yield batch.filter(pc.greater(sequences, after))


def _sorted_rows(
    files: Sequence[ParquetFacts], segments: Sequence[SegmentFacts], wanted: pa.Schema, chosen: pc.Expression
) -> Iterator[pa.RecordBatch]:
    """Compacted files have the feeds of a ring apart."""
    batches = chain(*(read_parquet(each, wanted) for each in files), *(read_segment(each, wanted) for each in segments))
    rows = pa.concat_tables([wanted.empty_table(), *(pa.table(batch).filter(chosen) for batch in batches)])
    yield from rows.unify_dictionaries().combine_chunks().sort_by("ring_seq").to_batches(_BATCH_ROWS)


class UntoldLosses:
    """Finds rows that say that something is lost before them while no event does."""

    def __init__(self, archive: Archive, ring_id: str, after: int) -> None:
        """Reads the losses that are told.

        Args:
            archive: Where.
            ring_id: 32 hexadecimal digits.
            after: Sequence of the last row before those that are looked at; 0: none.

        Raises:
            ArchiveError: The archive cannot be read.
        """
        events = archive.rows("events", ["kind", "ring_id", "seq_last", "packets_lost"])
        mine = events.filter((pc.field("kind") == "capture_loss") & (pc.field("ring_id") == ring_id))
        order = np.argsort(mine.column("seq_last").to_numpy())
        self._ends = mine.column("seq_last").to_numpy()[order]
        self._sums = np.cumsum(np.append(0, mine.column("packets_lost").fill_null(0).to_numpy()[order]))
        self._before = after

    def look(self, rows: pa.RecordBatch) -> list[Loss]:
        """The losses before the next rows, in order, that no event tells; nobody remembers where they happened."""
        sequences = rows.column("ring_seq").to_numpy()
        lost = rows.column("lost_before").to_numpy().astype(np.int64)
        befores = np.append(self._before, sequences[:-1])
        self._before = int(sequences[-1])
        found = []
        for at in np.flatnonzero(lost):
            first, last = np.searchsorted(self._ends, (befores[at] + 1, sequences[at]))
            untold = int(lost[at] - (self._sums[last] - self._sums[first]))
            if untold > 0:
                found.append(Loss(int(befores[at]) + 1, int(sequences[at]) - 1, untold, None))
        return found
