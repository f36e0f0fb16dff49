from collections import Counter
from dataclasses import replace

import pyarrow as pa
import pytest
from recorder_bench import Bench, HandClock, later
from synthetic import FIRST_TS, SyntheticReader, SyntheticRing

from nanotape.storage import open_archive
from nanotape.storage.archive import Archive
from nanotape.storage.books import Reading, RingReadings
from nanotape.storage.compact import CompactOptions, compact
from nanotape.storage.errors import QueryError
from nanotape.storage.manifest import Gone, edit_manifest

SECOND_NS = 10**9
MINUTE_NS = 60 * SECOND_NS
DAY = "2026-11-20"


class Timeline:
    """A recorder whose packets bear the time at which they came."""

    def __init__(self, archive: Archive, begin_s: int = 0, newest: int = 0, epoch: int = 1) -> None:
        self.clock = later(begin_s)
        self.bench = Bench(archive, SyntheticRing(newest=newest), clock=self.clock)
        self.bench.recorder.recording.read_ring = lambda: RingReadings(
            epoch, 1, (Reading("eth1", "eth1", "in_ring", 0),)
        )
        take = SyntheticReader.take

        def stamped() -> pa.RecordBatch | None:
            batch = take(self.bench.reader)
            if batch is None:
                return None
            at = batch.schema.get_field_index("ts")
            stamps = pa.array([self.came_ns] * batch.num_rows, pa.int64()).cast(pa.timestamp("ns", "UTC"))
            return batch.set_column(at, batch.schema.field(at), stamps)

        self.came_ns = self.clock.utc_ns()
        self.bench.reader.take = stamped  # type: ignore[method-assign]
        self.bench.recorder.begin()

    def run(self, seconds: int, packets_s: int) -> None:
        for _ in range(seconds):
            self.bench.ring.newest += packets_s
            self.came_ns = self.clock.utc_ns()
            self.bench.recorder.step()
            self.clock.sleep(1)
            self.bench.recorder.step()


def states(archive: Archive, start: HandClock, minutes: int) -> list[str]:
    begin = start.utc_ns()
    table = open_archive(archive.path).coverage(start=begin, end=begin + minutes * MINUTE_NS, channel="itch-1")
    rows = table.select(["line", "state"]).to_pylist()
    assert Counter(row["line"] for row in rows) == {"A": minutes, "B": minutes}
    return [row["state"] for row in rows if row["line"] == "A"]


def test_clean_quiet_and_not_captured_are_three_answers(archive: Archive) -> None:
    start = HandClock()
    timeline = Timeline(archive)
    timeline.run(120, 3)
    timeline.run(60, 0)
    timeline.bench.recorder.finish()
    again = Timeline(archive, 300, timeline.bench.ring.newest, epoch=2)
    again.run(60, 3)
    again.bench.recorder.finish()
    assert states(archive, start, 7) == [
        "clean",
        "clean",
        "quiet",
        "not_captured",
        "not_captured",
        "clean",
        "not_captured",
    ]


def test_a_recorder_that_was_away_while_the_capture_went_on_missed_nothing(archive: Archive) -> None:
    start = HandClock()
    timeline = Timeline(archive)
    timeline.run(60, 3)
    timeline.bench.die()
    again = Timeline(archive, 180, timeline.bench.ring.newest)
    again.run(60, 3)
    again.bench.recorder.finish()
    assert states(archive, start, 4) == ["clean", "quiet", "quiet", "clean"]


def test_a_capture_that_was_away_for_a_part_of_the_time_is_a_gap_of_ours(archive: Archive) -> None:
    start = HandClock()
    timeline = Timeline(archive)
    timeline.run(30, 3)
    timeline.bench.recorder.finish()
    again = Timeline(archive, 55, timeline.bench.ring.newest, epoch=2)
    again.run(65, 3)
    again.bench.recorder.finish()
    assert states(archive, start, 2) == ["gap_ours", "clean"]


def test_a_loss_makes_its_interval_a_gap_of_ours_and_no_other(archive: Archive) -> None:
    start = HandClock()
    timeline = Timeline(archive)
    timeline.run(60, 3)
    timeline.bench.ring.newest += 500
    timeline.bench.ring.oldest = timeline.bench.ring.newest - 10
    timeline.run(60, 3)
    timeline.run(60, 3)
    timeline.bench.recorder.finish()
    assert states(archive, start, 3) == ["gap_ours", "gap_ours", "clean"], "it was between a packet of each of the two"


def test_what_retention_deleted_is_deleted_and_neither_quiet_nor_lost(archive: Archive) -> None:
    start = HandClock()
    timeline = Timeline(archive)
    timeline.run(180, 3)
    timeline.bench.recorder.finish()
    compact(archive, CompactOptions(grace_ns=0), clock=start, log=lambda _: None)
    with edit_manifest(archive.path, "packets", DAY) as edit:
        for each in edit.manifest.files:
            (archive.path / "packets" / f"date={DAY}" / each.path).unlink()
        begin = start.utc_ns() + MINUTE_NS
        gone = tuple(Gone(e.path, e.rows, 1, begin, begin + 5 * SECOND_NS, e.rings) for e in edit.manifest.files)
        edit.manifest = replace(edit.manifest, files=(), gone=gone)
        edit.commit()
    assert states(archive, start, 3) == ["quiet", "deleted", "quiet"]


def test_what_was_imported_from_files_is_clean_where_it_has_packets(archive: Archive) -> None:
    bench = Bench(archive, SyntheticRing(newest=100))
    bench.recorder.begin()
    bench.record_all()
    bench.recorder.finish()
    begin = FIRST_TS // SECOND_NS * SECOND_NS
    table = open_archive(archive.path).coverage(
        start=begin, end=begin + 2 * SECOND_NS, interval=SECOND_NS, channel="itch-1"
    )
    assert table.filter(pa.compute.field("line") == "A").column("state").to_pylist() == ["clean", "not_captured"]


def test_questions_that_are_none_are_refused(archive: Archive) -> None:
    reader = open_archive(archive.path)
    assert reader.coverage(start="2026-11-20", end="2026-11-21").num_rows == 0
    with pytest.raises(QueryError, match="an end after the start"):
        reader.coverage(start="2026-11-20", end="2026-11-20")
    with pytest.raises(QueryError, match="at most 1,000,000 intervals"):
        reader.coverage(start="2026-11-20", end="2026-11-21", interval=1)
