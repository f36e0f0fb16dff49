"""The rows of the latency screen and the bars of a chosen one, as text. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from nanotape.tui.delays import SHARES, Bound, RingDelays, Spread, gaps_of
from nanotape.tui.words import UNKNOWN, nanoseconds, seconds, short

GAPS = "loop gaps"
NOW, START = "now", "start"
_BAR = "█"


@dataclass(frozen=True, slots=True)
class LatencyRow:
    """How long something took, over some time."""

    ring: str
    name: str
    """A source, `all` of them, or `loop gaps`."""
    when: str
    """`now`: the last seconds; `start`: since the ring was made."""
    spread: Spread | None
    """None: not known."""

    @property
    def key(self) -> str:
        """Another one for each row."""
        return f"{self.ring}\t{self.name}\t{self.when}"

    @property
    def bounds(self) -> tuple[Bound | None, ...]:
        """Of each of SHARES."""
        return tuple(None if self.spread is None else self.spread.bound(each) for each in SHARES)


def latency_rows(rings: Sequence[RingDelays]) -> tuple[LatencyRow, ...]:
    """Two rows for each source of each ring, and two for its loop's gaps where they are measured."""
    rows = []
    for ring in rings:
        for source in ring.sources:
            rows.append(LatencyRow(ring.ring, source.name, NOW, source.now))
            rows.append(LatencyRow(ring.ring, source.name, START, source.since_start))
        if ring.gaps is not None:
            rows.append(LatencyRow(ring.ring, GAPS, NOW, ring.gaps_now))
            rows.append(LatencyRow(ring.ring, GAPS, START, gaps_of(ring.gaps)))
    return tuple(rows)


def bound_text(bound: Bound | None) -> str:
    """`512 ns`, where the head of the column says that it is at most that; `>8.6 s` where it is more."""
    if bound is None:
        return UNKNOWN
    written = short_time(bound.ns)
    return written if bound.is_at_most else f">{written}"


def short_time(length_ns: int) -> str:
    """With three digits: `512 ns`, `2.05 us`, `33.6 ms`."""
    for step, unit in ((10**9, "s"), (10**6, "ms"), (10**3, "us")):
        if length_ns >= step:
            return f"{length_ns / step:.3g} {unit}"
    return nanoseconds(length_ns)


def caption(ring: RingDelays, name: str, age_s: float) -> str:
    """What a row is about, in one line.

    Args:
        ring: Whose row.
        name: Of the row.
        age_s: Since the ring was made.
    """
    if name == GAPS and ring.gaps is not None:
        gaps = ring.gaps
        late = f"{gaps.total_ns / 1e9 / age_s:.4%}" if age_s > 0 else UNKNOWN
        now = ""
        if ring.gaps_now is not None and ring.gaps_now_ns is not None and ring.seconds:
            now = f"; {ring.gaps_now.total:,} in the last {ring.seconds:.0f} s, {short_time(ring.gaps_now_ns)} together"
        threshold = short_time(gaps.threshold_ns)
        return (
            f"Loop of {ring.ring}: {gaps.count:,} rounds late by {threshold} and more, longest "
            f"{short_time(gaps.longest_ns)}, {late} of {seconds(age_s)}{now}"
        )
    kind = next((source.stamp_kind for source in ring.sources if source.name == name), None)
    return f"{name} of {ring.ring}: from the stamp ({kind or 'who stamps is unknown'}) to the ring"


def histogram_lines(now: Spread | None, since_start: Spread, width: int) -> list[str]:
    """A line for each bucket that has something, from the first to the last; bars by the logarithm of their count.

    Args:
        now: To the left; None: not known.
        since_start: To the right.
        width: Of a line.
    """
    counts = now.counts if now is not None else (0,) * len(since_start.counts)
    used = [b for b, (one, other) in enumerate(zip(counts, since_start.counts, strict=True)) if one or other]
    if not used:
        return ["nothing was measured yet"]
    room = max(1, (width - 28) // 2)
    head = f"{'from':>8}  {NOW:<{room + 8}}  {'since start':<{room + 8}}".rstrip()
    lines = [head]
    for bucket in range(used[0], used[-1] + 1):
        left = _bar(counts[bucket], max(counts), room)
        right = _bar(since_start.counts[bucket], max(since_start.counts), room)
        begins = short_time(1 << (bucket - 1)) if bucket else "0 ns"
        lines.append(f"{begins:>8}  {left}  {right}".rstrip())
    return lines


def _bar(count: int, most: int, room: int) -> str:
    length = math.ceil((math.log10(count) + 1) / (math.log10(most) + 1) * room) if count else 0
    return f"{short(count) if count else '':>7} {_BAR * length:<{room}}"
