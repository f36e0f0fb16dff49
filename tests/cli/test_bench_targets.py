"""The promises of the benchmark: every report names each of them, and judges it as it was made."""

from __future__ import annotations

import pytest
from crafted_report import report

from nanotape.cli.bench.model import PartResult
from nanotape.cli.bench.targets import all_targets, judge, target_json

ISSUE = {
    "ring": 40,
    "ring / memcpy": 1.5,
    "wire": 0,
    "sustain": 0,
    "latency p50 over bare": 100,
    "latency p99": 2_000,
    "latency p99.9": 30_000,
    "record zstd 1": 3,
    "record uncompressed": 4,
    "cpu uncompressed": 0.65,
    "cpu zstd 1": 0.75,
    "memory": 300,
}
"""The table of the issue, name for name."""


def part(name: str, *values: tuple[str, float | None, str]) -> PartResult:
    return PartResult(name, name, [], {}, [judge(*value) for value in values])


def test_every_target_of_the_issue_has_its_row_whatever_was_measured() -> None:
    for found in (all_targets([], {}), all_targets([part("ring", ("ring", 31.0, ""))], {})):
        assert {target.name: target.target for target in found} == ISSUE


def test_a_report_ends_with_its_targets_each_with_the_five_keys() -> None:
    found = report()
    assert list(found)[-1] == "targets"
    for target in found["targets"]:
        assert list(target)[:5] == ["name", "value", "unit", "target", "met"]
        assert (target["met"] is None) == (target["value"] is None)


@pytest.mark.parametrize(
    ("name", "value", "met"),
    [
        ("ring", 40.0, True),
        ("ring", 40.1, False),
        ("wire", 0, True),
        ("wire", 1, False),
        ("record zstd 1", 3.0, True),
        ("record zstd 1", 2.99, False),
        ("memory", None, None),
    ],
)
def test_a_target_is_met_on_its_own_side_of_the_bound(name: str, value: float | None, met: bool | None) -> None:
    assert judge(name, value).met is met


def test_of_several_parts_that_measure_a_target_the_worst_counts() -> None:
    parts = [part("record", ("memory", 120.0, "")), part("sustain", ("memory", 310.0, "it grows"))]
    for order in (parts, parts[::-1]):
        memory = all_targets(order, {})[-1]
        assert (memory.value, memory.met, memory.why) == (310.0, False, "it grows")


def test_a_target_that_nobody_measured_says_why() -> None:
    found = {target.name: target.why for target in all_targets([], {"wire": "needs root"})}
    assert found["wire"] == found["cpu zstd 1"] == "needs root"
    assert found["ring"] == "part ring was not run"
    told = all_targets([part("wire", ("cpu zstd 1", None, "no other tool is installed"))], {})
    assert next(target.why for target in told if target.name == "cpu zstd 1") == "no other tool is installed"


def test_why_is_only_there_where_there_is_a_reason() -> None:
    assert "why" not in target_json(judge("ring", 31.0))
    assert target_json(judge("ring", 51.0, "this box is slow"))["why"] == "this box is slow"
