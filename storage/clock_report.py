"""How far the clocks of some archives could be trusted, day by day: for whoever must show it to a reviewer.

Made of table `clock` and of the events of kind `clock`, and of nothing else. Claims no compliance with any rule: it
says what was measured, how, and for how long nothing was.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from nanotape.storage.clock_days import ClockDay, ClockReport, total
from nanotape.storage.clock_rows import DAY_NS, ClockRows
from nanotape.storage.clock_tally import COLUMNS, ClockTally
from nanotape.storage.errors import QueryError
from nanotape.storage.instants import Instant
from nanotape.storage.reader import ArchiveReader
from nanotape.storage.selection import Selection

PARTS_MAX = 720
"""Of a picture, across."""
_PART_NS = 10 * 10**9
"""The shortest part: some rows lie in each."""
_ROW_NS = 10**9
"""How long the last row of all counts, where no end is given."""

_Key = tuple[str, str]
"""Host and clock."""


def clock_report(
    reader: ArchiveReader, *, start: Instant | None = None, end: Instant | None = None, tz: str | None = None
) -> ClockReport:
    """Reports on all clocks. Memory holds a day of rows.

    Args:
        reader: The archives.
        start: From this moment on, included; None: from the first row on.
        end: Up to this moment, excluded; None: up to the last row.
        tz: Zone that `start` and `end` are meant in where they name none; None: UTC. Days are UTC days nevertheless.

    Raises:
        QueryError: They are no moments, or nothing lies between them.
        ArchiveError: A file cannot be read.
    """
    selection = Selection.of(start=start, end=end, tz=tz)
    if selection.start_ns is not None and selection.start_ns == selection.end_ns:
        raise QueryError(f"end: a moment after start expected, found {end!r} at {start!r}; name a later one")
    rows = ClockRows(reader, COLUMNS, selection)
    extent = rows.extent_ns
    if extent is None:
        return ClockReport(selection.start_ns or 0, selection.end_ns or selection.start_ns or 0, (), (), ())
    begin_ns = extent[0] if selection.start_ns is None else selection.start_ns
    end_ns = extent[1] + _ROW_NS if selection.end_ns is None else selection.end_ns
    steps = _steps(reader, begin_ns, end_ns)
    tallies: dict[_Key, ClockTally] = {}
    days: dict[_Key, list[ClockDay]] = {}
    parts = max(1, min(PARTS_MAX, (end_ns - begin_ns) // _PART_NS))
    behind: list[tuple[str, int, int]] = []
    for date, first, last in _days(begin_ns, end_ns):
        found = rows.between(first, last)
        for key in sorted({*tallies, *_keys(found)}):
            if key not in tallies:
                tallies[key], days[key] = ClockTally(*key, begin_ns, end_ns, parts), []
                for earlier in behind:  # other clocks were looked at then, and this one was not
                    days[key].append(tallies[key].add(*earlier, found.slice(0, 0)))
            own = found.filter((pc.field("host") == key[0]) & (pc.field("clock") == key[1]))
            days[key].append(tallies[key].add(date, first, last, own, steps[*key, date]))
        behind.append((date, first, last))
    return ClockReport(
        begin_ns,
        end_ns,
        tuple(day for key in sorted(days) for day in days[key]),
        tuple(total(days[key]) for key in sorted(days)),
        tuple(tallies[key].curve() for key in sorted(tallies)),
    )


def _days(begin_ns: int, end_ns: int) -> Iterator[tuple[str, int, int]]:
    """Each UTC day, and what of it lies between."""
    for day in range(begin_ns // DAY_NS, (end_ns - 1) // DAY_NS + 1):
        date = datetime.fromtimestamp(day * 86_400, UTC).strftime("%Y-%m-%d")
        yield date, max(begin_ns, day * DAY_NS), min(end_ns, (day + 1) * DAY_NS)


def _keys(rows: pa.Table) -> set[_Key]:
    counted = rows.group_by(["host", "clock"]).aggregate([])
    return set(zip(counted.column("host").to_pylist(), counted.column("clock").to_pylist(), strict=True))


def _steps(reader: ArchiveReader, begin_ns: int, end_ns: int) -> Counter[tuple[str, str, str]]:
    """Steps by host, clock and day; an event's detail begins with the name of the clock."""
    selection = Selection.of(start=begin_ns, end=end_ns, names={"kind": "clock"})
    steps: Counter[tuple[str, str, str]] = Counter()
    seen = set()
    for batch in reader.select("events", selection, ("id", "ts_start", "host", "stage", "detail")):
        rows = batch.set_column(1, "ts_start", batch.column("ts_start").cast(pa.int64()))
        for row in rows.to_pylist():
            if row["stage"] == "step" and row["ts_start"] >= begin_ns and row["id"] not in seen:
                seen.add(row["id"])
                date = datetime.fromtimestamp(row["ts_start"] // 10**9, UTC).strftime("%Y-%m-%d")
                steps[row["host"], str(row["detail"]).partition(":")[0], date] += 1
    return steps
