"""What an arbitration says as a whole: who was first how often, by how much, and what came on one line or on none.

Memory does not grow with the rows: skews are counted in classes of 0.1 %, so percentiles are that exact; the largest,
and all counts, are exact.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

_DIGITS = 10
"""Binary digits of a skew that are kept."""
_SHARES = (0.5, 0.9, 0.99)
MISSING_MAX = 1000
"""Ranges that are listed; all are counted."""


@dataclass(frozen=True, slots=True)
class LineArrivals:
    """One line."""

    line: str | None
    first: int
    """Messages that it brought first, or alone."""
    share: float
    """Of all."""
    only: int
    """Messages that no other line brought within the wait."""


@dataclass(frozen=True, slots=True)
class MissingRange:
    """Sequences that no line brought, between some that came."""

    host: str | None
    feed_session: str | None
    feed_key: str | None
    restarts: int
    seq_first: int
    seq_last: int


@dataclass(frozen=True, slots=True)
class ArbitrationStatistics:
    """Of one channel; all counts are of messages."""

    channel: str
    messages: int
    """Different ones that came."""
    lines: tuple[LineArrivals, ...]
    skew_p50_ns: int | None
    """How much later another line brought what one brought; None: nothing came on two lines."""
    skew_p90_ns: int | None
    skew_p99_ns: int | None
    skew_max_ns: int | None
    missing: int
    """On all lines, between the first and the last of each stream."""
    missing_ranges: tuple[MissingRange, ...]
    """The first of them, MISSING_MAX at most."""


@dataclass(slots=True)
class ArrivalCounts:
    """What is counted while rows go by."""

    first: Counter[int] = field(default_factory=Counter)
    """By code of the line."""
    only: Counter[int] = field(default_factory=Counter)
    skews: Counter[int] = field(default_factory=Counter)
    """By class."""
    skew_max_ns: int | None = None

    def count(self, lines: npt.NDArray[Any], messages: npt.NDArray[Any], delays: npt.NDArray[Any]) -> None:
        """Takes ranges: the line that was first, how many messages, and the delay of another line, negative: none."""
        alone = delays < 0
        _sum(self.first, lines, messages)
        _sum(self.only, lines[alone], messages[alone])
        _sum(self.skews, _classes(delays[~alone]), messages[~alone])
        if not alone.all():
            self.skew_max_ns = max(int(delays.max()), self.skew_max_ns or 0)

    def skew_ns(self, share: float) -> int | None:
        """The skew that so many of the messages that came twice do not exceed."""
        wanted, upto = share * sum(self.skews.values()), 0
        for each in sorted(self.skews):
            upto += self.skews[each]
            if upto >= wanted:
                return min(_value(each), self.skew_max_ns or 0)
        return None

    def statistics(
        self, channel: str, lines: list[str | None], missing: int, ranges: tuple[MissingRange, ...]
    ) -> ArbitrationStatistics:
        """All of it; `lines` by code."""
        messages = sum(self.first.values())
        told = [
            LineArrivals(line, self.first[code], self.first[code] / messages, self.only[code])
            for code, line in enumerate(lines)
            if messages
        ]
        p50, p90, p99 = (self.skew_ns(share) for share in _SHARES)
        by_name = tuple(sorted(told, key=lambda each: each.line or ""))
        return ArbitrationStatistics(channel, messages, by_name, p50, p90, p99, self.skew_max_ns, missing, ranges)


def _sum(into: Counter[int], keys: npt.NDArray[Any], amounts: npt.NDArray[Any]) -> None:
    present, places = np.unique(keys, return_inverse=True)
    sums = np.zeros(len(present), np.int64)
    np.add.at(sums, places.reshape(-1), amounts)
    into.update(dict(zip(present.tolist(), sums.tolist(), strict=True)))


def _classes(values: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """The first binary digits of each number, and how many follow; those of larger numbers are larger."""
    follow = np.zeros(len(values), np.int64)
    for more in (32, 16, 8, 4, 2, 1):
        follow += np.where(values >> (follow + more) >= 1 << (_DIGITS - 1), more, 0)
    classes: npt.NDArray[np.int64] = (follow << _DIGITS) | (values >> follow)
    return classes


def _value(of_class: int) -> int:
    """The largest number of a class."""
    follow, digits = of_class >> _DIGITS, of_class & ((1 << _DIGITS) - 1)
    return ((digits + 1) << follow) - 1
