"""What an audit says of stamps: who made them, how far they may be off, and how many were not believed.

It judges nothing: what error is too large is for whoever uses them to say.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StampSheet:
    """The packets of a host that were stamped alike."""

    host: str
    ts_kind: str
    """Who made `ts`: nic, xdp, kernel, user or file."""
    packets: int
    unknown: int
    """Of these, packets of which nothing is known of the clock's error: `ts_error_ns` is null."""
    worst_error_ns: int | None
    """Largest `ts_error_ns`; None: of none it is known."""
    bad_stamps: int
    """Packets whose own stamp lay where it cannot be, and was replaced."""
    backwards: int
    """Packets whose stamp was earlier than the one before in their flow."""
    unstamped: int
    """Packets that came without a stamp; `ts` is when they were read."""


STAMPS = """
SELECT host, ts_kind, count(*) AS packets, count(*) - count(ts_error_ns) AS unknown,
    max(ts_error_ns) AS worst_error_ns, count(*) FILTER (bad_stamp) AS bad_stamps,
    count(*) FILTER (backwards) AS backwards, count(*) FILTER (unstamped) AS unstamped
FROM packets WHERE {where} GROUP BY ALL ORDER BY host, ts_kind
"""


def stamp_lines(sheets: Sequence[StampSheet]) -> Iterator[str]:
    """A line for each."""
    for each in sheets:
        parts = [error_text(each)]
        for count, what in (
            (each.bad_stamps, "stamps that were not believed"),
            (each.backwards, "stamps that went backwards"),
            (each.unstamped, "without a stamp"),
        ):
            parts += [f"{count:,} {what}"] if count else []
        yield f"stamps by {each.ts_kind} on {each.host}: {each.packets:,} packets; {', '.join(parts)}"


def error_text(sheet: StampSheet) -> str:
    """How far they may be off."""
    if sheet.worst_error_ns is None:
        return "error unknown"
    unknown = f", unknown of {sheet.unknown / sheet.packets:.1%} ({sheet.unknown:,})" if sheet.unknown else ""
    return f"error at most {sheet.worst_error_ns:,} ns{unknown}"
