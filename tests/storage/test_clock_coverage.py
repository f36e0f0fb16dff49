"""What coverage, audit and a day's report make of clocks."""

import json

import pytest
from clock_lines import JournalWriter, change, sample
from command_line import call
from recorder_bench import HandClock, later
from synthetic import FIRST_TS, SyntheticRing
from test_clock_recording import bench_of
from test_coverage import MINUTE_NS, Timeline, states

from nanotape.storage import open_archive
from nanotape.storage.archive import Archive
from nanotape.storage.audit import audit
from nanotape.storage.audit_stamps import StampSheet
from nanotape.storage.audit_text import audit_lines
from nanotape.storage.clock_entries import ClockChange, ClockSample
from nanotape.storage.clock_recording import clock_columns
from nanotape.storage.clock_told import change_event
from nanotape.storage.compact import CompactOptions, compact
from nanotape.storage.instants import day_ns
from nanotape.storage.named_queries import Options, build
from nanotape.storage.report import day_report
from nanotape.storage.report_text import report_lines

BEGIN = HandClock().utc_ns()


def told(archive: Archive, minutes: int, *entries: ClockChange | ClockSample) -> list[str]:
    """The states of so many minutes with packets, in which this was told of clocks."""
    timeline = Timeline(archive)
    timeline.run(minutes * 60, 3)
    journal = timeline.bench.recorder.recording.journal
    assert journal
    for each in entries:
        if isinstance(each, ClockChange):
            journal.tell([change_event(each, timeline.bench.ring)])
        else:
            journal.tell_rows("clock", clock_columns([each]))
    timeline.bench.recorder.finish()
    return ["degraded" if each == "clock_degraded" else each for each in states(archive, HandClock(), minutes)]


def minute(number: float) -> int:
    return BEGIN + int(number * MINUTE_NS)


def test_a_clock_that_was_not_locked_degrades_the_time_until_it_was_again(archive: Archive) -> None:
    begin = change(minute(1.5))
    over = change(minute(1.5), end_ns=minute(2.5))
    assert told(archive, 5, begin, over) == ["clean", "degraded", "degraded", "clean", "clean"]


def test_one_that_nobody_has_ended_yet_goes_on(archive: Archive) -> None:
    assert told(archive, 4, change(minute(1.5), severity="error")) == ["clean", "degraded", "degraded", "degraded"]


def test_one_that_nobody_ended_goes_up_to_the_first_sample_that_is_locked(archive: Archive) -> None:
    samples = [sample(minute(at), state=state) for at, state in ((0.5, "locked"), (2, "holdover"), (3.5, "locked"))]
    others = [sample(minute(2.1), clock="ptp0", state="locked")]
    found = told(archive, 5, change(minute(1.5)), *samples, *others)
    assert found == ["clean", "degraded", "degraded", "degraded", "clean"]


@pytest.mark.parametrize("what", ["grandmaster", "step", "utc_offset", "process"])
def test_what_is_no_state_degrades_nothing(archive: Archive, what: str) -> None:
    assert told(archive, 2, change(minute(0.5), what=what, severity="error")) == ["clean", "clean"]


def test_a_transition_degrades_nothing_by_itself(archive: Archive) -> None:
    at_once = change(minute(0.5), "acquiring -> locked", end_ns=minute(0.5))
    ordinary = change(minute(1.5), severity="info")
    assert told(archive, 2, at_once, ordinary) == ["clean", "clean"]


def test_a_loss_is_worse_than_a_clock_that_is_not_locked(archive: Archive) -> None:
    timeline = Timeline(archive)
    timeline.run(60, 3)
    timeline.bench.ring.newest += 500
    timeline.bench.ring.oldest = timeline.bench.ring.newest - 10
    timeline.run(60, 3)
    journal = timeline.bench.recorder.recording.journal
    assert journal
    journal.tell([change_event(change(minute(0.1)), timeline.bench.ring)])
    timeline.bench.recorder.finish()
    assert states(archive, HandClock(), 2) == ["gap_ours", "gap_ours"]


def recorded_with_clocks(archive: Archive, writer: JournalWriter) -> None:
    writer.write(sample(FIRST_TS + 10, 700, growth_ppb=0), sample(FIRST_TS + 20, 90, state="holdover"))
    writer.write(sample(FIRST_TS, None, "ptp0", state="free-running"), change(FIRST_TS + 20))
    bench = bench_of(archive, writer.folder, ring=SyntheticRing(newest=100))
    bench.record_all()
    bench.recorder.finish()


def test_an_audit_says_how_far_stamps_may_be_off(archive: Archive) -> None:
    recorded_with_clocks(archive, JournalWriter(archive.path.parent / "run" / "clock"))
    for _ in range(2):
        report = audit(open_archive(archive.path))
        assert report.stamps == [StampSheet("box", "xdp", 100, 9, 701, 0, 0, 0)]
        assert "stamps by xdp on box: 100 packets; error at most 701 ns, unknown of 9.0% (9)" in audit_lines(report)
        compact(archive, CompactOptions(grace_ns=0), clock=later(50), log=lambda _: None)
    found = json.loads(call("audit", archive.path, "--json")[1])
    assert found["stamps"][0]["worst_error_ns"] == 701


def test_an_audit_counts_the_stamps_that_were_not_believed() -> None:
    sheets = [
        StampSheet("box", "user", 1000, 1000, None, 3, 0, 900),
        StampSheet("box", "nic", 1000, 0, 80, 0, 2, 0),
    ]
    from nanotape.storage.audit_stamps import stamp_lines

    assert list(stamp_lines(sheets)) == [
        "stamps by user on box: 1,000 packets; error unknown, 3 stamps that were not believed, 900 without a stamp",
        "stamps by nic on box: 1,000 packets; error at most 80 ns, 2 stamps that went backwards",
    ]


def test_a_days_report_has_each_clock(archive: Archive) -> None:
    recorded_with_clocks(archive, JournalWriter(archive.path.parent / "run" / "clock"))
    report = day_report(open_archive(archive.path), "2026-10-14")
    assert report.begin_ns == day_ns("2026-10-14")[0]
    assert report.clock is not None
    assert report.clock["worst_error_ns"] == 700
    assert report.clock["clocks"] == [
        {"host": "box", "clock": "ptp0", "states": {"free-running": 1.0}, "worst_error_ns": None, "unknown": 1.0},
        {
            "host": "box",
            "clock": "system",
            "states": {"holdover": 0.5, "locked": 0.5},
            "worst_error_ns": 700,
            "unknown": 0.0,
        },
    ]
    lines = list(report_lines(report))
    assert (
        "clock: ptp0 on box: free-running 100.0%; error unknown; "
        "system on box: holdover 50.0%, locked 50.0%; error at most 700 ns" in lines
    )
    assert any("system: locked -> holdover" in line for line in lines)


def test_a_query_chooses_packets_by_their_bound(archive: Archive) -> None:
    recorded_with_clocks(archive, JournalWriter(archive.path.parent / "run" / "clock"))
    sql = "SELECT count(*) AS good FROM packets WHERE ts_error_ns < 1000"
    assert open_archive(archive.path).sql(sql).fetchall() == [(91,)]
    status, out, _ = call("query", archive.path, sql, "--format", "csv")
    assert (status, out.split()) == (0, ['"good"', "91"])


def test_a_named_query_says_how_far_stamps_may_be_off(archive: Archive) -> None:
    recorded_with_clocks(archive, JournalWriter(archive.path.parent / "run" / "clock"))
    rows = open_archive(archive.path).sql(build("stamp-error", Options())).to_arrow_table().to_pylist()
    assert sum(row["packets"] for row in rows) == 91, "of nine it is unknown"
    assert {(row["p50_ns"], row["max_ns"]) for row in rows} == {(92, 701)}, "nine in ten after the second sample"
    assert min(row["min_ns"] for row in rows) == 91
