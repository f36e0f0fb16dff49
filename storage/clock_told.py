"""What an archive has of a host's clocks already: each sample and each change is recorded once, whoever recorded it.

Goes by the rows themselves, not by the newest stamp: a clock that is set back hides nothing.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nanotape.storage.archive import Archive, projected
from nanotape.storage.clock_entries import ClockChange, ClockSample
from nanotape.storage.events import Event
from nanotape.storage.packets import RingFacts
from nanotape.storage.parquet_facts import read_parquet
from nanotape.storage.parquet_writing import STAMP_OF
from nanotape.storage.segment_facts import read_segment

KIND = "clock"
"""Of the events that tell of changes."""

_EVENT_COLUMNS = ("ts_start", "ts_end", "kind", "host", "stage", "detail")
_DAY_NS = 86_400 * 10**9
_REMEMBERED_MAX = 500_000  # some days of a few clocks

_Told = tuple[str, int, int | None, str]
"""Clock or stage, begin, end, and what was said of a change."""


def change_event(change: ClockChange, ring: RingFacts) -> Event:
    """The event that tells of a change; `detail` begins with the name of the clock."""
    return Event(
        KIND,
        change.at_ns,
        change.end_ns,
        change.severity,
        *(ring.host, ring.name, ring.ring_id),
        stage=change.what,
        detail=_detail(change),
    )


class ClockTold:
    """Of one host, on some days."""

    def __init__(self, archive: Archive, host: str, stamps_ns: Iterable[int]) -> None:
        """Reads it.

        Args:
            archive: Where.
            host: Whose clocks.
            stamps_ns: UTC; what was told of these days is known. A clock that was not set yet may have shown 1970:
                that is no reason to read the months between.

        Raises:
            ArchiveError: The archive cannot be read.
        """
        self._known: dict[_Told, None] = {}
        days = {stamp // _DAY_NS for stamp in stamps_ns}
        for rows in _rows_of_days(archive, "clock", ("ts", "host", "clock"), host, days):
            stamps = rows.column("ts").cast(pa.int64()).to_pylist()
            for clock, at_ns in zip(rows.column("clock").to_pylist(), stamps, strict=True):
                self._known[clock, at_ns, None, ""] = None
        for rows in _rows_of_days(archive, "events", _EVENT_COLUMNS, host, days):
            told = rows.filter(pc.field("kind") == KIND)
            begins, ends = (told.column(name).cast(pa.int64()).to_pylist() for name in ("ts_start", "ts_end"))
            words = (told.column(name).to_pylist() for name in ("stage", "detail"))
            for stage, begin, end, detail in zip(next(words), begins, ends, next(words), strict=True):
                self._known[stage, begin, end, detail] = None

    def is_new(self, entry: ClockSample | ClockChange) -> bool:
        """Whether nobody has told of it; from now on somebody has."""
        if isinstance(entry, ClockSample):
            told: _Told = (entry.clock, entry.at_ns, None, "")
        else:
            told = (entry.what, entry.at_ns, entry.end_ns, _detail(entry))
        if told in self._known:
            return False
        self._known[told] = None
        if len(self._known) > _REMEMBERED_MAX:
            del self._known[next(iter(self._known))]
        return True


def _detail(change: ClockChange) -> str:
    prefix = f"{change.clock}: "
    return change.detail if change.detail.startswith(prefix) else prefix + change.detail


def _rows_of_days(
    archive: Archive, table: str, columns: tuple[str, ...], host: str, days: set[int]
) -> Iterator[pa.Table]:
    """Rows of a host; of Parquet files only those that can have some are opened."""
    visible, schema, stamp = archive.visible(table), projected(table, columns), STAMP_OF[table]
    wanted = np.array(sorted(days), np.int64)

    def chosen(batch: pa.RecordBatch) -> pa.Table:
        of_days = np.isin(batch.column(stamp).cast(pa.int64()).to_numpy() // _DAY_NS, wanted)
        return pa.table(batch).filter(pa.array(of_days)).filter(pc.field("host") == host)

    for file in visible.parquet:
        lowest, highest = file.entry.ts_min_ns, file.entry.ts_max_ns
        if lowest is None or highest is None or any(lowest // _DAY_NS <= day <= highest // _DAY_NS for day in days):
            yield from map(chosen, read_parquet(file, schema))
    for segment in visible.segments:
        yield from map(chosen, read_segment(segment, schema))
