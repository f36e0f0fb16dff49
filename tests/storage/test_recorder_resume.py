"""Where a recorder begins, goes on and ends, and how its books balance across that."""

import pyarrow as pa
from recorder_bench import SECOND_NS, Bench, HandClock, recorded
from synthetic import SyntheticReader, SyntheticRing
from test_segment import no_file_larger_than

from nanotape.storage.archive import Archive


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
    first.die()
    second = recorded(archive, SyntheticRing(newest=100))
    assert second.reader.sought == [81]
    assert any("finished, 80 rows (ring sequences 1 to 80)" in line for line in second.lines)
    assert second.sequences() == list(range(1, 101))
    assert [facts.complete for facts in archive.segments()] == [True, True]


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


def test_a_ring_that_is_gone_ends_the_run_when_all_of_it_is_read(archive: Archive) -> None:
    bench = Bench(archive, SyntheticRing(newest=1000), largest=10)
    bench.reader.replaced = True
    bench.recorder.run()
    assert bench.recorder.ring_gone
    assert bench.sequences() == list(range(1, 1001))
