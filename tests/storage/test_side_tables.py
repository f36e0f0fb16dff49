"""Tables beside the packets while somebody takes files, folders and whole archives from under a recorder."""

import os
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from recorder_bench import Bench
from synthetic import SyntheticRing
from test_segment import no_file_larger_than

from nanotape.storage.archive import Archive
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
    return bench.recorder._files.tables


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
    stamps = archive.rows("counters", ["ts"]).column(0).cast(pa.int64()).to_pylist()
    assert stamps == sorted(stamps)
    assert verify(archive).findings == []
