"""Whatever several writers do, the merge hands out every row once, in order but for those that it counts as late."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import given, settings
from hypothesis import strategies as st
from merge_rig import MS, MergedRow, Rig, row

from nanotape.capture.merge import HOLD_S

MS_NS = 1_000_000
HOLD_NS = int(HOLD_S * 1e9)

RING_COUNTS = st.integers(2, 3)
# Of each row: nanoseconds since the one before it on the wire, its ring, how long its ring takes to publish it.
WIRE = st.lists(st.tuples(st.sampled_from([0, 0, 1, MS_NS, 7 * MS_NS, 40 * MS_NS]), st.integers(0, 2)), max_size=60)
DELAYS = st.tuples(*[st.integers(0, HOLD_NS - 1000)] * 3)
LOOKS = st.lists(st.sampled_from([0, MS_NS // 10, 3 * MS_NS, 25 * MS_NS]), min_size=1, max_size=10)


def keys(rows: list[MergedRow]) -> list[tuple[int, str, int]]:
    """What the order goes by."""
    return [(ts, ring, sequence) for ring, sequence, ts, _ in rows]


@given(RING_COUNTS, WIRE, DELAYS, LOOKS)
@settings(deadline=None, max_examples=80)
def test_rings_that_publish_within_the_hold_come_out_as_if_sorted(
    count: int, wire: list[tuple[int, int]], delays: tuple[int, ...], looks: list[int]
) -> None:
    """And nothing waits for longer than the hold, and a look."""
    ts, coming = 0, []
    for gap, ring in wire:
        ts += gap
        coming.append((ts + delays[ring % count], ring % count, ts))
    coming.sort()
    expected: list[tuple[int, str, int]] = []
    read: list[float] = []
    with Rig(count) as rig:

        def publish() -> None:
            assert len(rig.out) >= sum(at <= rig.clock.now - HOLD_S - MS for at in read)
            now_ns = max(round(rig.clock.now * 1e9), coming[0][0] if coming else 0) + looks[len(read) % len(looks)]
            rig.clock.now = now_ns / 1e9
            while coming and coming[0][0] <= now_ns:
                _, ring, stamp = coming.pop(0)
                expected.append((stamp, "abc"[ring], rig.writers[ring].next_seq))
                rig.write(ring, stamp)
                read.append(rig.clock.now)

        rig.follow(*[publish] * len(coming), *[lambda: rig.pass_time(HOLD_S / MS + 1)] * 2)
        assert not coming
        assert keys(rig.out) == sorted(expected)
        assert (rig.merged.late, rig.merged.held) == (0, 0)


@given(
    st.lists(st.lists(st.integers(0, 10), max_size=60), min_size=2, max_size=3), st.integers(3, 40), st.integers(3, 40)
)
@settings(deadline=None, max_examples=50)
def test_a_backlog_comes_out_sorted_however_slowly_and_with_few_rows_held(
    gaps: list[list[int]], max_rows: int, held_rows: int
) -> None:
    """Each look at the clock finds it an hour later: who waits for unread rows must not run out of patience."""
    expected: list[tuple[int, str, int]] = []
    with Rig(len(gaps), held_rows=held_rows) as rig:
        rig.merged._clock = iter(range(0, 10**9, 3600)).__next__
        for ring, steps in enumerate(gaps):
            stamps = [sum(steps[: at + 1]) * 10 ** (2 * ring) for at in range(len(steps))]
            expected += [(ts, "abc"[ring], at + 1) for at, ts in enumerate(stamps)]
            rig.write(ring, *stamps)
        for batch in rig.merged.batches(wait="spin", max_rows=max_rows, idle=0):
            rig.out += rig.rows(batch)
            assert batch.num_rows <= max_rows
            assert all(lane.rows <= held_rows for lane in rig.merged._lanes)
        assert keys(rig.out) == sorted(expected)
        assert rig.merged.late == 0


ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(0, 2), st.lists(st.integers(-5, 50), min_size=1, max_size=20)),
        st.tuples(st.just("lap"), st.integers(0, 2), st.integers(500, 1200)),
        st.tuples(st.just("pass"), st.integers(1, 15), st.none()),
    ),
    max_size=15,
)


@given(RING_COUNTS, ACTS, st.integers(20, 200), st.integers(20, 300))
@settings(deadline=None, max_examples=60)
def test_any_stamps_and_any_laps_leave_every_row_accounted_for_and_every_disorder_counted(
    count: int, acts: list[tuple[str, int, object]], max_rows: int, held_rows: int
) -> None:
    written: dict[str, list[int]] = defaultdict(list)
    with Rig(count, held_rows=held_rows) as rig:

        def act(kind: str, which: int, what: object) -> None:
            assert all(lane.rows <= held_rows for lane in rig.merged._lanes)
            if kind == "pass":
                rig.pass_time(which)
                return
            ring = which % count
            stamps = written["abc"[ring]]
            steps = what if isinstance(what, list) else [1] * int(str(what))
            first = len(stamps)
            for step in steps:
                stamps.append(max(0, (stamps[-1] if stamps else 0) + step))
            rig.writers[ring].write(*map(row, stamps[first:]))

        rig.follow(*(lambda each=each: act(*each) for each in acts), max_rows=max_rows)
        rig.out += rig.read_all(max_rows=max_rows)
        for name, reader in rig.readers.items():
            rows = sorted(each[1:] for each in rig.out if each[0] == name)
            assert sum(lost for _, _, lost in rows) + len(rows) == len(written[name])
            assert reader.lost == sum(lost for _, _, lost in rows)
            before = 0
            for sequence, ts, lost in rows:
                assert (sequence, ts) == (before + lost + 1, written[name][sequence - 1])
                before = sequence
        disordered, last = 0, (-1, "")
        for ts, ring_name, _ in keys(rig.out):
            disordered += (ts, ring_name) < last
            last = max(last, (ts, ring_name))
        assert (rig.merged.late, rig.merged.held) == (disordered, 0)
