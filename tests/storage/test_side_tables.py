"""Tables beside the packets while somebody takes files, folders and whole archives from under a recorder."""

import os
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from recorder_bench import Bench, later, recorded
from synthetic import RING_ID, SyntheticRing
from test_segment import no_file_larger_than

from nanotape.storage.archive import Archive
from nanotape.storage.compact import CompactOptions, compact
from nanotape.storage.settlement import accounted_end
from nanotape.storage.side_tables import SideTables
from nanotape.storage.verify import verify


def begun(archive: Archive, **options: Any) -> Bench:
    """A recorder with rows in each table's open segment, and in what waits for it."""
    bench = Bench(archive, SyntheticRing(newest=100), batch_rows=100, **options)
    bench.recorder.begin()
    pass_time(bench, 8)
    return bench


def pass_time(bench: Bench, seconds: int) -> None:
    for _ in range(seconds):
        bench.recorder.step()
        bench.clock.sleep(1)
        bench.recorder.step()


def events(archive: Archive, *kinds: str) -> list[tuple[str, str | None, int | None, int | None]]:
    rows = archive.rows("events", ["kind", "stage", "seq_first", "seq_last"]).to_pylist()
    return [tuple(row.values()) for row in rows if row["kind"] in kinds]  # type: ignore[misc]


def tables(bench: Bench) -> SideTables:
    return bench.recorder.recording.files.tables


def test_an_open_segment_that_is_deleted_while_the_feed_is_quiet_stops_nothing(archive: Archive) -> None:
    """What is told from then on belongs to earlier packets than what was told before."""
    bench = begun(archive)
    archive.segments()[0].path.unlink()
    pass_time(bench, 8)
    assert events(archive, "disk") == [("disk", "archive", None, None)]
    bench.ring.newest = 200
    pass_time(bench, 8)
    bench.recorder.finish()
    assert events(archive, "capture_loss") == [("capture_loss", "archive", 1, 100)]
    seconds = archive.rows("counters", ["ts", "stage", "ring_seq"]).to_pylist()
    assert {row["ring_seq"] for row in seconds} == {0, 100, 200}
    assert sum(row["stage"] == "recorded" for row in seconds) >= 24, "one a second, and at begin and end"
    assert verify(archive).findings == []


def test_a_folder_that_is_taken_away_while_the_feed_is_quiet_stops_nothing(archive: Archive) -> None:
    bench = begun(archive)
    shutil.rmtree(archive.path / "segments")
    pass_time(bench, 8)
    assert events(archive, "disk") == [("disk", "archive", None, None)]
    bench.ring.newest = 200
    pass_time(bench, 8)
    bench.recorder.finish()
    assert events(archive, "capture_loss") == [("capture_loss", "archive", 1, 100)]
    assert verify(archive).findings == []


def test_an_empty_archive_where_another_was_is_recorded_into(archive: Archive, tmp_path: Path) -> None:
    bench = begun(archive)
    os.rename(archive.path, tmp_path / "elsewhere")
    bench.ring.newest = 200
    pass_time(bench, 8)
    archive.path.mkdir()
    bench.ring.newest = 300
    pass_time(bench, 8)
    bench.recorder.finish()
    assert bench.sequences() == list(range(201, 301))
    assert set(events(archive, "capture_loss")) == {
        ("capture_loss", "archive", 1, 100),
        ("capture_loss", "recorder_write", 101, 200),
    }
    assert verify(archive).findings == []


@pytest.mark.parametrize("table", ["events", "stats", "counters"])
def test_a_tables_folder_that_is_taken_away_is_made_anew_and_said(archive: Archive, table: str) -> None:
    bench = begun(archive)
    shutil.rmtree(archive.path / "segments" / "demo" / table)
    bench.ring.oldest, bench.ring.newest = 151, 200
    pass_time(bench, 8)
    bench.recorder.finish()
    assert events(archive, "capture_loss") == [("capture_loss", "recorder_lapped", 101, 150)]
    assert archive.rows(table).num_rows > 0
    [line] = [line for line in bench.lines if "was taken away" in line]
    assert f"{table}: the open segment was taken away, " in line
    assert ", 0 rows with it" not in line
    assert not list((archive.path / "segments").glob("**/*.part")), "nothing waits to be ended that is gone"
    assert verify(archive).findings == []


def test_what_waits_for_a_disk_is_bounded_and_told_in_order_afterwards(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nanotape.storage.side_tables._WAITING_MAX", 200)
    bench = begun(archive)
    with no_file_larger_than(4):
        pass_time(bench, 250)
        assert len(tables(bench)._waiting["counters"]) == 200
    assert tables(bench).given_up_rows > 0
    pass_time(bench, 8)
    bench.recorder.finish()
    assert not any(tables(bench)._waiting.values())
    [line] = [line for line in bench.lines if "waited too long" in line]
    assert f": {tables(bench).given_up_rows} rows beside the packets" in line
    stamps = archive.rows("counters", ["ts"]).column(0).cast(pa.int64()).to_pylist()
    assert stamps == sorted(stamps)
    assert verify(archive).findings == []


def test_a_loss_that_no_event_could_tell_is_told_by_the_next_recorder(archive: Archive) -> None:
    """Nor is its traffic summed up as if it were told."""
    bench = begun(archive)
    folder = archive.path / "segments" / "demo" / "events"
    shutil.rmtree(folder)
    folder.touch()
    bench.ring.oldest, bench.ring.newest = 151, 200
    pass_time(bench, 8)
    bench.die()
    assert bench.sequences()[-1] == 200
    folder.unlink()
    recorded(archive, bench.ring, clock=later(30))
    assert events(archive, "capture_loss") == [("capture_loss", None, 101, 150)]
    packets = archive.rows("stats", ["packets"]).column(0).to_pylist()
    assert sum(packets) == 150
    assert verify(archive).findings == []


def test_a_segment_that_could_not_be_ended_is_not_called_lost_with_the_open_one(archive: Archive) -> None:
    bench = Bench(archive, SyntheticRing(newest=100), batch_rows=50)
    bench.recorder.begin()
    bench.record_all()
    [facts] = archive.segments()
    with no_file_larger_than(facts.bytes):
        bench.recorder.rotate()
    bench.ring.newest = 150
    bench.clock.now_ns += 10**7
    bench.record_all()
    archive.segments()[1].path.unlink()
    bench.ring.newest = 200
    bench.record_all()
    bench.recorder.finish()
    assert events(archive, "capture_loss") == [("capture_loss", "archive", 101, 150)]
    assert verify(archive).findings == []


def test_what_was_left_out_is_noted_again_in_a_folder_that_is_made_anew(archive: Archive) -> None:
    """All rows are in a compacted file, so that nothing is lost with the folder but this note."""
    bench = Bench(archive, SyntheticRing(newest=100), batch_rows=30, keep_other=False)  # 99 is of no channel
    bench.ring.newest = 99
    bench.recorder.begin()
    pass_time(bench, 2)
    bench.recorder.rotate()
    compact(archive, CompactOptions(grace_ns=0), log=lambda _: None)
    shutil.rmtree(archive.path / "segments")
    pass_time(bench, 4)
    bench.die()
    assert accounted_end(archive.path / "segments" / "demo", RING_ID) == 99
