import os
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from synthetic import Flow, SyntheticReader, SyntheticRing, assert_rows_are_theirs
from test_segment import no_file_larger_than

from nanotape.storage.archive import Archive
from nanotape.storage.errors import ArchiveAheadError, ArchiveError, RecorderBusyError
from nanotape.storage.recorder import Recorder, RecorderOptions
from nanotape.storage.segment import Fsync

SECOND_NS = 10**9


class HandClock:
    """Stands still until it is moved; to sleep moves it."""

    def __init__(self) -> None:
        self.now_ns = 50 * SECOND_NS

    def utc_ns(self) -> int:
        return 1_795_207_020_000_000_000 + self.now_ns

    def monotonic_ns(self) -> int:
        return self.now_ns

    def sleep(self, seconds: float) -> None:
        self.now_ns += int(seconds * SECOND_NS)


def later(seconds: int = 10) -> HandClock:
    """A clock that is ahead of that of the recorders before, as a real one is."""
    clock = HandClock()
    clock.sleep(seconds)
    return clock


class Bench:
    """A recorder of a synthetic ring, its clock and what it said."""

    def __init__(
        self,
        archive: Archive,
        ring: SyntheticRing,
        clock: HandClock | None = None,
        largest: int = 1 << 20,
        **options: Any,
    ) -> None:
        self.ring, self.archive, self.clock = ring, archive, clock or HandClock()
        self.reader = SyntheticReader(ring, largest)
        self.lines: list[str] = []
        options = {"fsync": Fsync.NEVER, **options}
        self.recorder = Recorder(
            ring, self.reader, archive, RecorderOptions(**options), clock=self.clock, log=self.lines.append
        )

    def record_all(self) -> None:
        while self.recorder.step():
            pass

    def sequences(self) -> list[int]:
        return self.archive.table(["ring_seq"]).column("ring_seq").to_pylist()  # type: ignore[no-any-return]


def recorded(archive: Archive, ring: SyntheticRing, **options: Any) -> Bench:
    """Records all that the ring holds and stops."""
    bench = Bench(archive, ring, **options)
    bench.recorder.begin()
    bench.record_all()
    bench.recorder.finish()
    return bench


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
    assert bench.reader.status == {"recorded": 5000, "write_failures": 0, "written_bytes": totals.written_bytes}
    assert archive.verify() == []
    [facts] = archive.segments()
    assert facts.complete
    assert facts.bytes == facts.path.stat().st_size


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
    assert archive.verify() == []


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
    bench.recorder.step()
    read_at = bench.clock.now_ns
    assert bench.sequences() == []
    while not bench.sequences():
        assert bench.recorder.step() == 0
        bench.clock.sleep(0.005)
    assert 0.5 * SECOND_NS < bench.clock.now_ns - read_at <= SECOND_NS
    [facts] = archive.segments()
    assert not facts.complete


def test_a_full_batch_does_not_wait_for_the_interval(archive: Archive) -> None:
    bench = Bench(archive, SyntheticRing(newest=250), largest=10, batch_rows=100, flush_interval_s=3600)
    bench.recorder.begin()
    bench.record_all()
    assert bench.sequences() == list(range(1, 201))
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


def test_a_new_start_goes_on_with_the_next_sequence(archive: Archive) -> None:
    recorded(archive, SyntheticRing(newest=100))
    second = recorded(archive, SyntheticRing(newest=250))
    assert second.reader.sought == [101]
    assert second.sequences() == list(range(1, 251))
    assert sum(archive.table(["lost_before"]).column("lost_before").to_pylist()) == 0


def test_what_the_ring_no_longer_holds_is_in_lost_before(archive: Archive) -> None:
    recorded(archive, SyntheticRing(newest=100))
    second = recorded(archive, SyntheticRing(oldest=151, newest=200))
    assert second.recorder.totals.lost == 50
    rows = archive.table(["ring_seq", "lost_before"]).to_pylist()
    assert [row for row in rows if row["lost_before"]] == [{"ring_seq": 151, "lost_before": 50}]


def test_a_lapped_recorder_says_so_in_the_next_row(archive: Archive) -> None:
    ring = SyntheticRing(newest=10)
    bench = Bench(archive, ring, batch_rows=10)
    bench.recorder.begin()
    bench.record_all()
    ring.oldest, ring.newest = 31, 40
    bench.record_all()
    bench.recorder.finish()
    rows = archive.table(["ring_seq", "lost_before"]).to_pylist()
    assert [row for row in rows if row["lost_before"]] == [{"ring_seq": 31, "lost_before": 20}]


def test_another_ring_of_the_same_name_begins_as_configured(archive: Archive) -> None:
    recorded(archive, SyntheticRing(newest=100))
    other = "ff" * 16
    oldest = recorded(archive, SyntheticRing(ring_id=other, oldest=41, newest=60))
    assert oldest.reader.sought == [1], "from its first record on"
    latest = Bench(archive, SyntheticRing(ring_id="ee" * 16, newest=60), start="latest")
    latest.recorder.begin()
    assert latest.reader.sought == ["latest"]
    latest.ring.newest = 70
    latest.record_all()
    latest.recorder.finish()
    rows = archive.table(["ring_seq", "lost_before", "ring_id"]).to_pylist()
    firsts = [row for row in rows if row["ring_id"] != SyntheticRing().ring_id][::20]
    assert firsts == [
        {"ring_seq": 41, "lost_before": 40, "ring_id": other},
        {"ring_seq": 61, "lost_before": 0, "ring_id": "ee" * 16},
    ]
    assert (oldest.recorder.totals.lost, latest.recorder.totals.lost) == (40, 0)


def test_a_killed_recorders_part_is_finished_at_the_next_start(archive: Archive) -> None:
    first = Bench(archive, SyntheticRing(newest=100), batch_rows=40)
    first.recorder.begin()
    first.record_all()
    assert first.sequences() == list(range(1, 81)), "20 rows were read and not yet written"
    assert first.recorder._lock is not None
    first.recorder._lock.release()  # what the kernel does to a killed process's lock
    second = recorded(archive, SyntheticRing(newest=100))
    assert second.reader.sought == [81]
    assert any("finished, 80 rows (ring sequences 1 to 80)" in line for line in second.lines)
    assert second.sequences() == list(range(1, 101))
    assert [facts.complete for facts in archive.segments()] == [True, True]


def test_a_second_recorder_is_refused_by_the_first_ones_process_id(archive: Archive) -> None:
    first = Bench(archive, SyntheticRing(newest=1))
    first.recorder.begin()
    with pytest.raises(RecorderBusyError, match=f"already recorded by process {os.getpid()}"):
        Bench(archive, SyntheticRing(newest=1)).recorder.begin()
    Bench(archive, SyntheticRing(name="another", newest=1)).recorder.begin()
    first.recorder.finish()
    Bench(archive, SyntheticRing(newest=1)).recorder.begin()


def test_a_disk_that_refuses_is_counted_row_by_row_and_got_over(archive: Archive) -> None:
    ring = SyntheticRing(newest=100)
    bench = Bench(archive, ring, batch_rows=100)
    bench.recorder.begin()
    bench.record_all()
    [facts] = archive.segments()
    with no_file_larger_than(facts.bytes + 500):
        for ring.newest in (200, 300, 400):
            bench.record_all()
    assert bench.recorder.totals.write_failures == 300
    assert bench.sequences() == list(range(1, 101)), "what is visible is whole, disk or no disk"
    ring.newest = 450
    bench.record_all()
    bench.recorder.finish()
    assert bench.sequences() == [*range(1, 101), *range(401, 451)]
    rows = archive.table(["ring_seq", "lost_before"]).to_pylist()
    assert [row for row in rows if row["lost_before"]] == [{"ring_seq": 401, "lost_before": 300}]
    assert bench.reader.status["write_failures"] == 300
    assert len(bench.lines) == 2, "one line when it begins, one when it is over"
    assert "cannot write 100 rows: File too large; 100 rows could not be written so far" in bench.lines[0]
    assert "writing again; 300 rows could not be written in all" in bench.lines[1]
    assert archive.verify() == []


def test_a_disk_that_refuses_from_the_start_is_got_over(archive: Archive) -> None:
    ring = SyntheticRing(newest=100)
    bench = Bench(archive, ring, batch_rows=100)
    bench.recorder.begin()
    with no_file_larger_than(4):
        bench.record_all()
    ring.newest = 200
    bench.record_all()
    bench.recorder.finish()
    rows = archive.table(["ring_seq", "lost_before"]).to_pylist()
    assert rows[0] == {"ring_seq": 101, "lost_before": 100}
    assert len(rows) == 100


def test_a_refused_first_write_forgets_nothing_of_what_was_lost_before_it(archive: Archive) -> None:
    """Started at the latest, lapped before its first read, and then the disk refuses that read's rows."""
    ring = SyntheticRing(newest=100)
    bench = Bench(archive, ring, batch_rows=100, start="latest")
    bench.recorder.begin()
    bench.recorder._settled_seq = None  # as with a reader that does not know yet where it stands
    ring.oldest, ring.newest = 151, 200
    with no_file_larger_than(4):
        bench.record_all()
        bench.recorder.rotate()
    ring.newest = 250
    bench.record_all()
    bench.recorder.finish()
    rows = archive.table(["ring_seq", "lost_before"]).to_pylist()
    assert rows[0] == {"ring_seq": 201, "lost_before": 50 + 50}
    totals = bench.recorder.totals
    assert (totals.begin_seq, totals.recorded, totals.lost, totals.write_failures) == (101, 50, 50, 50)


def test_what_a_new_ring_lost_before_its_recorder_came_is_in_the_first_row(archive: Archive) -> None:
    ring = SyntheticRing(newest=100)
    bench = Bench(archive, ring)
    bench.recorder.begin()
    ring.oldest, ring.newest = 301, 400
    bench.record_all()
    bench.recorder.finish()
    rows = archive.table(["ring_seq", "lost_before"]).to_pylist()
    assert rows[0] == {"ring_seq": 301, "lost_before": 300}
    assert bench.recorder.totals.lost == 300


def test_a_part_that_cannot_be_finished_is_not_read_again_and_tried_less_and_less_often(archive: Archive) -> None:
    """Hours of it cost neither reading nor, soon, trying; and when the disk takes it, the segment is whole."""
    bench = Bench(archive, SyntheticRing(newest=50_000), batch_rows=10_000)
    bench.recorder.begin()
    bench.record_all()
    [facts] = archive.segments()
    assert facts.bytes > 400_000
    lines = len(bench.lines)
    with no_file_larger_than(facts.bytes):
        bench.recorder.rotate()
        before, writes_before = bytes_read(), writes()
        for _ in range(2 * 3600):
            bench.clock.sleep(1)
            bench.recorder.step()
        assert bytes_read() - before < 50_000
        assert 120 <= writes() - writes_before < 2 * 130 * 2, "once a minute"
    assert len(bench.lines) == lines + 1, "one line for it"
    bench.clock.sleep(61)
    bench.recorder.step()
    assert [one.complete for one in archive.segments()] == [True]
    assert bench.lines[-1].endswith("finished after all, 50000 rows")
    assert archive.verify() == []
    assert bench.sequences() == list(range(1, 50_001))


def bytes_read() -> int:
    """By this process, by its own system calls."""
    return int(Path("/proc/self/io").read_text().split()[1])


def writes() -> int:
    """Write calls of this process, refused ones too."""
    return int(Path("/proc/self/io").read_text().split()[7])


def test_a_stop_tries_once_more_to_finish_what_the_disk_refused(archive: Archive) -> None:
    bench = Bench(archive, SyntheticRing(newest=100), batch_rows=100)
    bench.recorder.begin()
    bench.record_all()
    [facts] = archive.segments()
    with no_file_larger_than(facts.bytes):
        bench.recorder.rotate()
    bench.recorder.finish()
    assert [one.complete for one in archive.segments()] == [True]
    assert archive.verify() == []


def test_a_segment_whose_footer_was_refused_is_finished_later(archive: Archive) -> None:
    bench = Bench(archive, SyntheticRing(newest=100), batch_rows=100)
    bench.recorder.begin()
    bench.record_all()
    [facts] = archive.segments()
    with no_file_larger_than(facts.bytes):
        bench.recorder.rotate()
    assert [one.complete for one in archive.segments()] == [False]
    assert bench.sequences() == list(range(1, 101))
    bench.clock.sleep(1)
    bench.recorder.step()
    assert [one.complete for one in archive.segments()] == [True]
    assert bench.sequences() == list(range(1, 101))


def test_a_stop_reads_what_the_ring_holds_first(archive: Archive) -> None:
    bench = Bench(archive, SyntheticRing(newest=1000), largest=10)
    bench.recorder.stop()
    bench.recorder.run()
    assert bench.sequences() == list(range(1, 1001))
    assert [facts.complete for facts in archive.segments()] == [True]


class SlowReader(SyntheticReader):
    """Gives one row a time, which takes half a second."""

    clock: HandClock

    def read(self, max_rows: int, max_bytes: int) -> pa.RecordBatch | None:
        self.clock.sleep(0.5)
        return super().read(1, max_bytes)


def slow_bench(archive: Archive, writer_alive: bool) -> Bench:
    bench = Bench(archive, SyntheticRing(newest=100, writer_alive=writer_alive), drain_s=2.0)
    bench.reader.__class__ = SlowReader
    bench.reader.clock = bench.clock  # type: ignore[attr-defined]
    return bench


def test_a_stop_reads_all_that_a_writer_left_who_is_gone(archive: Archive) -> None:
    bench = slow_bench(archive, writer_alive=False)
    bench.recorder.stop()
    bench.recorder.run()
    assert bench.sequences() == list(range(1, 101))
    assert bench.recorder.totals.backlog == 0


def test_a_stop_under_a_living_writer_takes_only_so_long_and_says_what_is_left_behind(archive: Archive) -> None:
    bench = slow_bench(archive, writer_alive=True)
    bench.recorder.stop()
    bench.recorder.run()
    totals = bench.recorder.totals
    assert bench.sequences() == [1, 2, 3, 4]
    assert (totals.begin_seq, totals.recorded, totals.backlog) == (1, 4, 96)
    second = recorded(archive, SyntheticRing(newest=100))
    assert (second.recorder.totals.begin_seq, second.recorder.totals.recorded) == (5, 96)


def test_a_second_stop_leaves_the_rest_to_the_next_start(archive: Archive) -> None:
    bench = slow_bench(archive, writer_alive=False)
    bench.recorder.stop()
    bench.recorder.stop(at_once=True)
    bench.recorder.run()
    assert (bench.sequences(), bench.recorder.totals.backlog) == ([], 100)


def test_books_balance_whatever_was_lost_refused_or_left(archive: Archive) -> None:
    recorded(archive, SyntheticRing(newest=10))
    ring = SyntheticRing(newest=100, oldest=31)
    bench = Bench(archive, ring, batch_rows=10)
    bench.recorder.begin()
    with no_file_larger_than(4):
        bench.recorder.step()
    bench.recorder.step()
    bench.recorder.finish()
    totals = bench.recorder.totals
    assert (totals.begin_seq, totals.recorded, totals.lost, totals.write_failures, totals.backlog) == (
        11,
        10,
        20,
        10,
        50,
    )
    assert ring.newest + 1 - totals.begin_seq == sum([10, 20, 10, 50])


def test_an_idle_recorder_looks_at_the_rings_file_four_times_a_second(archive: Archive) -> None:
    bench = Bench(archive, SyntheticRing(newest=1))
    looks = []
    began = bench.clock.now_ns

    def is_replaced() -> bool:
        looks.append(bench.clock.now_ns)
        return bench.clock.now_ns - began > 10 * SECOND_NS

    bench.reader.is_replaced = is_replaced  # type: ignore[method-assign]
    bench.recorder.run()
    assert 30 < len(looks) <= 42


def test_an_archive_that_is_ahead_of_the_ring_is_refused_in_one_line_that_says_what_to_do(archive: Archive) -> None:
    recorded(archive, SyntheticRing(newest=100))
    bench = Bench(archive, SyntheticRing(newest=60))
    with pytest.raises(ArchiveAheadError, match="up to its newest sequence 60, found rows up to 100") as caught:
        bench.recorder.begin()
    assert "nanotape rings --remove demo" in str(caught.value)
    assert "\n" not in str(caught.value)
    recorded(archive, SyntheticRing(newest=120))  # its lock was let go


def test_a_ring_that_is_gone_ends_the_run_when_all_of_it_is_read(archive: Archive) -> None:
    bench = Bench(archive, SyntheticRing(newest=1000), largest=10)
    bench.reader.replaced = True
    bench.recorder.run()
    assert bench.recorder.ring_gone
    assert bench.sequences() == list(range(1, 1001))


@pytest.mark.parametrize("ring", ["", "../demo", "a/b", ".hidden", "x" * 64])
def test_a_ring_name_that_is_no_directory_name_is_refused(archive: Archive, ring: str) -> None:
    with pytest.raises(ArchiveError, match="ring name"):
        Bench(archive, SyntheticRing(name=ring)).recorder.begin()


def test_output_that_cannot_be_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path, expected in (
        (tmp_path / "gone" / "archive", "its parent directory does not exist"),
        (tmp_path / "file", "found a file"),
        (tmp_path / "file" / "archive", "cannot make the directory: Not a directory"),
    ):
        with pytest.raises(ArchiveError, match=expected) as caught:
            Archive.create(path)
        assert "\n" not in str(caught.value)
        assert str(path) in str(caught.value)
    archive = Archive.create(tmp_path / "archive")
    (archive.path / "segments").write_text("")
    with pytest.raises(ArchiveError, match="a directory expected, found a file in its place"):
        Bench(archive, SyntheticRing()).recorder.begin()


@pytest.mark.root
@pytest.mark.parametrize("where", [".", "segments", "segments/demo"])
def test_a_directory_that_this_user_may_not_write_is_refused_in_one_line(
    where: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """As nobody, in a child: root may write anywhere."""
    top = Path("/tmp") / f"nanotape-storage-{os.getpid()}"  # pytest's own directories are closed to others
    path = top / "archive"
    directory = path / where
    directory.mkdir(parents=True)
    try:
        for opened in (top, path, path / "segments", path / "segments" / "demo"):
            if opened.exists():
                opened.chmod(0o777)
        directory.chmod(0o555)
        message = as_nobody(lambda: Bench(Archive.create(path), SyntheticRing(newest=1)).recorder.begin())
        assert "ArchiveError" in message
        assert "Permission denied; give this user the right to write there" in message
        assert "\n" not in message
        directory.chmod(0o777)
        assert as_nobody(lambda: recorded(Archive.create(path), SyntheticRing(newest=1))) == "fine"
        (path / "segments" / "demo").chmod(0o555)  # where its lock file is by now
        message = as_nobody(lambda: Bench(Archive.create(path), SyntheticRing(newest=1)).recorder.begin())
        assert "ArchiveError" in message
        assert f"{path}/segments/demo: expected to be writable by user 65534, found: Permission denied" in message
    finally:
        shutil.rmtree(top)


def as_nobody(action: Any) -> str:
    """What came of it in a child process of user nobody."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        answer = "fine"
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            action()
        except BaseException as error:
            answer = f"{type(error).__name__}: {error}"
        os.write(writing, answer.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read().decode()
    os.waitpid(child, 0)
    return answer


def test_the_schema_written_is_the_packets_schema(archive: Archive) -> None:
    recorded(archive, SyntheticRing(newest=3))
    [facts] = archive.segments()
    schema = pa.ipc.open_file(pa.memory_map(str(facts.path))).schema
    assert schema.metadata[b"nanotape_schema"] == b"1"
    assert schema.field("ts").metadata[b"unit"].startswith(b"nanoseconds since 1970")
