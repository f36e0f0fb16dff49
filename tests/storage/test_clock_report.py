"""The report on clocks: of archives that a recorder wrote, live and compacted, over days, clocks and hosts."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from clock_archive import MIDNIGHT_NS, SECOND_NS, change, clock_archive, sample, seconds

from nanotape.storage.archive import Archive
from nanotape.storage.clock_days import ClockDay
from nanotape.storage.clock_report import clock_report
from nanotape.storage.compact import compact
from nanotape.storage.errors import QueryError
from nanotape.storage.reader import open_archive

MINUTE_NS = 60 * SECOND_NS
NOON_NS = MIDNIGHT_NS + 12 * 3600 * SECOND_NS


def only(archive: Archive, **chosen: int | str) -> ClockDay:
    """The one day of the one clock that is reported on."""
    (day,) = clock_report(open_archive(archive.path), **chosen).days  # type: ignore[arg-type]
    return day


def test_a_day_is_summed_up_by_what_is_known_of_each_second(tmp_path: Path) -> None:
    entries = [
        *seconds(NOON_NS, 10, error_ns=90),
        *seconds(NOON_NS + 10 * SECOND_NS, 20, error_ns=100),
        *seconds(NOON_NS + 30 * SECOND_NS, 30, error_ns=101),
        *seconds(NOON_NS + 60 * SECOND_NS, 5, error_ns=1001),
        sample(NOON_NS + 65 * SECOND_NS, error_ns=100_001),
        *seconds(NOON_NS + 66 * SECOND_NS, 4, "unknown", error_ns=None, offset_ns=None, source=None, method=None),
    ]
    day = only(clock_archive(tmp_path / "a", entries))
    assert (day.date, day.host, day.clock) == ("2026-11-28", "box", "system")
    assert day.span_ns == day.recorded_ns == 70 * SECOND_NS
    assert day.bounded_ns == 66 * SECOND_NS
    assert day.within_ns == (65 * SECOND_NS, 60 * SECOND_NS, 30 * SECOND_NS)
    assert day.shares_within == (65 / 70, 60 / 70, 30 / 70)
    assert (day.worst_error_ns, day.worst_at_ns) == (100_001, NOON_NS + 65 * SECOND_NS)
    assert day.states == (("locked", 66 * SECOND_NS), ("unknown", 4 * SECOND_NS))
    assert day.sources == (("ptp4l", 66 * SECOND_NS),)
    assert day.methods == (("pmc", 66 * SECOND_NS),)
    assert day.utc_offsets == (("37 (ptp)", 70 * SECOND_NS),)
    assert not day.is_fine


def test_seconds_without_a_row_are_not_taken_for_good(tmp_path: Path) -> None:
    entries = [*seconds(NOON_NS, 10), *seconds(NOON_NS + 30 * SECOND_NS, 10)]
    day = only(clock_archive(tmp_path / "a", entries))
    assert day.span_ns == 40 * SECOND_NS
    assert day.recorded_ns == 21 * SECOND_NS  # the last before the hole speaks for two
    assert day.unrecorded_ns == 19 * SECOND_NS
    assert day.shares_within[0] == 1
    assert not day.is_fine


def test_a_day_is_fine_only_where_all_of_it_is_known_to_be_within_100_us(tmp_path: Path) -> None:
    archive = clock_archive(tmp_path / "a", seconds(NOON_NS, 60))
    report = clock_report(open_archive(archive.path))
    assert report.is_fine
    assert report.days[0].is_fine
    assert not clock_report(open_archive(archive.path), start=NOON_NS - 5 * SECOND_NS).is_fine


def test_a_late_row_leaves_no_hole_and_an_early_one_counts_only_until_the_next(tmp_path: Path) -> None:
    moments = [0, 1.02, 1.99, 3.0, 4.6, 5.0]
    entries = [sample(NOON_NS + int(at * SECOND_NS), error_ns=int(at * 100)) for at in moments]
    day = only(clock_archive(tmp_path / "a", entries))
    assert day.recorded_ns == day.span_ns == 6 * SECOND_NS
    assert day.within_ns[2] == 1_020_000_000  # until the one of 102 ns


def test_days_are_utc_days_and_what_goes_on_over_midnight_is_one(tmp_path: Path) -> None:
    holdover = seconds(MIDNIGHT_NS - 30 * SECOND_NS, 50, "holdover", error_ns=5000, grandmaster=None)
    entries = [
        *seconds(MIDNIGHT_NS - 60 * SECOND_NS, 30),
        *holdover,
        *seconds(MIDNIGHT_NS + 20 * SECOND_NS, 10, grandmaster="aabbcc.fffe.ddeeff"),
    ]
    report = clock_report(open_archive(clock_archive(tmp_path / "a", entries).path))
    first, second = report.days
    assert (first.date, second.date) == ("2026-11-27", "2026-11-28")
    assert (first.span_ns, second.span_ns) == (60 * SECOND_NS, 30 * SECOND_NS)
    assert (first.holdovers, first.holdover_ns, first.longest_holdover_ns) == (1, 30 * SECOND_NS, 30 * SECOND_NS)
    assert (second.holdovers, second.holdover_ns, second.longest_holdover_ns) == (0, 20 * SECOND_NS, 50 * SECOND_NS)
    assert (first.grandmaster_changes, second.grandmaster_changes) == (0, 1)
    (total,) = report.totals
    assert (total.date, total.holdovers, total.holdover_ns) == ("all", 1, 50 * SECOND_NS)
    assert (total.longest_holdover_ns, total.grandmaster_changes) == (50 * SECOND_NS, 1)
    assert total.recorded_ns == 90 * SECOND_NS
    assert total.states == (("holdover", 50 * SECOND_NS), ("locked", 40 * SECOND_NS))
    assert total.grandmasters == (("001122.fffe.334455", 30 * SECOND_NS), ("aabbcc.fffe.ddeeff", 10 * SECOND_NS))


def test_changes_of_master_and_offset_are_counted_where_they_are_known_and_steps_by_events(tmp_path: Path) -> None:
    names = ["a", "a", None, "a", "b", None, "a", "a"]
    offsets = [37, None, 37, 37, 38, 38, 38, 37]
    entries = [
        sample(NOON_NS + at * SECOND_NS, grandmaster=name, utc_offset_s=offset)
        for at, (name, offset) in enumerate(zip(names, offsets, strict=True))
    ]
    told = [
        change(NOON_NS + 2 * SECOND_NS, "step", detail="stepped by +0.5 s"),
        change(NOON_NS + 3 * SECOND_NS, "step", detail="stepped by -0.5 s"),
        change(NOON_NS + 3 * SECOND_NS, "step", clock="ptp0"),
        change(NOON_NS + 4 * SECOND_NS, "grandmaster"),
    ]
    day = only(clock_archive(tmp_path / "a", [*entries, *told]))
    assert (day.grandmaster_changes, day.utc_offset_changes, day.steps) == (2, 2, 2)


def test_each_clock_of_each_host_has_its_own_days_and_a_missing_one_is_unrecorded(tmp_path: Path) -> None:
    one = [*seconds(MIDNIGHT_NS - 5 * SECOND_NS, 10), *seconds(MIDNIGHT_NS, 5, clock="ptp0", interface="eth1")]
    clock_archive(tmp_path / "one", one, host="alpha")
    clock_archive(tmp_path / "two", seconds(MIDNIGHT_NS, 5), host="beta")
    report = clock_report(open_archive([tmp_path / "one", tmp_path / "two"]))
    assert [(day.host, day.clock, day.date, day.recorded_ns // SECOND_NS) for day in report.days] == [
        ("alpha", "ptp0", "2026-11-27", 0),
        ("alpha", "ptp0", "2026-11-28", 5),
        ("alpha", "system", "2026-11-27", 5),
        ("alpha", "system", "2026-11-28", 5),
        ("beta", "system", "2026-11-27", 0),
        ("beta", "system", "2026-11-28", 5),
    ]
    assert [(each.host, each.clock, each.interface) for each in report.totals] == [
        ("alpha", "ptp0", "eth1"), ("alpha", "system", None), ("beta", "system", None),
    ]  # fmt: skip
    assert report.days[0].shares_within == (None, None, None)


def test_the_same_archive_twice_says_nothing_twice(tmp_path: Path) -> None:
    told = [change(NOON_NS, "step")]
    clock_archive(tmp_path / "a", [*seconds(NOON_NS, 20, error_ns=50), *told])
    clock_archive(tmp_path / "copy", [*seconds(NOON_NS, 20, error_ns=50), *told])
    once = clock_report(open_archive(tmp_path / "a"))
    assert clock_report(open_archive([tmp_path / "a", tmp_path / "copy"])).days == once.days


@pytest.mark.parametrize("seed", range(3))
def test_a_compacted_archive_reports_the_same_as_a_live_one(tmp_path: Path, seed: int) -> None:
    random.seed(seed)
    states = ("unknown", "free-running", "acquiring", "locked", "holdover")
    entries = []
    at_ns = MIDNIGHT_NS - 200 * SECOND_NS
    for _ in range(500):
        at_ns += random.choice((1, 1, 1, 1, 5)) * SECOND_NS + random.randint(-10_000_000, 10_000_000)
        error = random.choice((None, 50, 500, 5000, 500_000))
        entries.append(sample(at_ns, random.choice(states), error_ns=error, grandmaster=random.choice("ab")))
    archive = clock_archive(tmp_path / "a", entries)
    live = clock_report(open_archive(archive.path))
    compact(archive)
    assert list(archive.path.glob("clock/date=*/*.parquet"))
    assert clock_report(open_archive(archive.path)) == live


def test_start_and_end_cut_the_report(tmp_path: Path) -> None:
    archive = clock_archive(tmp_path / "a", seconds(NOON_NS, 100))
    day = only(archive, start="2026-11-28T12:00:10Z", end="2026-11-28T12:00:30.5Z")
    assert (day.span_ns, day.recorded_ns) == (20_500_000_000, 20_500_000_000)
    with pytest.raises(QueryError, match="a moment after start expected"):
        only(archive, start="2026-11-28", end="2026-11-28")
    with pytest.raises(QueryError, match="a moment such as"):
        only(archive, start="yesterday")


def test_an_archive_without_clocks_has_no_days_and_is_not_fine(tmp_path: Path) -> None:
    report = clock_report(open_archive(clock_archive(tmp_path / "a", []).path))
    assert (report.days, report.totals, report.curves, report.is_fine) == ((), (), (), False)


def test_a_picture_shows_the_worst_of_each_part(tmp_path: Path) -> None:
    entries = [
        *seconds(NOON_NS, 10, error_ns=100, offset_ns=-5),
        *seconds(NOON_NS + 10 * SECOND_NS, 9, error_ns=200, offset_ns=-50),
        sample(NOON_NS + 19 * SECOND_NS, "holdover", error_ns=300, offset_ns=40),
        *seconds(NOON_NS + 30 * SECOND_NS, 10, "unknown", error_ns=None, offset_ns=None),
    ]
    (curve,) = clock_report(open_archive(clock_archive(tmp_path / "a", entries).path)).curves
    assert curve.errors_ns == (100, 300, None, None)
    assert curve.offsets_ns == (5, 50, None, None)
    assert curve.states == ("locked", "holdover", None, "unknown")
