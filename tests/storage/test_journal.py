"""What a recorder tells beside the packets is compared with the packets' own rows."""

import os
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from recorder_bench import Bench, later, recorded
from synthetic import RING_ID, SyntheticRing
from test_segment import no_file_larger_than

from nanotape.storage.archive import Archive
from nanotape.storage.books import Reading, RingReadings
from nanotape.storage.side_tables import RESERVE_NAME


def events(archive: Archive, *kinds: str) -> list[dict[str, Any]]:
    table = archive.rows("events").drop_columns(["ts_start", "ts_end"])
    return [row for row in table.to_pylist() if row["kind"] in kinds]


def losses(archive: Archive) -> list[tuple[str, int, int, int]]:
    return [
        (each["stage"], each["seq_first"], each["seq_last"], each["packets_lost"])
        for each in events(archive, "capture_loss")
    ]


def lost_before(archive: Archive) -> int:
    return sum(archive.table(["lost_before"]).column(0).to_pylist())


def sums(archive: Archive) -> dict[tuple[str, str | None], tuple[int, int]]:
    table = archive.rows("stats", ["channel", "line", "packets", "bytes"])
    rows = table.group_by(["channel", "line"]).aggregate([("packets", "sum"), ("bytes", "sum")]).to_pylist()
    return {(row["channel"], row["line"]): (row["packets_sum"], row["bytes_sum"]) for row in rows}


def counted(archive: Archive) -> dict[tuple[str, str | None], tuple[int, int]]:
    table = archive.table(["channel", "line", "wire_len"]).unify_dictionaries()
    rows = table.group_by(["channel", "line"]).aggregate([("wire_len", "count"), ("wire_len", "sum")]).to_pylist()
    return {(row["channel"], row["line"]): (row["wire_len_count"], row["wire_len_sum"]) for row in rows}


def test_a_loss_is_one_event_that_names_the_sequences_that_are_gone(archive: Archive) -> None:
    recorded(archive, SyntheticRing(newest=100))
    recorded(archive, SyntheticRing(oldest=151, newest=200), clock=later())
    assert losses(archive) == [("recorder_lapped", 101, 150, 50)]
    assert lost_before(archive) == 50
    [event] = events(archive, "capture_loss")
    assert (event["cause"], event["seq_kind"], event["ring_id"], event["severity"]) == (
        "ours",
        "ring",
        RING_ID,
        "error",
    )
    stamps = archive.rows("events", ["kind", "ts_start", "ts_end"]).filter(pc.field("kind") == "capture_loss")
    around = archive.table(["ts", "ring_seq"]).filter(pc.field("ring_seq") == 151).column("ts").cast(pa.int64())
    assert stamps.column("ts_end").cast(pa.int64()).to_pylist() == around.to_pylist()


def test_what_the_disk_refused_is_a_loss_of_another_stage_and_the_fault_has_begin_and_end(archive: Archive) -> None:
    ring = SyntheticRing(newest=100)
    bench = Bench(archive, ring, batch_rows=100)
    bench.recorder.begin()
    bench.record_all()
    [facts] = archive.segments()
    with no_file_larger_than(facts.bytes + 500):
        for ring.newest in (200, 300):
            bench.record_all()
    assert losses(archive) == [], "the ring may still hold them for a successor"
    ring.newest = 450
    bench.record_all()
    bench.recorder.finish()
    assert losses(archive) == [("recorder_write", 101, 300, 200)]
    assert lost_before(archive) == 200
    begin, end = archive.rows("events").filter(pc.field("kind") == "disk").column("ts_end").to_pylist()
    assert begin is None
    assert end is not None
    assert sums(archive) == counted(archive)


def test_an_event_of_packets_that_were_never_written_is_not_seen_and_told_anew(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after the event and before the rows; by then the ring has lost more."""
    recorded(archive, SyntheticRing(newest=100))
    dead = Bench(archive, SyntheticRing(oldest=151, newest=200), clock=later())
    dead.recorder.begin()
    monkeypatch.setattr(dead.recorder.recording.files, "write", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        dead.recorder.step()
    dead.die()
    [part] = (archive.path / "segments" / "demo" / "events").glob("*.part")
    assert part.stat().st_size > 3000, "the event is in the file"
    assert losses(archive) == [], "and no reader sees it"
    recorded(archive, SyntheticRing(oldest=171, newest=300), clock=later(20))
    assert losses(archive) == [("recorder_lapped", 101, 170, 70)]
    assert lost_before(archive) == 70


def test_losses_between_packets_that_are_left_out_are_told_with_the_next_row_also_by_a_successor(
    archive: Archive,
) -> None:
    first = Bench(archive, SyntheticRing(oldest=3, newest=3), keep_other=False)
    first.recorder.begin()
    first.record_all()
    first.recorder.finish()
    assert losses(archive) == []
    recorded(archive, SyntheticRing(oldest=4, newest=5), keep_other=False, clock=later())
    assert losses(archive) == [("recorder_lapped", 1, 2, 2)]
    assert lost_before(archive) == 2


def test_a_loss_that_a_killed_recorder_had_no_time_to_tell_is_told_by_the_next(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a disk takes something again the rows come first: only then is it known how much was lost."""
    ring = SyntheticRing(newest=100)
    dead = Bench(archive, ring, batch_rows=100)
    dead.recorder.begin()
    dead.record_all()
    with no_file_larger_than(archive.segments()[0].bytes + 500):
        ring.newest = 200
        dead.record_all()
    assert dead.recorder.recording.journal is not None
    monkeypatch.setattr(dead.recorder.recording.journal, "lost", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    ring.newest = 300
    with pytest.raises(KeyboardInterrupt):
        dead.record_all()
    dead.die()
    assert (losses(archive), lost_before(archive)) == ([], 100)
    recorded(archive, SyntheticRing(oldest=211, newest=400), clock=later(), batch_rows=70)
    assert losses(archive) == [(None, 101, 200, 100)]
    recorded(archive, SyntheticRing(oldest=451, newest=500), clock=later(20))
    assert losses(archive) == [(None, 101, 200, 100), ("recorder_lapped", 401, 450, 50)]
    assert lost_before(archive) == 150


def test_traffic_that_a_killed_recorder_had_not_summed_up_is_summed_up_by_the_next(archive: Archive) -> None:
    dead = Bench(archive, SyntheticRing(newest=1000), batch_rows=300)
    dead.recorder.begin()
    dead.record_all()
    dead.die()
    assert sums(archive) == {}
    assert len(archive.table()) == 900
    recorded(archive, SyntheticRing(newest=1500), clock=later())
    assert sums(archive) == counted(archive)
    assert sum(packets for packets, _ in sums(archive).values()) == 1500


def test_a_quiet_feed_is_summed_up_without_waiting_for_the_next_packet(archive: Archive) -> None:
    bench = Bench(archive, SyntheticRing(newest=50))
    bench.recorder.begin()
    for _ in range(12):
        bench.recorder.step()
        bench.clock.sleep(1)
    assert sums(archive) == counted(archive)
    assert sum(packets for packets, _ in sums(archive).values()) == 50
    bench.recorder.finish()


def test_flows_are_written_down_once_and_again_when_they_change(archive: Archive) -> None:
    ring = SyntheticRing(newest=10)
    recorded(archive, ring)
    recorded(archive, SyntheticRing(newest=20), clock=later())
    assert archive.rows("channels", ["channel", "line"]).to_pylist() == [
        {"channel": "itch-1", "line": "A"},
        {"channel": "itch-1", "line": "B"},
    ]
    third = SyntheticRing(newest=30)
    third.table = third.table[:1]
    recorded(archive, third, clock=later(20))
    hashes = archive.rows("channels", ["config_hash"]).column(0).to_pylist()
    assert len(hashes) == 3
    assert len(set(hashes)) == 2
    assert len(events(archive, "config")) == 2


def test_the_books_are_read_at_begin_each_second_at_a_new_writer_and_at_the_end(archive: Archive) -> None:
    bench = Bench(archive, SyntheticRing(newest=100))
    writer = [1, 7]
    bench.recorder.recording.read_ring = lambda: RingReadings(
        *writer, (Reading("eth1:0", "eth1", "in_ring", bench.ring.newest),)
    )
    bench.recorder.begin()
    for bench.ring.newest, writer[0], writer[1] in ((100, 1, 7), (300, 1, 7), (300, 2, 7), (300, 3, 8)):
        bench.recorder.step()
        bench.clock.sleep(1)
        bench.recorder.step()
    bench.recorder.finish()
    rows = archive.rows("counters").to_pylist()
    occasions = list(dict.fromkeys((row["occasion"], row["epoch"]) for row in rows))
    assert occasions == [("start", 1), ("second", 1), ("handover", 2), ("epoch", 3), ("stop", 3)]
    last = {row["stage"]: row["value"] for row in rows if row["occasion"] == "stop"}
    assert last == {
        "begin_seq": 1, "recorded": 300, "left_out": 0, "overrun": 0, "write_failures": 0, "newest_seq": 300,
        "backlog": 0, "in_ring": 300,
    }  # fmt: skip


def began(archive: Archive) -> list[tuple[int, str]]:
    """When captures began anew, and what is told of it."""
    told = archive.rows("events").filter(pc.field("kind") == "restart").to_pylist()
    return [(each["ts_start"].value, each["detail"]) for each in told if each["detail"].startswith("capture began")]


def test_a_capture_that_begins_anew_is_told_with_the_moment_it_began_also_where_nobody_looked(archive: Archive) -> None:
    bench = Bench(archive, SyntheticRing(newest=100))
    start_ns = bench.clock.utc_ns()
    of_writer = [1, 7, start_ns - 50, 1]

    def readings() -> RingReadings:
        epoch, holder_id, attached_ns, first_seq = of_writer
        return RingReadings(epoch, holder_id, (), None, attached_ns, first_seq)

    bench.recorder.recording.read_ring = readings
    bench.recorder.begin()
    bench.record_all()
    of_writer[:] = 2, 8, start_ns - 1, 101
    bench.recorder.finish()
    assert began(archive) == [(start_ns - 1, "capture began anew, epoch 2, while its beginning was not looked at")]
    later_ring = SyntheticRing(newest=120)
    for expected in (2, 2):
        of_writer[:] = 3, 9, start_ns + 2, 101
        bench = Bench(archive, later_ring, clock=later())
        bench.recorder.recording.read_ring = readings
        bench.recorder.begin()
        bench.record_all()
        bench.recorder.finish()
        assert len(began(archive)) == expected
    assert began(archive)[-1][0] == start_ns + 2


def test_a_folder_that_is_taken_away_costs_what_was_in_it_and_is_told(archive: Archive) -> None:
    ring = SyntheticRing(newest=100)
    bench = Bench(archive, ring, batch_rows=100)
    bench.recorder.begin()
    bench.record_all()
    shutil.rmtree(archive.path / "segments")
    bench.clock.sleep(2)
    ring.newest = 200
    bench.record_all()
    bench.recorder.finish()
    assert bench.sequences() == list(range(101, 201))
    assert losses(archive) == [("archive", 1, 100, 100)]
    assert lost_before(archive) == 100
    assert "was taken away, 100 rows with it" in bench.lines[-1]
    assert [event["stage"] for event in events(archive, "disk")] == ["archive"]


def test_an_open_segment_that_is_deleted_costs_its_rows_and_no_more(archive: Archive) -> None:
    ring = SyntheticRing(newest=100)
    bench = Bench(archive, ring, batch_rows=100)
    bench.recorder.begin()
    bench.record_all()
    archive.segments()[0].path.unlink()
    bench.clock.sleep(2)
    ring.newest = 200
    bench.record_all()
    bench.recorder.finish()
    assert bench.sequences() == list(range(101, 201))
    assert losses(archive) == [("archive", 1, 100, 100)]
    assert lost_before(archive) == 100


def test_an_archive_that_is_away_is_waited_for(archive: Archive, tmp_path: Path) -> None:
    ring = SyntheticRing(newest=100)
    bench = Bench(archive, ring, batch_rows=100)
    bench.recorder.begin()
    bench.record_all()
    os.rename(archive.path, tmp_path / "elsewhere")
    for ring.newest in (200, 300):
        bench.clock.sleep(2)
        bench.record_all()
    assert not archive.path.exists(), "nothing is made where an archive was"
    (tmp_path / "elsewhere").rename(archive.path)
    ring.newest = 400
    bench.clock.sleep(2)
    bench.record_all()
    bench.recorder.finish()
    assert bench.sequences()[-100:] == list(range(301, 401))
    assert [loss for loss in losses(archive) if loss[0] == "recorder_write"] == [("recorder_write", 101, 300, 200)]


def test_events_have_disk_of_their_own(archive: Archive) -> None:
    bench = Bench(archive, SyntheticRing(newest=10))
    bench.recorder.begin()
    bench.recorder.step()
    bench.clock.sleep(2)
    bench.recorder.step()
    reserve = archive.path / "segments" / "demo" / RESERVE_NAME
    assert reserve.stat().st_blocks * 512 >= 1 << 20
    bench.recorder.finish()
