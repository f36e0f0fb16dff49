"""What a recorder tells of its segments is what stands in its folder."""

import json
from pathlib import Path

from recorder_bench import SECOND_NS, Bench
from synthetic import SyntheticRing

from nanotape.capture.recorded_segments import RecordedSegments, read_segments, segments_path
from nanotape.storage.archive import Archive


class Telling:
    """A recorder that tells, and what others read of it."""

    def __init__(self, archive: Archive, run: Path, newest: int = 1000) -> None:
        self.run = run
        self.bench = Bench(archive, SyntheticRing(newest=newest), batch_rows=500)
        path = segments_path(run, "demo", "recorder")
        path.parent.mkdir(parents=True)
        self.bench.recorder.recording.told.path = path
        self.bench.recorder.begin()

    def read(self) -> RecordedSegments:
        found = read_segments(self.run, "demo", "recorder")
        assert found is not None
        return found

    def second(self) -> RecordedSegments:
        """What is told after another second."""
        self.bench.clock.sleep(1.1)
        self.bench.record_all()
        return self.read()


def test_the_open_segment_is_told_with_its_size(archive: Archive, tmp_path: Path) -> None:
    telling = Telling(archive, tmp_path / "run")
    telling.bench.record_all()
    told = telling.second()
    [part] = (archive.path / "segments" / "demo").glob("*.arrow.part")
    assert told.open_name == part.name.removesuffix(".arrow.part")
    assert (told.open_bytes, told.open_rows) == (part.stat().st_size, 1000)
    assert (told.ended, told.ended_name, told.ended_ns) == (0, None, None)
    assert told.opened_ns == telling.bench.clock.utc_ns() - round(1.1 * SECOND_NS)
    telling.bench.recorder.finish()


def test_a_rotation_is_told_with_its_moment(archive: Archive, tmp_path: Path) -> None:
    telling = Telling(archive, tmp_path / "run")
    telling.bench.record_all()
    first = telling.second()
    rotated_ns = telling.bench.clock.utc_ns()
    telling.bench.recorder.rotate()
    told = telling.second()
    assert (told.ended, told.ended_name, told.ended_ns) == (1, f"{first.open_name}.arrow", rotated_ns)
    assert told.open_name is None
    telling.bench.ring.newest = 1500
    again = telling.second()
    assert again.open_name not in (None, first.open_name)
    assert again.open_rows == 500
    telling.bench.recorder.finish()
    assert (telling.read().ended, telling.read().open_name) == (2, None)


def test_the_ratio_is_of_the_frames_to_what_was_written_of_them(archive: Archive, tmp_path: Path) -> None:
    telling = Telling(archive, tmp_path / "run")
    telling.bench.record_all()
    told = telling.second()
    frames = sum(archive.table(["wire_len"]).column("wire_len").to_pylist())
    assert told.frame_bytes == frames
    assert told.written_bytes == telling.bench.recorder.totals.written_bytes
    assert told.ratio == frames / telling.bench.recorder.totals.written_bytes
    telling.bench.recorder.finish()


def test_a_recorder_that_is_told_no_place_tells_nothing(archive: Archive, tmp_path: Path) -> None:
    telling = Telling(archive, tmp_path / "run")
    telling.bench.recorder.recording.told.path = None
    telling.bench.clock.sleep(1.1)
    telling.bench.record_all()
    telling.bench.recorder.finish()
    assert list(segments_path(tmp_path / "run", "demo", "recorder").parent.iterdir()) == []


def test_what_an_older_or_a_broken_recorder_tells_is_unknown_not_zero(tmp_path: Path) -> None:
    path = segments_path(tmp_path, "demo", "recorder")
    path.parent.mkdir(parents=True)
    assert read_segments(tmp_path, "demo", "recorder") is None
    path.write_text(json.dumps({"at_ns": 5}), encoding="utf-8")
    told = read_segments(tmp_path, "demo", "recorder")
    assert told is not None
    assert (told.at_ns, told.ended, told.open_bytes, told.ratio) == (5, None, None, None)
    for junk in ("", "[]", '{"at_ns": "x"}', '{"at_ns": 1, "ended": []}'):
        path.write_text(junk, encoding="utf-8")
        assert read_segments(tmp_path, "demo", "recorder") is None
