"""What an archive has of a host's clocks already: each sample and each change is recorded once, whoever recorded it.

Goes by the rows themselves, not by the newest stamp: a clock that is set back hides nothing.
"""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from nanotape.storage.archive import Archive, projected
from nanotape.storage.clock_entries import ClockChange, ClockSample
from nanotape.storage.events import Event
from nanotape.storage.packets import RingFacts
from nanotape.storage.parquet_facts import read_parquet
from nanotape.storage.parquet_writing import STAMP_OF
from nanotape.storage.schema import TIMESTAMP
from nanotape.storage.segment_facts import read_segment

KIND = "clock"
"""Of the events that tell of changes."""

_EVENT_COLUMNS = ("ts_start", "ts_end", "kind", "host", "stage", "detail")
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
    """Of one host, from a moment on."""

    def __init__(self, archive: Archive, host: str, since_ns: int) -> None:
        """Reads it.

        Args:
            archive: Where.
            host: Whose clocks.
            since_ns: UTC; of what was told of earlier moments nothing is known.

        Raises:
            ArchiveError: The archive cannot be read.
        """
        self._known: dict[_Told, None] = {}
        for rows in _rows_since(archive, "clock", ("ts", "host", "clock"), host, since_ns):
            stamps = rows.column("ts").cast(pa.int64()).to_pylist()
            for clock, at_ns in zip(rows.column("clock").to_pylist(), stamps, strict=True):
                self._known[clock, at_ns, None, ""] = None
        for rows in _rows_since(archive, "events", _EVENT_COLUMNS, host, since_ns):
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


def _rows_since(archive: Archive, table: str, columns: tuple[str, ...], host: str, since_ns: int) -> Iterator[pa.Table]:
    """Rows of a host; of Parquet files only those that can have some are opened."""
    visible, schema = archive.visible(table), projected(table, columns)
    since = pa.scalar(since_ns, pa.int64()).cast(TIMESTAMP)
    chosen = (pc.field("host") == host) & (pc.field(STAMP_OF[table]) >= since)
    for file in visible.parquet:
        newest_ns = file.entry.ts_max_ns
        if newest_ns is None or newest_ns >= since_ns:
            for batch in read_parquet(file, schema):
                yield pa.table(batch).filter(chosen)
    for segment in visible.segments:
        for batch in read_segment(segment, schema):
            yield pa.table(batch).filter(chosen)
