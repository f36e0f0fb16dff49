"""A report on clocks as text, and as one object for JSON."""

from collections.abc import Iterator
from typing import Any

from nanotape.storage.answer import stamp_text
from nanotape.storage.clock_days import ClockDay, ClockReport, Shares, day_facts

TO_DOCUMENT = (
    "This is a record of measurements, and claims no compliance with any rule. It cannot know, and a reviewer has to "
    "document:",
    "  traceability: that the master's time comes from UTC (its receiver, its calibration); the bounds take the master "
    "at its word",
    "  the path: a constant difference between its two directions, which no protocol can measure (clock.asymmetry)",
    "  the point of stamping: where on the way from the wire a packet is stamped (ts_kind), the same over the time",
    "  the limits that apply, who is responsible, and the review itself",
)
_WORDS_MAX = 6
_HEAD = (
    "day", "recorded", "<= 100 us", "<= 1 us", "<= 100 ns", "no bound", "worst bound", "at (UTC)", "holdovers",
    "longest", "masters", "steps", "TAI-UTC",
)  # fmt: skip


def report_lines(report: ClockReport) -> Iterator[str]:
    """All of it."""
    if not report.totals:
        yield "clock report: no clock was recorded in this time"
        return
    yield f"clock report from {_moment(report.begin_ns)} to {_moment(report.end_ns)}, days in UTC"
    for each in report.totals:
        yield ""
        yield f"host {each.host}, clock {each.clock}{f' ({each.interface})' if each.interface else ''}"
        days = [day for day in report.days if (day.host, day.clock) == (each.host, each.clock)]
        yield from _table([_cells(day) for day in (*days, each)])
        for title, shares in (
            ("states", each.states),
            ("disciplined by", each.sources),
            ("measured by", each.methods),
            ("masters", each.grandmasters),
            ("TAI-UTC in seconds, and who says so", each.utc_offsets),
        ):
            yield f"  {title}: {_times(shares, each.recorded_ns)}"
    yield ""
    yield "Shares are of the recorded time, by the bound on the error; where none is known a clock is within nothing."
    yield "masters, steps, TAI-UTC: how often another one, a step of the clock, another offset."
    yield ""
    yield from TO_DOCUMENT


def report_facts(report: ClockReport) -> dict[str, Any]:
    """For JSON: times in seconds, moments in nanoseconds since 1970, UTC."""
    return {
        "begin_ns": report.begin_ns,
        "end_ns": report.end_ns,
        "fine": report.is_fine,
        "clocks": [day_facts(each) for each in report.totals],
        "days": [day_facts(each) for each in report.days],
        "to_document": [line.strip() for line in TO_DOCUMENT],
    }


def _cells(day: ClockDay) -> tuple[str, ...]:
    return (
        day.date,
        _share(day.recorded_ns, day.span_ns),
        *(_share(each, day.recorded_ns) for each in day.within_ns),
        _share(day.recorded_ns - day.bounded_ns, day.recorded_ns),
        "unknown" if day.worst_error_ns is None else length(day.worst_error_ns),
        "" if day.worst_at_ns is None else _moment(day.worst_at_ns)[11 if len(day.date) == 10 else 0 :],
        f"{day.holdovers} ({length(day.holdover_ns)})" if day.holdover_ns else "0",
        length(day.longest_holdover_ns) if day.longest_holdover_ns else "",
        str(day.grandmaster_changes),
        str(day.steps),
        str(day.utc_offset_changes),
    )


def _table(rows: list[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(_HEAD, *rows, strict=True)]
    for row in (_HEAD, *rows):
        first, *rest = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        yield "  " + "  ".join((first.strip().ljust(widths[0]), *rest)).rstrip()


def _share(part_ns: int, whole_ns: int) -> str:
    """Rounded, but never to all or nothing: what is missing must be seen."""
    if not whole_ns:
        return "-"
    if part_ns in (0, whole_ns):
        return "0 %" if part_ns == 0 else "100 %"
    return f"{min(99.999, max(0.001, 100 * part_ns / whole_ns)):.3f} %"


def _times(shares: Shares, whole_ns: int) -> str:
    known = sum(ns for _, ns in shares)
    told = [f"{word} {_share(ns, whole_ns)}" for word, ns in shares[:_WORDS_MAX]]
    if more := shares[_WORDS_MAX:]:
        told.append(f"{len(more)} more {_share(sum(ns for _, ns in more), whole_ns)}")
    if known < whole_ns:
        told.append(f"unknown {_share(whole_ns - known, whole_ns)}")
    return ", ".join(told) or "unknown"


def length(ns: float) -> str:
    """A time with a fitting unit, rounded up: a bound must not be made smaller."""
    for unit, name in ((3600 * 10**9, "h"), (60 * 10**9, "min"), (10**9, "s"), (10**6, "ms"), (10**3, "us")):
        if ns >= unit:
            tenths = -(-ns * 10 // unit)
            return f"{tenths / 10:,.1f}".removesuffix(".0") + f" {name}"
    return f"{ns:.0f} ns"


def _moment(ns: int) -> str:
    return stamp_text(ns)[:19] + "Z"
