"""The disk's own thread: who writes does not wait for it, and hears of what it could not do."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import small_segments as small
from recorder_bench import Bench, HandClock, later
from synthetic import SyntheticRing

from nanotape.storage.archive import Archive
from nanotape.storage.encoder import Compression
from nanotape.storage.rotation import RotationOptions, SegmentRotation
from nanotape.storage.segment import Fsync

LONG_S = 20.0


class SlowDisk:
    """Keeps whoever syncs until it is let go, and then may refuse."""

    def __init__(self) -> None:
        self.asked, self.go_on = threading.Semaphore(0), threading.Semaphore(0)
        self.refusal: OSError | None = None

    def sync(self, _fd: int) -> None:
        self.asked.release()
        assert self.go_on.acquire(timeout=LONG_S)
        if self.refusal:
            raise self.refusal

    def is_asked(self) -> bool:
        return self.asked.acquire(timeout=LONG_S)

    def let_go(self, times: int = 1000) -> None:
        self.go_on.release(times)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowDisk]:
    slow = SlowDisk()
    for name in ("fdatasync", "fsync"):
        monkeypatch.setattr(os, name, slow.sync)
    yield slow
    slow.let_go()


def disk_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("nanotape-disk")]


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def rotation(tmp_path: Path, lines: list[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[SegmentRotation]:
    monkeypatch.setattr("nanotape.storage.segment.sync_directory", lambda _path: None)
    rotation = SegmentRotation(
        tmp_path,
        small.IDENTITY,
        HandClock(),
        lines.append,
        RotationOptions(1 << 30, 3600, Fsync.INTERVAL, Compression()),
    )
    yield rotation
    rotation.let_go()


def sequences(directory: Path) -> list[int]:
    return [one for path in sorted(directory.glob("*.arrow")) for one in small.sequences(small.read_back(path))]


def test_the_disks_thread_begins_before_the_first_row(rotation: SegmentRotation) -> None:
    """Later there may be no memory for it, and Python would wait for it for ever."""
    assert [each for each in threading.enumerate() if each.name.startswith("nanotape-disk")]


def test_rows_are_written_while_the_disk_syncs(rotation: SegmentRotation, disk: SlowDisk, tmp_path: Path) -> None:
    rotation.write(small.BATCHES[0])
    rotation.tick()
    assert disk.is_asked()
    rotation.write(small.BATCHES[1])
    rotation.tick()  # no second sync behind the first
    rotation.write(small.BATCHES[2])
    assert not disk.asked.acquire(blocking=False)
    disk.let_go()
    rotation.finish()
    assert sequences(tmp_path) == list(range(7, 19))


def test_a_sync_that_the_disk_refused_is_told_at_a_later_tick(
    rotation: SegmentRotation, disk: SlowDisk, lines: list[str], tmp_path: Path
) -> None:
    rotation.write(small.BATCHES[0])
    rotation.tick()
    assert disk.is_asked()
    disk.refusal = OSError(5, "Input/output error")
    disk.let_go(1)
    rotation._settle(wait=True)
    disk.refusal = None
    disk.let_go()
    [line] = lines
    assert line.endswith("cannot finish or sync: Input/output error")
    rotation.write(small.BATCHES[1])
    rotation.finish()
    assert sequences(tmp_path) == list(range(7, 15))


def test_the_next_segment_grows_while_the_disk_ends_the_one_before(
    rotation: SegmentRotation, disk: SlowDisk, tmp_path: Path
) -> None:
    rotation.write(small.BATCHES[0])
    rotation._end()
    assert disk.is_asked()
    rotation.write(small.BATCHES[1])
    assert len(list(tmp_path.glob("*.arrow.part"))) == 2
    disk.let_go()
    rotation.finish()
    assert list(tmp_path.glob("*.part")) == []
    assert sequences(tmp_path) == list(range(7, 15))


def test_a_segment_that_the_disk_did_not_end_is_tried_again(
    rotation: SegmentRotation, disk: SlowDisk, lines: list[str], tmp_path: Path
) -> None:
    disk.refusal = OSError(28, "No space left on device")
    rotation.write(small.BATCHES[0])
    rotation._end()
    rotation.write(small.BATCHES[1])
    disk.let_go()
    rotation._settle(wait=True)
    assert list(tmp_path.glob("*.arrow")) == []
    [line] = lines
    assert "No space left on device; its 5 rows are safe in the part file, trying again" in line
    disk.refusal = None
    rotation.finish()
    assert sequences(tmp_path) == list(range(7, 15))
    assert lines[1].endswith("finished after all, 5 rows")


def test_a_recorder_that_breaks_lets_no_other_in_before_its_disk_is_done(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(archive, SyntheticRing(newest=100), fsync=Fsync.INTERVAL, batch_rows=100)
    bench.recorder.begin()
    bench.record_all()
    bench.clock.sleep(1)
    bench.recorder.step()
    assert disk_threads() != []
    bench.ring.newest = 150
    bench.recorder.step()
    monkeypatch.setattr(bench.recorder.recording, "_mapper", None)
    with pytest.raises(AttributeError):
        bench.recorder.finish()
    assert disk_threads() == []
    assert bench.reader.status["settled"]
    bench.recorder.finish()
    assert not bench.reader.status["settled"], "what it had in hand is for its successor"
    again = Bench(archive, SyntheticRing(newest=150), later())
    again.recorder.begin()
    again.record_all()
    again.recorder.finish()
    assert again.sequences() == list(range(1, 151))
