"""Sheets of recorders whose every packet is known."""

import json
import shutil
from pathlib import Path

import pytest
from command_line import call
from recorder_bench import Bench, HandClock, later, recorded
from synthetic import SyntheticRing
from test_segment import no_file_larger_than

from nanotape.storage import open_archive
from nanotape.storage.archive import Archive
from nanotape.storage.audit import audit
from nanotape.storage.audit_sheets import AuditReport
from nanotape.storage.audit_text import audit_lines
from nanotape.storage.books import Reading, RingReadings
from nanotape.storage.compact import CompactOptions, compact
from nanotape.storage.selection import Selection


def of(archive: Archive, selection: Selection | None = None) -> AuditReport:
    return audit(open_archive(archive.path), selection)


def with_source(bench: Bench, **more: int) -> dict[str, int]:
    """Gives a bench a source whose counters are in the test's hand."""
    counts = {"offered": 0, "passed_unmatched": 0, "redirected": 0, "in_ring": 0, **more}

    def read() -> RingReadings:
        return RingReadings(1, 7, tuple(Reading("eth1:0", "eth1", stage, value) for stage, value in counts.items()))

    bench.recorder.recording.read_ring = read
    return counts


def test_recorders_that_end_in_order_balance_by_counters_and_by_rows(archive: Archive) -> None:
    recorded(archive, SyntheticRing(newest=1000))
    recorded(archive, SyntheticRing(newest=1500), clock=later())
    [sheet] = of(archive).recorders
    assert (sheet.runs, sheet.in_ring, sheet.recorded, sheet.rows, sheet.backlog) == (2, 1500, 1500, 1500, 0)
    assert sheet.unexplained == 0
    assert of(archive).is_fine


def test_what_was_recorded_before_there_were_counters_is_no_difference(archive: Archive) -> None:
    """By an earlier version, or by one that was killed before its first reading was on the disk."""
    recorded(archive, SyntheticRing(newest=100))
    recorded(archive, SyntheticRing(oldest=151, newest=200), clock=later())
    shutil.rmtree(archive.path / "segments" / "demo" / "counters")
    recorded(archive, SyntheticRing(oldest=221, newest=300), clock=later(20))
    report = of(archive)
    [sheet] = report.recorders
    assert (sheet.in_ring, sheet.recorded, sheet.overrun, sheet.rows, sheet.told_lost) == (100, 80, 20, 80, 20)
    assert report.unexplained == 0


def test_what_one_could_not_write_and_the_next_found_in_the_ring_is_no_difference(archive: Archive) -> None:
    bench = Bench(archive, SyntheticRing(newest=100), batch_rows=100)
    bench.recorder.begin()
    bench.record_all()
    with no_file_larger_than(archive.segments()[0].bytes + 500):
        bench.ring.newest = 200
        bench.record_all()
    bench.recorder.finish()
    recorded(archive, SyntheticRing(newest=300), clock=later())
    report = of(archive)
    [sheet] = report.recorders
    assert (sheet.in_ring, sheet.recorded, sheet.write_failures, sheet.taken_up, sheet.rows) == (
        300,
        300,
        100,
        100,
        300,
    )
    assert sheet.unexplained == 0
    assert report.is_fine, "nothing is lost after all"
    assert "100 of these counted twice" in "".join(audit_lines(report))


def test_what_was_overrun_refused_and_left_out_is_each_told(archive: Archive) -> None:
    ring = SyntheticRing(newest=100)
    bench = Bench(archive, ring, batch_rows=100, keep_other=False)
    bench.recorder.begin()
    bench.record_all()
    with no_file_larger_than(archive.segments()[0].bytes + 500):
        ring.newest = 200
        bench.record_all()
    ring.oldest, ring.newest = 251, 400
    bench.record_all()
    bench.recorder.finish()
    report = of(archive)
    [sheet] = report.recorders
    assert (sheet.in_ring, sheet.overrun) == (400, 50)
    assert sheet.recorded + sheet.left_out + sheet.write_failures == 350
    assert sheet.write_failures > 50
    assert sheet.unexplained == 0
    assert {(loss.stage, loss.packets) for loss in report.losses} == {
        ("recorder_lapped", 50), ("recorder_write", sheet.write_failures)
    }  # fmt: skip
    assert not report.is_fine


def test_a_killed_recorder_leaves_a_number_of_packets_that_its_successor_accounts_for(archive: Archive) -> None:
    dead = Bench(archive, SyntheticRing(newest=1000), batch_rows=300)
    dead.recorder.begin()
    dead.record_all()
    dead.die()
    recorded(archive, SyntheticRing(newest=1500), clock=later())
    [sheet] = of(archive).recorders
    assert (sheet.in_ring, sheet.recorded, sheet.uncounted, sheet.rows) == (1500, 600, 900, 1500)
    assert sheet.unexplained == 0


def test_a_killed_recorder_without_a_successor_leaves_no_riddle(archive: Archive) -> None:
    dead = Bench(archive, SyntheticRing(newest=1000), batch_rows=300)
    dead.recorder.begin()
    dead.record_all()
    dead.ring.newest = 2000
    dead.record_all()
    dead.die()
    [sheet] = of(archive).recorders
    assert (sheet.has_ended, sheet.rows, sheet.unexplained) == (False, 1800, 0)


def test_rows_that_vanished_are_unexplained_whatever_the_counters_say(archive: Archive) -> None:
    recorded(archive, SyntheticRing(newest=1000))
    recorded(archive, SyntheticRing(newest=1500), clock=later())
    archive.segments()[0].path.unlink()
    report = of(archive)
    assert report.unexplained == 1000
    assert "NOT BALANCED: 1,000 packets unexplained" in list(audit_lines(report))[-1]


@pytest.mark.parametrize(
    ("change", "unexplained"),
    [({}, 0), ({"in_ring": 90}, 10), ({"redirected": 95}, 10), ({"passed_unmatched": 3}, 2), ({"offered": 120}, 15)],
)
def test_a_sources_equations_find_what_is_missing(archive: Archive, change: dict[str, int], unexplained: int) -> None:
    bench = Bench(archive, SyntheticRing(newest=100))
    counts = with_source(bench, rx_dropped=0)
    bench.recorder.begin()
    counts |= {"offered": 105, "passed_unmatched": 5, "redirected": 100, "in_ring": 100, **change}
    bench.record_all()
    bench.clock.sleep(2)
    bench.recorder.step()
    bench.recorder.finish()
    [sheet] = of(archive).sources
    assert (sheet.is_exact, sheet.unexplained) == (True, unexplained)


def test_loss_before_the_ring_is_told_by_its_stage_and_is_no_riddle(archive: Archive) -> None:
    bench = Bench(archive, SyntheticRing(newest=100))
    counts = with_source(bench)
    bench.recorder.begin()
    counts |= {"offered": 130, "redirected": 130, "rx_dropped": 20, "rx_ring_full": 10, "in_ring": 100}
    bench.record_all()
    bench.clock.sleep(2)
    bench.recorder.step()
    bench.recorder.finish()
    report = of(archive)
    assert (report.sources[0].lost, report.unexplained, report.is_fine) == (30, 0, False)


def test_while_packets_move_nothing_is_called_missing(archive: Archive) -> None:
    bench = Bench(archive, SyntheticRing(newest=100))
    counts = with_source(bench)
    bench.recorder.begin()
    counts |= {"offered": 100, "redirected": 99, "in_ring": 97}
    bench.clock.sleep(2)
    bench.recorder.step()
    bench.clock.sleep(6)
    bench.recorder.step()
    counts |= {"offered": 120}
    bench.clock.sleep(6)
    bench.recorder.step()
    [sheet] = of(archive).sources
    assert not sheet.is_exact
    assert of(archive).unexplained == 0
    assert any("packets moved at the last reading" in line for line in audit_lines(of(archive)))
    bench.recorder.finish()


def test_a_part_of_the_time_is_accounted_for_from_its_own_baseline(archive: Archive) -> None:
    bench = Bench(archive, SyntheticRing(newest=100))
    counts = with_source(bench)
    bench.recorder.begin()
    clock: HandClock = bench.clock
    for _ in range(5):
        counts |= {"offered": bench.ring.newest, "redirected": bench.ring.newest, "in_ring": bench.ring.newest}
        bench.record_all()
        clock.sleep(10)
        bench.recorder.step()
        middle = clock.utc_ns()
        bench.ring.newest += 100
    bench.record_all()
    bench.recorder.finish()
    whole, part = of(archive), of(archive, Selection.of(start=middle - 25 * 10**9))
    assert whole.recorders[0].in_ring == 600
    [sheet] = part.recorders
    assert 0 < (sheet.in_ring or 0) < 600
    assert sheet.unexplained == 0
    assert part.sources[0].counts["offered"] < (whole.sources[0].counts["offered"] or 0)  # type: ignore[operator]


def test_channels_are_counted_from_rows_in_segments_and_parquet_alike(archive: Archive) -> None:
    recorded(archive, SyntheticRing(newest=900))
    compact(archive, CompactOptions(), clock=HandClock(), log=lambda _: None)
    recorded(archive, SyntheticRing(newest=1500), clock=later())
    sheets = of(archive).channels
    assert [(each.channel, each.line, each.packets) for each in sheets] == [
        ("itch-1", "A", 500), ("itch-1", "B", 500), ("other", None, 500)
    ]  # fmt: skip
    assert {each.seconds for each in sheets} == {1}


def test_the_verb_prints_the_sheet_and_its_status_says_whether_it_is_fine(archive: Archive, tmp_path: Path) -> None:
    recorded(archive, SyntheticRing(newest=100))
    status, out, _ = call("audit", archive.path)
    assert (status, out.splitlines()[-1]) == (0, "balanced; nothing lost by us")
    recorded(archive, SyntheticRing(oldest=151, newest=200), clock=later())
    status, out, _ = call("audit", archive.path, "--json")
    report = json.loads(out)
    assert (status, report["fine"], report["lost"], report["unexplained"]) == (1, False, 50, 0)
    assert "nothing was recorded in this time" in call("audit", archive.path, "--date", "2020-01-01")[1]
    assert call("audit", archive.path, "--date", "2020-01-01", "--start", "2020-01-01")[0] == 2
    assert call("audit", tmp_path / "none")[0] == 1
