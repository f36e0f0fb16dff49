"""The report on clocks as text, JSON and picture: what a reviewer reads, to the letter, of a crafted report."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import pytest

from nanotape.storage.clock_days import ClockCurve, ClockDay, ClockReport, total
from nanotape.storage.clock_plot import STATE_COLOURS, clock_plot
from nanotape.storage.clock_report_text import length, report_facts, report_lines

SECOND_NS = 10**9
MIDNIGHT_NS = 1_795_824_000 * SECOND_NS
DAY_NS = 86_400 * SECOND_NS

GOOD = ClockDay(
    "2026-11-28",
    "box",
    "ptp0",
    "eth1",
    span_ns=DAY_NS,
    recorded_ns=DAY_NS,
    bounded_ns=DAY_NS,
    within_ns=(DAY_NS, DAY_NS, DAY_NS - SECOND_NS),
    worst_error_ns=140,
    worst_at_ns=MIDNIGHT_NS + 3600 * SECOND_NS,
    states=(("locked", DAY_NS),),
    holdovers=0,
    holdover_ns=0,
    longest_holdover_ns=0,
    grandmasters=(("001122.fffe.334455", DAY_NS),),
    grandmaster_changes=0,
    utc_offsets=(("37 (ptp)", DAY_NS),),
    utc_offset_changes=0,
    steps=0,
    sources=(("ptp4l", DAY_NS),),
    methods=(("pmc", DAY_NS),),
)
BAD = replace(
    GOOD,
    date="2026-11-29",
    recorded_ns=DAY_NS // 2,
    bounded_ns=DAY_NS // 4,
    within_ns=(DAY_NS // 8, 0, 0),
    worst_error_ns=1_500_000,
    worst_at_ns=MIDNIGHT_NS + DAY_NS + 1,
    states=(("unknown", DAY_NS // 4), ("holdover", DAY_NS // 4)),
    holdovers=2,
    holdover_ns=DAY_NS // 4,
    longest_holdover_ns=90 * SECOND_NS,
    grandmaster_changes=3,
    steps=1,
    grandmasters=(("<odd>", DAY_NS // 4),),
)
CURVE = ClockCurve(
    "box",
    "ptp0 & co",
    (100, 200, None, 400),
    (10, None, None, 0),
    ("locked", "locked", None, "holdover"),
)
REPORT = ClockReport(MIDNIGHT_NS, MIDNIGHT_NS + 2 * DAY_NS, (GOOD, BAD), (total([GOOD, BAD]),), (CURVE,))


def test_the_text_has_a_row_a_day_and_one_for_all_of_them() -> None:
    lines = list(report_lines(REPORT))
    assert lines[0] == "clock report from 2026-11-28T00:00:00Z to 2026-11-30T00:00:00Z, days in UTC"
    assert "host box, clock ptp0 (eth1)" in lines
    rows = [re.split(r"\s{2,}", line.strip()) for line in lines if re.match(r"  (2026|all)", line)]
    # Of 86,399 seconds in 86,400 nobody may read "100 %".
    assert rows[0] == [
        "2026-11-28", "100 %", "100 %", "100 %", "99.999 %", "0 %", "140 ns", "01:00:00Z", "0", "0", "0", "0",
    ]  # fmt: skip
    assert rows[1][:9] == [
        "2026-11-29", "50.000 %", "25.000 %", "0 %", "0 %", "50.000 %", "1.5 ms", "00:00:00Z", "2 (6 h)",
    ]  # fmt: skip
    assert rows[2][0] == "all"
    assert rows[2][7] == "2026-11-29T00:00:00Z"
    assert rows[2][9:] == ["1.5 min", "3", "1", "0"]
    assert "  masters: 001122.fffe.334455 66.667 %, <odd> 16.667 %, unknown 16.667 %" in lines


def test_the_text_claims_nothing_and_says_what_is_still_to_be_documented() -> None:
    text = "\n".join(report_lines(REPORT))
    assert "claims no compliance" in text
    for word in ("traceability", "point of stamping", "asymmetry"):
        assert word in text
    assert "compliant" not in text


def test_json_has_seconds_shares_and_null_where_nothing_is_known() -> None:
    facts = json.loads(json.dumps(report_facts(REPORT)))
    assert facts["fine"] is False
    good, bad = facts["days"]
    assert good["share_within_100us"] == 1.0
    assert good["within_100ns_s"] == 86_399
    assert (bad["unrecorded_s"], bad["bound_known_s"], bad["share_within_1us"]) == (43_200, 21_600, 0)
    assert bad["states_s"] == {"unknown": 21_600, "holdover": 21_600}
    (clock,) = facts["clocks"]
    assert (clock["date"], clock["worst_error_ns"], clock["grandmaster_changes"]) == ("all", 1_500_000, 3)
    nothing = replace(GOOD, recorded_ns=0, bounded_ns=0, within_ns=(0, 0, 0), worst_error_ns=None, worst_at_ns=None)
    empty = report_facts(replace(REPORT, days=(nothing,)))["days"][0]
    assert (empty["share_within_100us"], empty["worst_error_ns"], empty["worst_at_ns"]) == (None, None, None)
    assert "unknown" in next(line for line in report_lines(replace(REPORT, days=(nothing,))) if "2026-11-28 " in line)


def test_of_many_masters_only_the_longest_are_named() -> None:
    many = replace(GOOD, grandmasters=tuple((f"gm{number}", DAY_NS // 10) for number in range(10)))
    lines = list(report_lines(replace(REPORT, days=(many,), totals=(total([many]),))))
    told = next(line for line in lines if line.startswith("  masters: "))
    assert told.endswith("gm5 10.000 %, 4 more 40.000 %")


def test_a_report_of_nothing_says_so() -> None:
    empty = ClockReport(0, 0, (), (), ())
    assert list(report_lines(empty)) == ["clock report: no clock was recorded in this time"]
    assert report_facts(empty)["fine"] is False
    assert "no clock was recorded in this time" in clock_plot(empty)


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0 ns"), (999, "999 ns"), (1000, "1 us"), (1001, "1.1 us"), (99_999, "100 us"), (60 * SECOND_NS, "1 min"),
        (5400 * SECOND_NS, "1.5 h"), (10**18, "277,777.8 h"),
    ],
)  # fmt: skip
def test_lengths_have_a_unit_and_are_never_rounded_down(ns: int, text: str) -> None:
    assert length(ns) == text


def test_the_picture_is_whole_has_both_grounds_and_bridges_no_gap() -> None:
    picture = clock_plot(REPORT)
    root = ElementTree.fromstring(picture)
    assert root.tag.endswith("svg")
    assert "prefers-color-scheme:dark" in picture
    assert "prefers-color-scheme:light" in picture
    assert "ptp0 &amp; co" in picture
    lines = {name: re.findall(rf'<path class="l {name}" d="M([^"]+)"', picture) for name in "eo"}
    assert [line.count("L") for line in lines["e"]] == [3, 1]  # two parts, a gap, one part
    assert [line.count("L") for line in lines["o"]] == [1, 1]
    bands = re.findall(r'fill="(#\w+)"><title>(\S+)</title>', picture)
    assert bands == [(STATE_COLOURS["locked"], "locked"), (STATE_COLOURS["holdover"], "holdover")]
    assert re.findall(r">(2026-11-\d\d)<", picture) == ["2026-11-28", "2026-11-29", "2026-11-30"]
    assert clock_plot(REPORT) == picture


@pytest.mark.parametrize(
    "span_ns", [10 * SECOND_NS, 3600 * SECOND_NS, DAY_NS, 40 * DAY_NS, 366 * DAY_NS, 3000 * DAY_NS]
)
def test_a_picture_of_any_time_has_some_marks_and_not_too_many(span_ns: int) -> None:
    report = replace(REPORT, end_ns=MIDNIGHT_NS + span_ns)
    marks = re.findall(r'<path class="g" d="M[\d.]+ [\d.]+V', clock_plot(report))
    assert 2 <= len(marks) <= (60 if span_ns > 1000 * DAY_NS else 10)


@pytest.mark.parametrize("error_ns", [0, 1, 10**18, 2**62])
def test_a_picture_of_any_bound_stays_within_its_frame(error_ns: int) -> None:
    picture = clock_plot(replace(REPORT, curves=(replace(CURVE, errors_ns=(error_ns, 5, None, None)),)))
    (line, *_) = re.findall(r'<path class="l e" d="M([^"]+)"', picture)
    heights = [float(point.split()[1]) for point in line.split("L")]
    assert all(20 <= height <= 220 for height in heights)
