"""What a report says of a clock and a day, or of all days: facts alone. None is unknown, times are in nanoseconds."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

LIMITS_NS = (100_000, 1_000, 100)
"""Of the bound on the error: 100 us, 1 us, 100 ns."""
EDGE_NS = 2 * 10**9
"""As much may be without a row where a report begins and ends between two of them."""
ALL_DAYS = "all"

Shares = tuple[tuple[str, int], ...]
"""Words, and for how long each held; the longest first."""


@dataclass(frozen=True, slots=True)
class ClockDay:
    """A clock over the part of a UTC day that is reported on."""

    date: str
    """YYYY-MM-DD, or ALL_DAYS."""
    host: str
    clock: str
    interface: str | None
    span_ns: int
    """How long that part is."""
    recorded_ns: int
    """For how long a row speaks for the clock; the rest is unknown."""
    bounded_ns: int
    """For how long the bound on its error was known."""
    within_ns: tuple[int, ...]
    """For how long that was within each of LIMITS_NS."""
    worst_error_ns: int | None
    worst_at_ns: int | None
    """UTC."""
    states: Shares
    holdovers: int
    """That began."""
    holdover_ns: int
    longest_holdover_ns: int
    """With what it had lasted already as the day began."""
    grandmasters: Shares
    grandmaster_changes: int
    utc_offsets: Shares
    """TAI minus UTC in seconds, and who says so."""
    utc_offset_changes: int
    steps: int
    """By events: a step leaves no other trace."""
    sources: Shares
    """Who disciplined it."""
    methods: Shares
    """How it was measured."""

    @property
    def unrecorded_ns(self) -> int:
        """For how long nothing is known: no row speaks for it."""
        return self.span_ns - self.recorded_ns

    @property
    def shares_within(self) -> tuple[float | None, ...]:
        """Of the recorded time; an unknown bound is within nothing. None: nothing was recorded."""
        return tuple(each / self.recorded_ns if self.recorded_ns else None for each in self.within_ns)

    @property
    def is_fine(self) -> bool:
        """Whether all of the time but the edges is recorded, and all of that known to be within the first limit."""
        return self.unrecorded_ns <= EDGE_NS and self.within_ns[0] == self.recorded_ns


@dataclass(frozen=True, slots=True)
class ClockCurve:
    """A clock over the whole time in equal parts: what a picture shows."""

    host: str
    clock: str
    errors_ns: tuple[int | None, ...]
    """Largest bound in each part; None: none was known."""
    offsets_ns: tuple[int | None, ...]
    """Largest offset in each part, without its sign; None: none was known."""
    states: tuple[str | None, ...]
    """The worst in each part; None: no row."""


@dataclass(frozen=True, slots=True)
class ClockReport:
    """All clocks of some archives over a time."""

    begin_ns: int
    end_ns: int
    days: tuple[ClockDay, ...]
    """By host, clock and day."""
    totals: tuple[ClockDay, ...]
    """All days of each clock."""
    curves: tuple[ClockCurve, ...]

    @property
    def is_fine(self) -> bool:
        """Whether something was recorded, and each clock was known to be within the first limit all the time."""
        return bool(self.totals) and all(each.is_fine for each in self.totals)


def total(days: Sequence[ClockDay]) -> ClockDay:
    """All days of one clock; at least one."""
    worst = max(days, key=lambda day: -1 if day.worst_error_ns is None else day.worst_error_ns)
    return replace(
        days[-1],
        date=ALL_DAYS,
        interface=next((day.interface for day in reversed(days) if day.interface is not None), None),
        span_ns=sum(day.span_ns for day in days),
        recorded_ns=sum(day.recorded_ns for day in days),
        bounded_ns=sum(day.bounded_ns for day in days),
        within_ns=tuple(sum(each) for each in zip(*(day.within_ns for day in days), strict=True)),
        worst_error_ns=worst.worst_error_ns,
        worst_at_ns=worst.worst_at_ns,
        states=_together([day.states for day in days]),
        holdovers=sum(day.holdovers for day in days),
        holdover_ns=sum(day.holdover_ns for day in days),
        longest_holdover_ns=max(day.longest_holdover_ns for day in days),
        grandmasters=_together([day.grandmasters for day in days]),
        grandmaster_changes=sum(day.grandmaster_changes for day in days),
        utc_offsets=_together([day.utc_offsets for day in days]),
        utc_offset_changes=sum(day.utc_offset_changes for day in days),
        steps=sum(day.steps for day in days),
        sources=_together([day.sources for day in days]),
        methods=_together([day.methods for day in days]),
    )


def longest_first(times: dict[str, int]) -> Shares:
    """Without those that held for no time at all."""
    return tuple(sorted(((word, ns) for word, ns in times.items() if ns), key=lambda each: (-each[1], each[0])))


def _together(several: Sequence[Shares]) -> Shares:
    times: dict[str, int] = {}
    for shares in several:
        for word, ns in shares:
            times[word] = times.get(word, 0) + ns
    return longest_first(times)


def day_facts(day: ClockDay) -> dict[str, Any]:
    """For JSON: seconds and shares, by names that say what they are."""
    names = ("100us", "1us", "100ns")
    return {
        "date": day.date,
        "host": day.host,
        "clock": day.clock,
        "interface": day.interface,
        "span_s": day.span_ns / 1e9,
        "recorded_s": day.recorded_ns / 1e9,
        "unrecorded_s": day.unrecorded_ns / 1e9,
        "bound_known_s": day.bounded_ns / 1e9,
        **{f"within_{name}_s": ns / 1e9 for name, ns in zip(names, day.within_ns, strict=True)},
        **{f"share_within_{name}": share for name, share in zip(names, day.shares_within, strict=True)},
        "worst_error_ns": day.worst_error_ns,
        "worst_at_ns": day.worst_at_ns,
        "states_s": _seconds(day.states),
        "holdovers": day.holdovers,
        "holdover_s": day.holdover_ns / 1e9,
        "longest_holdover_s": day.longest_holdover_ns / 1e9,
        "grandmasters_s": _seconds(day.grandmasters),
        "grandmaster_changes": day.grandmaster_changes,
        "utc_offsets_s": _seconds(day.utc_offsets),
        "utc_offset_changes": day.utc_offset_changes,
        "steps": day.steps,
        "sources_s": _seconds(day.sources),
        "methods_s": _seconds(day.methods),
    }


def _seconds(shares: Shares) -> dict[str, float]:
    return {word: ns / 1e9 for word, ns in shares}
