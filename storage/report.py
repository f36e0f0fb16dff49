"""What a day's report says, as facts: completeness, losses and gaps, A and B, peaks, clock, what befell the archive.

Text and page are made of these by `report_text.py` and `report_page.py`. None is unknown.
"""

from collections import Counter
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import pyarrow as pa

from nanotape.storage.audit import audit
from nanotape.storage.audit_sheets import AuditReport
from nanotape.storage.coverage import STATES, coverage
from nanotape.storage.instants import day_ns
from nanotape.storage.reader import ArchiveReader
from nanotape.storage.selection import Selection

INTERVAL_NS = 5 * 60 * 10**9
"""Of the day's pictures."""


@dataclass(frozen=True, slots=True)
class LineDay:
    """A channel's line over a day."""

    feed: str | None
    channel: str
    line: str | None
    packets: int
    bytes: int
    peak_1ms_packets: int
    peak_1ms_ns: int
    """The second that it was in, UTC."""
    peak_1s_packets: int
    rx_delay_p99_ns: int | None
    """The largest of any second."""
    first_arrivals: float | None
    """Share of sequences that came first on this line; None: not decoded."""
    states: tuple[str, ...]
    """Of each interval of the day; see `coverage.STATES`."""
    rates: tuple[float, ...]
    """Packets a second in each interval."""


@dataclass(frozen=True, slots=True)
class DayReport:
    """A day."""

    date: str
    tz: str
    begin_ns: int
    end_ns: int
    sheet: AuditReport
    lines: tuple[LineDay, ...]
    events: tuple[dict[str, Any], ...]
    """All but the ordinary: what somebody should have seen."""
    event_counts: dict[str, int]
    """By kind."""
    clock: dict[str, Any] | None
    """Share of the time in each state, and without a bound, worst error; of all, and of each in `clocks`; None: no
    clock was recorded."""

    @property
    def shares(self) -> dict[str, float]:
        """Share of all lines' intervals in each state that there is."""
        every = [state for line in self.lines for state in line.states]
        return {state: every.count(state) / len(every) for state in STATES if state in every}


def day_report(reader: ArchiveReader, date: str, tz: str | None = None) -> DayReport:
    """A day, in a zone.

    Args:
        reader: The archives.
        date: YYYY-MM-DD.
        tz: Its zone; None: UTC.

    Raises:
        QueryError: It is no day.
        ArchiveError: A file cannot be read.
    """
    begin, end = day_ns(date, tz)
    selection = Selection.of(start=begin, end=end)
    covered = coverage(reader, start=begin, end=end, interval=INTERVAL_NS)
    events = reader.events(start=begin, end=end)
    counts = {str(row["values"]): int(row["counts"]) for row in events.column("kind").value_counts().to_pylist()}
    return DayReport(
        date,
        tz or "UTC",
        begin,
        end,
        audit(reader, selection),
        tuple(_lines(reader, selection, covered)),
        tuple(_worth_telling(events)),
        counts,
        _clock(reader, begin, end),
    )


_STATS = """
WITH seconds AS (SELECT feed, channel, line, ns(ts) AS at_ns, sum(packets)::BIGINT AS packets,
    sum(bytes)::BIGINT AS bytes, max(peak_1ms_packets) AS peak, max(rx_delay_p99_ns) AS delay,
    avg(first_arrivals) AS first_arrivals
    FROM stats WHERE ts >= instant({start}) AND ts < instant({end}) GROUP BY ALL)
SELECT feed, channel, line, sum(packets)::BIGINT AS packets, sum(bytes)::BIGINT AS bytes, max(peak) AS peak_1ms_packets,
    arg_max(at_ns, peak) AS peak_1ms_ns, max(packets)::BIGINT AS peak_1s_packets, max(delay) AS rx_delay_p99_ns,
    avg(first_arrivals) AS first_arrivals
FROM seconds GROUP BY ALL ORDER BY feed, channel, line
"""


def _lines(reader: ArchiveReader, selection: Selection, covered: pa.Table) -> list[LineDay]:
    connection = reader.connect(("stats",))
    sql = _STATS.format(start=selection.start_ns, end=selection.end_ns)
    rows = connection.sql(sql).to_arrow_table().to_pylist()
    states: dict[tuple[str, str | None], list[str]] = {}
    rates: dict[tuple[str, str | None], list[float]] = {}
    for each in covered.select(["channel", "line", "state", "packets"]).to_pylist():
        key = (each["channel"], each["line"])
        states.setdefault(key, []).append(each["state"])
        rates.setdefault(key, []).append(each["packets"] / (INTERVAL_NS / 1e9))
    found = []
    for row in rows:
        key = (row["channel"], row["line"])
        found.append(LineDay(**row, states=tuple(states.pop(key, ())), rates=tuple(rates.pop(key, ()))))
    for (channel, line), known in states.items():  # configured, and nothing came
        nothing = LineDay(None, channel, line, 0, 0, 0, 0, 0, None, None, tuple(known), tuple(rates[channel, line]))
        found.append(nothing)
    return found


_ORDINARY = ("restart", "config", "mark", "session", "reorder", "duplicate")


def _worth_telling(events: pa.Table) -> list[dict[str, Any]]:
    for name in ("ts_start", "ts_end"):
        events = events.set_column(events.column_names.index(name), name, events.column(name).cast(pa.int64()))
    return [row for row in events.to_pylist() if row["kind"] not in _ORDINARY or row["severity"] != "info"]


_CLOCKS = """
SELECT host, clock, state, count(*) AS samples, count(error_ns) AS known, max(error_ns) AS worst_error_ns
FROM clock WHERE ts >= instant({start}) AND ts < instant({end}) GROUP BY ALL ORDER BY ALL
"""


def _clock(reader: ArchiveReader, begin: int, end: int) -> dict[str, Any] | None:
    rows = reader.connect(("clock",)).sql(_CLOCKS.format(start=begin, end=end)).to_arrow_table().to_pylist()
    if not rows:
        return None
    by_clock = groupby(rows, key=lambda row: (row["host"], row["clock"]))
    clocks = [{"host": host, "clock": clock, **_summed(list(its))} for (host, clock), its in by_clock]
    return {**_summed(rows), "clocks": clocks}


def _summed(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Share of the samples in each state, and without a bound; the worst bound."""
    samples = Counter[str]()
    for row in rows:
        samples[row["state"]] += row["samples"]
    errors = [row["worst_error_ns"] for row in rows if row["worst_error_ns"] is not None]
    return {
        "states": {state: count / samples.total() for state, count in sorted(samples.items())},
        "worst_error_ns": max(errors, default=None),
        "unknown": 1 - sum(row["known"] for row in rows) / samples.total(),
    }
