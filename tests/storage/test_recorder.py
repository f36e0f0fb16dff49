"""What a recorder makes of a ring's records, when it writes them, and when it rotates."""

import pyarrow as pa
from recorder_bench import SECOND_NS, Bench, recorded
from synthetic import Flow, SyntheticRing, assert_rows_are_theirs

from nanotape.storage.archive import Archive
from nanotape.storage.verify import verify


def test_every_record_becomes_its_row_in_order(archive: Archive) -> None:
    bench = recorded(archive, SyntheticRing(newest=5000), largest=700, batch_rows=1000)
    table = archive.table()
    assert table.column("ring_seq").to_pylist() == list(range(1, 5001))
    assert_rows_are_theirs(table)
    totals = bench.recorder.totals
    assert (totals.recorded, totals.lost, totals.write_failures, totals.first_seq, totals.last_seq) == (
        5000,
        0,
        0,
        1,
        5000,
    )
    status = {"recorded": 5000, "write_failures": 0, "written_bytes": totals.written_bytes, "settled": True}
    assert bench.reader.status == status
    assert verify(archive).findings == []
    [facts] = archive.segments()
    assert facts.complete
    assert facts.bytes == facts.path.stat().st_size


def test_what_is_read_and_not_written_yet_is_not_settled(archive: Archive) -> None:
    """A capture file waits by it, so that a recorder that is killed finds in the ring what it had not written."""
    bench = Bench(archive, SyntheticRing(newest=1), batch_rows=150)
    bench.recorder.begin()
    assert bench.reader.status["settled"]
    bench.record_all()
    bench.ring.newest = 101
    bench.clock.sleep(0.5)
    assert bench.recorder.step() == 100
    bench.clock.sleep(0.5)  # time to say how far it is, but not to write what it read half a second ago
    bench.recorder.step()
    assert (bench.reader.status["recorded"], bench.reader.status["settled"]) == (1, False)
    bench.ring.newest = 201
    assert bench.recorder.step() == 50
    assert (bench.reader.status["recorded"], bench.reader.status["settled"]) == (151, True)
    bench.recorder.finish()


def test_flows_are_named_by_the_rings_tables(archive: Archive) -> None:
    recorded(archive, SyntheticRing(newest=6))
    columns = ["ring_seq", "host", "ring", "ring_id", "feed", "channel", "line", "interface"]
    rows = archive.table(columns).to_pylist()
    assert {(row["host"], row["ring"], row["ring_id"]) for row in rows} == {("box", "demo", SyntheticRing().ring_id)}
    by_flow = {row["ring_seq"] % 3: row for row in rows[:3]}
    assert [by_flow[0][name] for name in columns[4:]] == [None, "other", None, "eth9"], "flow 0: its source's interface"
    assert [by_flow[1][name] for name in columns[4:]] == ["itch", "itch-1", "A", "eth1"]
    assert [by_flow[2][name] for name in columns[4:]] == ["itch", "itch-1", "B", "eth8"], "a flow without one: likewise"


def test_a_flow_that_the_ring_learns_later_is_named_too(archive: Archive) -> None:
    ring = SyntheticRing(newest=3, table=[])
    bench = Bench(archive, ring, batch_rows=3)
    bench.recorder.begin()
    bench.record_all()
    ring.table = [Flow(1, "new", "new-1", "A", "eth1"), Flow(2, "new", "new-2", "A", "eth1")]
    ring.newest = 6
    bench.record_all()
    bench.recorder.finish()
    assert archive.table(["channel"]).column("channel").to_pylist() == ["other"] * 3 + ["new-1", "new-2", "other"]
    assert archive.table(["feed"]).column("feed").to_pylist() == [None] * 3 + ["new", "new", None]
    assert verify(archive).findings == []


def test_what_no_decoder_has_filled_in_is_null(archive: Archive) -> None:
    recorded(archive, SyntheticRing(newest=10))
    unknown = [
        "ts_raw", "ts_switch", "switch_device", "switch_port", "ts_error_ns",
        "feed_session", "feed_key", "feed_seq", "feed_count", "feed_status", "ts_send",
    ]  # fmt: skip
    table = archive.table(unknown)
    assert [table.column(name).null_count for name in unknown] == [10] * len(unknown)


def test_a_quiet_feed_is_on_disk_within_the_flush_interval(archive: Archive) -> None:
    bench = Bench(archive, SyntheticRing(newest=1), flush_interval_s=1.0)
    bench.recorder.begin()
    bench.record_all()
    bench.ring.newest = 2
    bench.recorder.step()
    read_at = bench.clock.now_ns
    assert bench.sequences() == [1]
    while bench.sequences() == [1]:
        assert bench.recorder.step() == 0
        bench.clock.sleep(0.005)
    assert 0.5 * SECOND_NS < bench.clock.now_ns - read_at <= SECOND_NS
    [facts] = archive.segments()
    assert not facts.complete


def test_the_first_packets_are_on_disk_at_once(archive: Archive) -> None:
    bench = Bench(archive, SyntheticRing(newest=3), flush_interval_s=3600)
    bench.recorder.begin()
    bench.recorder.step()
    assert bench.sequences() == [1, 2, 3]
    assert bench.reader.status["recorded"] == 3


def test_a_full_batch_does_not_wait_for_the_interval(archive: Archive) -> None:
    bench = Bench(archive, SyntheticRing(newest=250), largest=10, batch_rows=100, flush_interval_s=3600)
    bench.recorder.begin()
    bench.record_all()
    assert bench.sequences() == list(range(1, 211))  # the first ten at once
    bench.recorder.finish()
    assert bench.sequences() == list(range(1, 251))


def test_bytes_fill_a_batch_as_rows_do(archive: Archive) -> None:
    bench = Bench(archive, SyntheticRing(newest=250), largest=10, batch_bytes=10_000, flush_interval_s=3600)
    bench.recorder.begin()
    bench.record_all()
    assert 0 < len(bench.sequences()) < 250


def test_segments_are_rotated_by_size_without_a_seam(archive: Archive) -> None:
    bench = recorded(archive, SyntheticRing(newest=20_000), batch_rows=500, rotate_bytes=100_000)
    facts = archive.segments()
    assert len(facts) > 3
    assert all(one.complete and one.bytes >= 100_000 for one in facts[:-1])
    assert [one.first_seq for one in facts[1:]] == [one.last_seq + 1 for one in facts[:-1]]
    assert bench.sequences() == list(range(1, 20_001))


def test_segments_are_rotated_by_age_even_when_the_feed_is_silent(archive: Archive) -> None:
    bench = Bench(archive, SyntheticRing(newest=5), rotate_interval_s=60)
    bench.recorder.begin()
    for _ in range(59):
        bench.recorder.step()
        bench.clock.sleep(1)
    assert [facts.complete for facts in archive.segments()] == [False]
    for _ in range(3):
        bench.recorder.step()
        bench.clock.sleep(1)
    assert [facts.complete for facts in archive.segments()] == [True]
    bench.ring.newest = 7
    for _ in range(3):
        bench.recorder.step()
        bench.clock.sleep(1)
    assert [(facts.first_seq, facts.last_seq, facts.complete) for facts in archive.segments()] == [
        (1, 5, True),
        (6, 7, False),
    ]


def test_the_schema_written_is_the_packets_schema(archive: Archive) -> None:
    recorded(archive, SyntheticRing(newest=3))
    [facts] = archive.segments()
    schema = pa.ipc.open_file(pa.memory_map(str(facts.path))).schema
    assert schema.metadata[b"nanotape_schema"] == b"1"
    assert schema.field("ts").metadata[b"unit"].startswith(b"nanoseconds since 1970")
