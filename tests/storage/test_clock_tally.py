"""Sums of a clock's days against a plain twin that walks through its rows one by one."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from nanotape.storage.archive import projected
from nanotape.storage.clock_days import LIMITS_NS, ClockDay
from nanotape.storage.clock_tally import COLUMNS, SPEAKS_NS, ClockTally

DAY_NS = 7 * 10**9
"""Days of the tests are short, so that few rows go over many midnights."""
STATES = ("unknown", "free-running", "acquiring", "locked", "holdover")

rows_of_a_clock = st.lists(
    st.fixed_dictionaries(
        {
            "after_ns": st.sampled_from([1, 300_000_001, 10**9, 1_700_000_000, 2 * 10**9, 2_500_000_000, 6 * 10**9]),
            "state": st.sampled_from(("holdover", "holdover", *STATES)),
            "error_ns": st.none() | st.sampled_from([0, 100, 101, 1000, 100_000, 100_001]),
            "offset_ns": st.none() | st.integers(-(10**6), 10**6),
            "grandmaster": st.sampled_from([None, "a", "b"]),
            "utc_offset_s": st.sampled_from([None, 37, 38]),
            "utc_offset_source": st.sampled_from([None, "ptp", "kernel"]),
            "source": st.sampled_from([None, "ptp4l", "chrony"]),
            "method": st.sampled_from([None, "pmc", "log"]),
        }
    ),
    min_size=10,
    max_size=60,
)


def table(rows: list[dict[str, Any]]) -> pa.Table:
    """As ClockRows gives them."""
    schema = projected("clock", COLUMNS)
    columns = []
    for field in schema:
        values = [row.get(field.name) for row in rows]
        if pa.types.is_dictionary(field.type):
            columns.append(pa.array(values, pa.string()).dictionary_encode().cast(field.type))
        elif field.name == "ts":
            columns.append(pa.array(values, pa.int64()).cast(field.type))
        else:
            columns.append(pa.array(values, field.type))
    return pa.table(columns, schema=schema)


def told(rows: list[dict[str, Any]], days: int) -> list[ClockDay]:
    """What the tally says of each day."""
    tally = ClockTally("box", "system", 0, days * DAY_NS, 7)
    found = []
    for day in range(days):
        begin, end = day * DAY_NS, (day + 1) * DAY_NS
        own = [row for row in rows if begin <= row["ts"] < end]
        found.append(tally.add(str(day), begin, end, table(own)))
    return found


def times(rows: list[dict[str, Any]], begin: int, end: int) -> list[tuple[dict[str, Any], int, int]]:
    """Each row with the part of a day for which it speaks."""
    spoken = []
    for at, row in enumerate(rows):
        until = row["ts"] + SPEAKS_NS
        if at + 1 < len(rows):
            until = min(until, rows[at + 1]["ts"])
        low, high = max(begin, row["ts"]), min(end, until)
        if low < high:
            spoken.append((row, low, high))
    return spoken


@settings(deadline=None)
@given(rows_of_a_clock)
def test_every_sum_is_that_of_a_plain_walk_through_the_rows(drawn: list[dict[str, Any]]) -> None:
    at_ns, rows = 0, []
    for row in drawn:
        at_ns += row["after_ns"]
        rows.append({**row, "ts": at_ns, "host": "box", "clock": "system"})
    days = at_ns // DAY_NS + 1
    for day, found in enumerate(told(rows, days)):
        spoken = times(rows, day * DAY_NS, (day + 1) * DAY_NS)
        assert found.recorded_ns == sum(high - low for _, low, high in spoken)
        for limit, within in zip(LIMITS_NS, found.within_ns, strict=True):
            known = [
                (low, high) for row, low, high in spoken if row["error_ns"] is not None and row["error_ns"] <= limit
            ]
            assert within == sum(high - low for low, high in known)
        errors = [(row["error_ns"], low) for row, low, _ in spoken if row["error_ns"] is not None]
        assert found.worst_error_ns == max((error for error, _ in errors), default=None)
        assert found.worst_at_ns == next((low for error, low in errors if error == found.worst_error_ns), None)
        for name in ("state", "grandmaster", "source", "method"):
            sums: dict[str, int] = {}
            for row, low, high in spoken:
                if row[name] is not None:
                    sums[row[name]] = sums.get(row[name], 0) + high - low
            shares = {"state": found.states, "grandmaster": found.grandmasters, "source": found.sources}
            assert dict(shares.get(name, found.methods)) == sums
        assert sum(ns for _, ns in found.utc_offsets) == sum(
            high - low for row, low, high in spoken if row["utc_offset_s"] is not None
        )
        assert found.holdover_ns == dict(found.states).get("holdover", 0)
        own = [row for row in rows if day * DAY_NS <= row["ts"] < (day + 1) * DAY_NS]
        assert found.grandmaster_changes == changes(rows, own, "grandmaster")
        assert found.utc_offset_changes == changes(rows, own, "utc_offset_s")
        assert (found.holdovers, found.longest_holdover_ns) == holdovers(rows, own, spoken)


def changes(rows: list[dict[str, Any]], own: list[dict[str, Any]], name: str) -> int:
    """In a day: rows whose word is another than the last known one."""
    before, count = None, 0
    for row in rows:
        if row[name] is not None:
            count += before is not None and row[name] != before and row in own
            before = row[name]
    return count


def holdovers(
    rows: list[dict[str, Any]], own: list[dict[str, Any]], spoken: list[tuple[dict[str, Any], int, int]]
) -> tuple[int, int]:
    """In a day: how many begin, and how long the longest that goes on in it has lasted by its end."""
    begun: dict[int, int] = {}  # by the stamp of a row the begin of its holdover
    count = 0
    since: int | None = None
    for row in rows:
        if row["state"] != "holdover":
            since = None
            continue
        if since is None:
            since = row["ts"]
            count += row in own
        begun[row["ts"]] = since
    ends = [high - begun[row["ts"]] for row, _, high in spoken if row["state"] == "holdover"]
    return count, max(ends, default=0)
