"""This host's clock is stepped under a recorder: intervals go by another clock, and no row is lost or hidden."""

from __future__ import annotations

import pytest
from recorder_bench import SECOND_NS, Bench, HandClock
from synthetic import SyntheticRing

from nanotape.storage.archive import Archive
from nanotape.storage.verify import verify

HOUR_S = 3600


class SteppedClock(HandClock):
    """Its UTC can be stepped while what it counts goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.stepped_ns = 0

    def utc_ns(self) -> int:
        return super().utc_ns() + self.stepped_ns


@pytest.mark.parametrize("steps_s", [(-HOUR_S,), (HOUR_S,), (-30 * 24 * HOUR_S, 60 * 24 * HOUR_S), (-0.001, 0.002)])
def test_whatever_a_step_of_the_clock_each_sequence_is_there_once(steps_s: tuple[float, ...], archive: Archive) -> None:
    clock = SteppedClock()
    ring = SyntheticRing(newest=100)
    bench = Bench(archive, ring, clock, rotate_interval_s=5)
    bench.recorder.begin()
    bench.record_all()
    for step_s in (*steps_s, 0.0):
        clock.stepped_ns += int(step_s * SECOND_NS)
        for _ in range(7):
            ring.newest += 50
            clock.sleep(1)
            bench.record_all()
    bench.recorder.finish()
    assert sorted(bench.sequences()) == list(range(1, ring.newest + 1))
    assert verify(archive).findings == []
    details = [event["detail"] for event in archive.rows("events").to_pylist() if event["kind"] == "restart"]
    assert not any("stood still" in detail for detail in details), "nothing stood still"
    rows = archive.rows("counters").to_pylist()
    assert {row["value"] for row in rows if row["stage"] == "recorded"} >= {ring.newest}


def test_a_recorder_that_follows_one_before_the_step_goes_on_with_the_next_sequence(archive: Archive) -> None:
    """Its segments are named by an earlier moment than those that are there."""
    ring = SyntheticRing(newest=100)
    first = Bench(archive, ring)
    first.recorder.begin()
    first.record_all()
    first.recorder.finish()
    clock = SteppedClock()
    clock.stepped_ns = -24 * HOUR_S * SECOND_NS
    ring.newest = 200
    second = Bench(archive, ring, clock)
    second.recorder.begin()
    second.record_all()
    second.recorder.finish()
    assert sorted(second.sequences()) == list(range(1, 201))
    assert verify(archive).findings == []


def test_a_recorder_that_stood_still_tells_for_how_long_and_one_that_was_slow_does_not(archive: Archive) -> None:
    clock, ring = HandClock(), SyntheticRing(newest=10)
    bench = Bench(archive, ring, clock)
    bench.recorder.begin()
    bench.record_all()
    for pause_s in (2, 60):
        clock.sleep(pause_s)
        ring.newest += 10
        bench.record_all()
    bench.recorder.finish()
    told = [event for event in archive.rows("events").to_pylist() if "stood still" in (event["detail"] or "")]
    assert len(told) == 1
    assert 60 <= (told[0]["ts_end"] - told[0]["ts_start"]).total_seconds() < 63
