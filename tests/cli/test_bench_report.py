"""What is made of repetitions: medians, spread, steal time, and whether all adds up."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from crafted_report import ABSENT, PARTS, report

from nanotape.cli.bench import course, facts
from nanotape.cli.bench.facts import machine
from nanotape.cli.bench.report import inexact, steal_line, text
from nanotape.cli.bench.steal import Steal, steal_seconds
from nanotape.cli.bench.summary import by_contender, median, spread


def test_a_spread_leaves_out_what_was_not_measured() -> None:
    assert spread([3, None, 1, 2]) == {"median": 2, "min": 1, "max": 3, "n": 3}
    assert spread([None]) == {"median": None, "min": None, "max": None, "n": 0}


def test_a_summary_keeps_contenders_apart() -> None:
    repetitions = [{"contender": name, "ns": value} for value in (1, 5, 3) for name in ("b", "a")]
    repetitions.append({"contender": "b", "ns": 100})
    summary = by_contender(repetitions, ("ns",))
    assert list(summary) == ["b", "a"]
    assert (median(summary, "a", "ns"), median(summary, "b", "ns")) == (3.0, 4.0)
    assert median(summary, "a", "mpps") is None


@pytest.mark.parametrize("wrong", [{"exact": False}, {"unexplained": 3}])
def test_packets_that_nobody_accounts_for_are_found(wrong: dict[str, object]) -> None:
    found = report()
    assert inexact(found) == []
    found["parts"][1]["repetitions"][2] |= wrong
    assert inexact(found) == ["wire: nanotape, zstd 1: packets that nobody accounts for, or other bytes"]


def test_the_text_has_machine_parts_notes_and_targets() -> None:
    said = text(report())
    for expected in ("made of card", "A note of the ring.", "zstd 1 alone takes 345 ns", "latency p99.9"):
        assert expected in said
    assert "31.2 (30.2 to 32.2)" in said
    assert "quick" not in said


def test_the_steal_line_counts_what_was_stolen_and_says_when_nobody_looked() -> None:
    assert steal_line({"repetitions": [{"steal": 0.0}, {"steal": 0.5}, {"steal": 0.25}]}) == (
        "Steal time in 2 of 3 repetitions; median 25.00%, at most 50.00% of the machine. "
        "Mean of each round: 0.00%, 50.00%, 25.00%."
    )
    assert steal_line({"repetitions": [{}]}) == "Steal time was not measured."


@pytest.mark.parametrize("numbered", [True, False])
def test_the_steal_time_of_each_round_through_the_contenders_is_told(numbered: bool) -> None:
    steals = [[0.0, 0.1, 0.2], [0.4, 0.4, 0.4]]
    runs = [
        {"contender": kind, "rate": rate, "steal": steal} | ({"repetition": number} if numbered else {})
        for number, round_ in enumerate(steals)
        for (kind, rate), steal in zip((("a", 1), ("a", 2), ("b", 1)), round_, strict=True)
    ]
    assert steal_line({"repetitions": runs}).endswith(" of the machine. Mean of each round: 10.00%, 40.00%.")
    assert steal_line({"repetitions": runs[:3]}).endswith("at most 20.00% of the machine.")


def test_steal_time_is_the_eighth_figure_of_the_first_line() -> None:
    stat = "cpu  10 20 30 40 50 60 70 200 90 100\ncpu0 1 1 1 1 1 1 1 1 1 1\n"
    assert steal_seconds(stat) == 200 / os.sysconf("SC_CLK_TCK")
    assert steal_seconds("cpu 1 2 3\n") == 0.0, "an old kernel has none"


def test_steal_is_a_share_of_what_was_waited_for() -> None:
    with Steal() as steal:
        time.sleep(0.01)  # what is measured
    assert steal.wall_s >= 0.01
    assert 0.0 <= steal.share <= 1.0


def test_the_facts_of_the_machine_are_text_and_none_is_empty(tmp_path: Path) -> None:
    found = machine(tmp_path)
    assert {"CPU", "kernel", "governor", "mitigations", "NIC driver", "disk", "pyarrow", "compiler"} <= set(found)
    assert all(isinstance(value, str) and value for value in found.values())


def test_of_the_kernel_command_line_only_what_matters_to_speed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "_read", lambda _path: "quiet isolcpus=2,3 processor.max_cstate=1 secret=5 nosmt")
    assert facts._command_line() == "isolcpus=2,3 processor.max_cstate=1 nosmt"


def test_the_crafted_report_is_of_every_kind_of_part() -> None:
    assert {part.name for part in PARTS} | set(ABSENT) == set(course.PARTS)
