"""What the latency part makes of its figures: which repetitions count, which rate, and what is said of the rest."""

from __future__ import annotations

from typing import Any

import pytest

from nanotape.cli.bench.latency_verdict import BARE, CORE, READER, RING, caveats, targets

SLOW, FAST = 1_000, 300_000


def one(contender: str, rate: int = FAST, **changes: Any) -> dict[str, Any]:
    """A repetition as nanotape-bench tells it."""
    usual = {"p50": 600, "p99": 1_000, "p99_9": 9_000, "max": 50_000, "steal": 0.0}
    books = {"sent": rate, "received": rate, "took_ns": 1_000_000_000, "huge_pages": True, "seccomp": True}
    return {"contender": contender, "rate": rate, **usual, **books, **changes}


def values(*repetitions: dict[str, Any]) -> dict[str, float | None]:
    """The targets' values by name."""
    return {target.name: target.value for target in targets(repetitions)}


def test_the_worst_rate_counts() -> None:
    found = values(one(BARE), one(RING, p50=650, p99=1_900), one(BARE, SLOW, p50=700), one(RING, SLOW, p50=790))
    assert found == {"latency p50 over bare": 90, "latency p99": 1_900, "latency p99.9": 9_000}


def test_of_several_repetitions_the_median_counts() -> None:
    found = values(one(BARE), *(one(RING, p50=p50, p99=99) for p50 in (610, 640, 9_999)))
    assert found["latency p50 over bare"] == 40
    assert found["latency p99"] == 99


def test_a_repetition_with_steal_does_not_count_beside_one_without() -> None:
    found = values(one(BARE), one(RING, p99_9=8_000), one(RING, p99_9=70_000_000, steal=0.2))
    assert found["latency p99.9"] == 8_000


def test_where_all_have_steal_the_one_with_the_least_counts_and_it_is_said() -> None:
    repetitions = [one(BARE), one(RING, p99_9=70_000_000, steal=0.2), one(RING, p99_9=9_000, steal=0.01)]
    target = targets(repetitions)[2]
    assert (target.value, target.met) == (9_000, True)
    assert "every run at 300,000 packets/s had steal" in target.why


def test_a_target_that_is_missed_says_what_the_core_alone_would_do() -> None:
    target = targets([one(BARE), one(RING, p99_9=90_000), one(CORE, p50=None, p99=None, p99_9=60_000)])[2]
    assert target.met is False
    assert "300,000 packets/s" in target.why
    assert "60,000 ns" in target.why


def test_the_core_is_not_blamed_for_what_it_does_not_explain() -> None:
    target = targets([one(BARE), one(RING, p99_9=90_000), one(CORE, p50=None, p99=None, p99_9=20_000)])[2]
    assert target.met is False
    assert "core" not in target.why


def test_without_a_sample_nothing_is_promised() -> None:
    nothing = {"p50": None, "p99": None, "p99_9": None}
    assert all(
        (target.value, target.met) == (None, None) and target.why
        for target in targets([one(BARE, **nothing), one(RING, **nothing)])
    )


@pytest.mark.parametrize(
    ("repetition", "note"),
    [
        (one(READER, received=FAST - 1), f"runs that lost packets: {READER} at 300,000/s"),
        (one(RING, took_ns=1_100_000_000), f"runs that fell short of the rate by more than 1 %: {RING} at 300,000/s"),
        (one(RING, huge_pages=False), "the ring was not on huge pages"),
        (one(RING, seccomp=False), "without its system call filter"),
    ],
)
def test_what_was_not_as_it_should_be_is_a_note(repetition: dict[str, Any], note: str) -> None:
    assert any(note in line for line in caveats([one(BARE), repetition]))
    assert not any(note in line for line in caveats([one(BARE), one(RING), one(CORE, received=0)]))
