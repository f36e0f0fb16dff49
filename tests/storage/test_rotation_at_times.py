"""Segments that end when clocks on the wall say so, and who is told of it."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
import small_segments as small
from recorder_bench import Bench, HandClock, later, recorded
from synthetic import SyntheticReader, SyntheticRing

from nanotape.storage.archive import Archive
from nanotape.storage.encoder import Compression
from nanotape.storage.recorder import Recorder, RecorderOptions
from nanotape.storage.rotation import RotationOptions, SegmentRotation
from nanotape.storage.rotation_times import RotationTimes
from nanotape.storage.segment import Fsync

SECOND_NS = 10**9
NINE_THIRTY = "09:30"


class WallClock(HandClock):
    """Shows a time of 20 November 2026, UTC."""

    def __init__(self, shown: str) -> None:
        super().__init__()
        self.set(shown)

    def set(self, shown: str) -> None:
        moment = datetime.fromisoformat(f"2026-11-20T{shown}").replace(tzinfo=UTC)
        self.ahead_ns = int(moment.timestamp()) * SECOND_NS - self.now_ns

    def utc_ns(self) -> int:
        return self.now_ns + self.ahead_ns


@pytest.fixture
def clock() -> WallClock:
    return WallClock("09:29:58")


@pytest.fixture
def finished() -> list[Path]:
    return []


@pytest.fixture
def rotation(tmp_path: Path, clock: WallClock, finished: list[Path]) -> SegmentRotation:
    options = RotationOptions(1 << 30, 7200, Fsync.NEVER, Compression(), RotationTimes([NINE_THIRTY, "09:31"]))
    return SegmentRotation(tmp_path, small.IDENTITY, clock, lambda _line: None, options, finished.append)


def segments(directory: Path) -> list[list[int]]:
    return [small.sequences(small.read_back(path)) for path in sorted(directory.glob("*.arrow"))]


def test_a_quiet_feeds_segment_ends_at_the_first_tick_from_then_on(
    rotation: SegmentRotation, clock: WallClock, tmp_path: Path, finished: list[Path]
) -> None:
    rotation.write(small.BATCHES[0])
    clock.sleep(1.9)
    rotation.tick()
    assert segments(tmp_path) == []
    clock.sleep(0.1)
    rotation.tick()
    assert segments(tmp_path) == [list(range(7, 12))]
    assert [path.suffix for path in finished] == [".arrow"]
    rotation.write(small.BATCHES[1])
    rotation.tick()
    assert len(segments(tmp_path)) == 1, "the next one waits for the next moment"
    clock.set("09:31:00")
    rotation.tick()
    assert segments(tmp_path) == [list(range(7, 12)), list(range(12, 15))]


def test_rows_that_come_with_the_moment_are_still_in_the_segment_that_it_ends(
    rotation: SegmentRotation, clock: WallClock, tmp_path: Path
) -> None:
    rotation.write(small.BATCHES[0])
    clock.sleep(2.5)
    rotation.write(small.BATCHES[1])
    rotation.write(small.BATCHES[2])
    rotation.finish()
    assert segments(tmp_path) == [list(range(7, 15)), list(range(15, 19))]


def test_a_moment_without_a_segment_ends_none(rotation: SegmentRotation, clock: WallClock, tmp_path: Path) -> None:
    clock.sleep(10)
    rotation.tick()
    rotation.write(small.BATCHES[0])
    rotation.tick()
    assert segments(tmp_path) == []
    rotation.finish()


def test_a_clock_that_is_set_back_ends_a_segment_at_what_it_shows_next(
    rotation: SegmentRotation, clock: WallClock, tmp_path: Path
) -> None:
    clock.set("23:00:00")
    rotation.write(small.BATCHES[0])  # its next moment is tomorrow's
    clock.set("09:29:59")
    rotation.tick()
    assert segments(tmp_path) == []
    clock.sleep(1)
    rotation.tick()
    assert segments(tmp_path) == [list(range(7, 12))]


def test_what_a_recorder_read_before_the_moment_is_in_the_segment_that_it_ends(archive: Archive) -> None:
    """Though it had not been written yet: a batch waits for as long as the flush interval."""
    clock = WallClock("09:29:50")
    bench = Bench(archive, SyntheticRing(newest=100), clock, rotate_at=(NINE_THIRTY,), flush_interval_s=5)
    bench.recorder.begin()
    bench.record_all()
    clock.sleep(4.8)
    bench.recorder.step()  # the flush is due; from here on ticks are 4.7 s apart
    clock.sleep(4)
    bench.ring.newest = 150
    bench.recorder.step()
    clock.sleep(1.5)
    bench.recorder._tick()
    bench.ring.newest = 200
    bench.record_all()
    bench.recorder.finish()
    assert [(facts.first_seq, facts.last_seq) for facts in archive.segments()] == [(1, 150), (151, 200)]
    assert bench.sequences() == list(range(1, 201))


@pytest.mark.parametrize("fsync", list(Fsync))
def test_each_complete_segment_is_told_once_and_those_beside_the_packets_are_not(
    archive: Archive, fsync: Fsync
) -> None:
    told: list[Path] = []
    ring = SyntheticRing(newest=5000)
    options = RecorderOptions(batch_rows=500, rotate_bytes=60_000, fsync=fsync)
    recorder = Recorder(
        ring, SyntheticReader(ring), archive, options, clock=HandClock(), log=lambda _: None, on_segment=told.append
    )
    recorder.begin()
    while recorder.step():
        pass
    recorder.finish()
    found = sorted((archive.path / "segments" / "demo").glob("*.arrow"))
    assert len(found) > 1
    assert told == found


def test_a_dead_recorders_segment_is_told_by_the_next(archive: Archive) -> None:
    dead = Bench(archive, SyntheticRing(newest=100), batch_rows=100)
    dead.recorder.begin()
    dead.record_all()
    dead.die()
    told: list[Path] = []
    ring = SyntheticRing(newest=100)
    recorder = Recorder(ring, SyntheticReader(ring), archive, clock=later(), log=lambda _: None, on_segment=told.append)
    recorder.begin()
    recorder.finish()
    assert told == sorted((archive.path / "segments" / "demo").glob("*.arrow"))
    assert recorded(archive, ring, clock=later(20)).sequences() == list(range(1, 101))
