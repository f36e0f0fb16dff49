"""Histograms of time by powers of two: what of them is new, and bounds of their percentiles.

Pure. A bucket says no more than its bounds, so a percentile is one: "at most 512 ns". None is unknown, never 0.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from nanotape.capture.counters import LoopGaps, SourceCounters
from nanotape.capture.listing import RingFacts

SHARES = (0.5, 0.99, 0.999, 1.0)
"""Of the percentiles that are shown; 1: the longest."""
ALL = "all"
"""Name of the sources together."""


@dataclass(frozen=True, slots=True)
class Bound:
    """Of a time that is known but for its bucket."""

    ns: int
    is_at_most: bool = True
    """False: in the open-ended bucket, so that it is at least this."""


@dataclass(frozen=True, slots=True)
class Spread:
    """How long something took, how often."""

    counts: tuple[int, ...]
    """Bucket 0: below 1 ns; bucket b: 2^(b-1) to 2^b - 1 ns; the last open-ended."""
    longest_ns: int | None = None
    """The very longest, where somebody kept it; None: only its bucket is known."""

    @property
    def total(self) -> int:
        """How often."""
        return sum(self.counts)

    def bound(self, share: float) -> Bound | None:
        """Of that share of all; None: there was none.

        Args:
            share: From 0 to 1; 1: of the longest.
        """
        total = self.total
        if not total:
            return None
        if share >= 1.0 and self.longest_ns is not None:
            return Bound(max(self.longest_ns, 0))
        wanted, last = max(1.0, share * total), len(self.counts) - 1
        bucket = next(bucket for bucket, passed in enumerate(accumulate(self.counts)) if passed >= min(wanted, total))
        if bucket == last and self.longest_ns is None:
            return Bound(1 << (last - 1), is_at_most=False)
        upper = 1 << bucket
        return Bound(upper if self.longest_ns is None else min(upper, max(self.longest_ns, 0)))

    def minus(self, earlier: Spread) -> Spread | None:
        """What came since; None: it was begun anew meanwhile, so that the two cannot be compared."""
        if len(earlier.counts) != len(self.counts):
            return None
        counts = tuple(now - was for now, was in zip(self.counts, earlier.counts, strict=True))
        return None if any(count < 0 for count in counts) else Spread(counts)


def together(spreads: Iterable[Spread]) -> Spread:
    """The sum of several; the longest of all where each is known."""
    each = list(spreads)
    width = max((len(spread.counts) for spread in each), default=0)
    counts = tuple(sum(spread.counts[b] for spread in each if b < len(spread.counts)) for b in range(width))
    longest = [spread.longest_ns for spread in each if spread.total]
    known = [ns for ns in longest if ns is not None]
    return Spread(counts, max(known) if known and len(known) == len(longest) else None)


def delays_of(source: SourceCounters) -> Spread:
    """Of a source's packets: from stamp to ring, since the ring was made."""
    return Spread(source.loop.delay_histogram, source.loop.delay_max_ns)


def gaps_of(gaps: LoopGaps) -> Spread:
    """Of a loop's late rounds, since the ring was made."""
    return Spread(gaps.histogram, gaps.longest_ns)


@dataclass(frozen=True, slots=True)
class SourceDelays:
    """Of one source, or of all together."""

    name: str
    stamp_kind: str | None
    """Who stamped; None: not known, or not the same for all."""
    now: Spread | None
    """Of the last seconds; None: there was no look before, or all was begun anew since."""
    since_start: Spread


@dataclass(frozen=True, slots=True)
class RingDelays:
    """Of one ring."""

    ring: str
    seconds: float | None
    """That `now` is of; None: there was no look before."""
    sources: tuple[SourceDelays, ...]
    """All together first, where there are several."""
    gaps: LoopGaps | None
    """None: nobody measures."""
    gaps_now: Spread | None
    gaps_now_ns: int | None
    """All that the loop was late in these seconds."""


def ring_delays(later: RingFacts, earlier: RingFacts | None, seconds: float | None) -> RingDelays:
    """What two looks say.

    Args:
        later: The newest.
        earlier: One some seconds before; None, or of another ring: nothing can be said of now.
        seconds: Between the two.
    """
    if earlier is not None and earlier.ring_id != later.ring_id:
        earlier = None
    before = {source.name: source for source in earlier.sources} if earlier else {}
    each = [_source(source, before.get(source.name)) for source in later.sources]
    late = late_ns = None
    if later.gaps and earlier and earlier.gaps and later.gaps.threshold_ns == earlier.gaps.threshold_ns:
        late = gaps_of(later.gaps).minus(gaps_of(earlier.gaps))
        late_ns = None if late is None else later.gaps.total_ns - earlier.gaps.total_ns
    shown = (_all(each), *each) if len(each) > 1 else tuple(each)
    return RingDelays(later.name, seconds if earlier else None, shown, later.gaps, late, late_ns)


def _source(source: SourceCounters, before: SourceCounters | None) -> SourceDelays:
    so_far = delays_of(source)
    return SourceDelays(source.name, source.stamp_kind, so_far.minus(delays_of(before)) if before else None, so_far)


def _all(each: Sequence[SourceDelays]) -> SourceDelays:
    kinds = {source.stamp_kind for source in each}
    now = [source.now for source in each if source.now is not None]
    return SourceDelays(
        ALL,
        kinds.pop() if len(kinds) == 1 else None,
        together(now) if len(now) == len(each) else None,
        together(source.since_start for source in each),
    )


class SlidingLooks:
    """Looks at one ring of the last few seconds, of which the oldest is compared with the newest."""

    def __init__(self, window_ns: int = 5 * 10**9, apart_ns: int = 200_000_000) -> None:
        """Has none yet.

        Args:
            window_ns: How far back `now` reaches.
            apart_ns: However often it is looked, no more than one look of such a time is kept.
        """
        self._window_ns, self._apart_ns = window_ns, apart_ns
        self._kept: deque[tuple[int, RingFacts]] = deque()

    @property
    def has_any(self) -> bool:
        """Whether there is one to compare with."""
        return bool(self._kept)

    def add(self, at_ns: int, facts: RingFacts) -> RingDelays:
        """What the newest look and those before say.

        Args:
            at_ns: Monotonic.
            facts: Of the ring.
        """
        if self._kept and self._kept[-1][1].ring_id != facts.ring_id:
            self._kept.clear()
        while len(self._kept) > 1 and at_ns - self._kept[1][0] >= self._window_ns:
            self._kept.popleft()
        earlier = self._kept[0] if self._kept else None
        if not self._kept or at_ns - self._kept[-1][0] >= self._apart_ns:
            self._kept.append((at_ns, facts))
        if earlier is None or earlier[0] >= at_ns:
            return ring_delays(facts, None, None)
        return ring_delays(facts, earlier[1], (at_ns - earlier[0]) / 1e9)
