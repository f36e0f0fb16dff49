"""A day's report as text."""

from collections.abc import Iterator
from typing import Any

from nanotape.storage.answer import stamp_text
from nanotape.storage.audit_text import audit_lines
from nanotape.storage.event_follow import event_line
from nanotape.storage.report import DayReport, LineDay

_EVENTS_MAX = 50


def report_lines(report: DayReport) -> Iterator[str]:
    """All of it."""
    yield f"nanotape report of {report.date} ({report.tz})"
    yield ""
    yield from audit_lines(report.sheet)
    yield ""
    shares = ", ".join(f"{state.replace('_', ' ')} {share:.1%}" for state, share in report.shares.items())
    yield f"completeness, by intervals of 5 minutes: {shares or 'nothing was configured or came'}"
    yield from _peaks(report.lines)
    yield f"A and B: {_arrivals(report.lines)}"
    yield f"clock: {clock_text(report)}"
    counts = ", ".join(f"{kind} {count:,}" for kind, count in sorted(report.event_counts.items()))
    yield f"events: {counts or 'none'}"
    for event in report.events[:_EVENTS_MAX]:
        yield f"  {event_line(event)}"
    if len(report.events) > _EVENTS_MAX:
        yield f"  ... and {len(report.events) - _EVENTS_MAX:,} more: nanotape events"


def clock_text(report: DayReport) -> str:
    """The clock in a line."""
    if report.clock is None:
        return "unknown: nothing of it was recorded"
    return "; ".join(_one_clock(each) for each in report.clock["clocks"])


def _one_clock(clock: dict[str, Any]) -> str:
    states = ", ".join(f"{state} {share:.1%}" for state, share in clock["states"].items())
    worst, unknown = clock["worst_error_ns"], clock["unknown"]
    error = "error unknown" if worst is None else f"error at most {worst:,} ns"
    error += f", unknown for {unknown:.1%}" if worst is not None and unknown else ""
    return f"{clock['clock']} on {clock['host']}: {states}; {error}"


def _peaks(lines: tuple[LineDay, ...]) -> Iterator[str]:
    yield "peaks:"
    for each in lines:
        if each.packets:
            delay = "unknown" if each.rx_delay_p99_ns is None else f"{each.rx_delay_p99_ns:,} ns"
            yield (
                f"  {each.channel} {each.line or '-'}: {each.peak_1ms_packets:,} packets in a millisecond of "
                f"{stamp_text(each.peak_1ms_ns)[:19]}Z, {each.peak_1s_packets:,} in a second; receive delay p99 {delay}"
            )


def _arrivals(lines: tuple[LineDay, ...]) -> str:
    known = [each for each in lines if each.first_arrivals is not None]
    if not known:
        return "who was first is not known: no sequences were decoded"
    return ", ".join(f"{each.channel} {each.line}: first with {each.first_arrivals:.1%}" for each in known)
