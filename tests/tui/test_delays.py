"""Percentiles of histograms by powers of two are bounds that hold, and `now` is what came in the last seconds."""

from __future__ import annotations

from dataclasses import replace

from crafted_looks import RING, SECOND_NS, loop
from hypothesis import given
from hypothesis import strategies as st

from nanotape.capture.counters import LoopGaps
from nanotape.capture.listing import RingFacts
from nanotape.tui.delays import ALL, Bound, SlidingLooks, Spread, ring_delays, together

BUCKETS = 40


def spread_of(values: list[int]) -> Spread:
    """As the loop counts: bucket 0 is below 1 ns, bucket b from 2^(b-1) to 2^b - 1, the last open-ended."""
    counts = [0] * BUCKETS
    for value in values:
        counts[min(max(0, value).bit_length(), BUCKETS - 1)] += 1
    return Spread(tuple(counts), max(values))


def with_delays(counts: tuple[int, ...], longest_ns: int, facts: RingFacts = RING) -> RingFacts:
    source = loop(facts).sources[0]
    changed = replace(source.loop, delay_histogram=counts, delay_max_ns=longest_ns)
    return replace(facts, sources=(replace(source, loop=changed),))


@given(st.lists(st.integers(-1000, 2**36), min_size=1, max_size=60), st.sampled_from((0.5, 0.9, 0.99, 0.999, 1.0)))
def test_a_percentile_is_at_most_its_bound_and_more_than_half_of_it(values: list[int], share: float) -> None:
    exact = sorted(values)[max(0, -(-int(share * 1000) * len(values) // 1000) - 1)]
    bound = spread_of(values).bound(share)
    assert bound is not None
    assert bound.is_at_most
    assert max(exact, 0) <= bound.ns
    assert bound.ns <= max(1, 2 * exact)


def test_what_is_in_the_open_ended_bucket_is_at_least_its_beginning() -> None:
    assert Spread((0, 0, 5)).bound(0.5) == Bound(2, is_at_most=False)
    assert Spread((0, 0, 5), 900).bound(0.5) == Bound(4), "but where the longest is known it is no more than that"


def test_of_nothing_no_percentile_is_known() -> None:
    assert Spread((0, 0, 0), 0).bound(0.5) is None
    assert Spread(()).bound(1.0) is None


def test_now_is_what_came_between_the_looks() -> None:
    first, second = with_delays((0, 10, 0, 1), 7), with_delays((0, 10, 4, 1), 7)
    found = ring_delays(second, first, 1.5)
    [source] = found.sources
    assert source.now == Spread((0, 0, 4, 0))
    assert source.since_start == Spread((0, 10, 4, 1), 7)
    assert found.seconds == 1.5


def test_a_ring_that_was_made_anew_has_no_now() -> None:
    found = ring_delays(with_delays((0, 1), 1), replace(with_delays((0, 9), 1), ring_id="b" * 32), 1.0)
    assert found.sources[0].now is None
    assert found.seconds is None
    assert ring_delays(with_delays((0, 1), 1), with_delays((0, 9), 1), 1.0).sources[0].now is None, "counts fell"


def test_several_sources_are_also_shown_together() -> None:
    facts = with_delays((0, 2), 1)
    source = facts.sources[0]
    other = replace(
        source, slot=1, name="afxdp:eth1:1", loop=replace(source.loop, delay_histogram=(0, 0, 3), delay_max_ns=3)
    )
    found = ring_delays(replace(facts, sources=(source, other)), replace(facts, sources=(source, other)), 1.0)
    assert [each.name for each in found.sources] == [ALL, "afxdp:eth1:0", "afxdp:eth1:1"]
    assert found.sources[0].since_start == Spread((0, 2, 3), 3)
    assert found.sources[0].now == Spread((0, 0, 0))


def test_the_longest_of_several_is_unknown_where_one_is() -> None:
    assert together([Spread((1,), 5), Spread((1,))]).longest_ns is None
    assert together([Spread((1,), 5), Spread((0,))]).longest_ns == 5, "one that has none does not count"


def test_late_rounds_are_counted_now_and_since_the_start() -> None:
    first = replace(RING, gaps=LoopGaps(10_000, 2, 70_000, 90_000, (0,) * 15 + (2,)))
    second = replace(RING, gaps=LoopGaps(10_000, 5, 70_000, 150_000, (0,) * 15 + (5,)))
    found = ring_delays(second, first, 2.0)
    assert found.gaps_now is not None
    assert (found.gaps_now.total, found.gaps_now_ns) == (3, 60_000)
    assert ring_delays(RING, RING, 1.0).gaps is None


def test_now_slides_over_the_last_seconds_however_often_it_is_looked() -> None:
    sliding = SlidingLooks()
    for tenth in range(101):
        found = sliding.add(tenth * SECOND_NS // 10, with_delays((0, 10 * tenth), 1))
    now = found.sources[0].now
    assert found.seconds is not None
    assert now is not None
    assert 5.0 <= found.seconds < 5.5
    assert now.total == round(100 * found.seconds)


def test_whoever_looks_once_a_minute_sees_the_minute() -> None:
    sliding = SlidingLooks()
    for minute in range(4):
        found = sliding.add(minute * 60 * SECOND_NS, with_delays((0, 3 * minute), 1))
    assert found.seconds == 60.0
    assert found.sources[0].now == Spread((0, 3))
