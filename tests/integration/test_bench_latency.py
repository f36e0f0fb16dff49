"""`nanotape bench latency`: every contender is measured at every rate, with figures that can be true; nothing stays."""

from __future__ import annotations

import itertools
import json
import pathlib
import re
import subprocess
from typing import Any

import pytest
from command_line import call

from nanotape.cli.bench.latency_verdict import BARE, CORE, PACKET, READER, RING, SOCKET
from nanotape.native import executable

pytestmark = [pytest.mark.root, pytest.mark.shared]

RATES = {1_000: 200, 50_000: 10_000, 300_000: 60_000}  # packets of a quick run: what the RX ring holds
WARM_UP_S = 0.1
ADOPTERS = (BARE, RING, READER)
RECEIVERS = (*ADOPTERS, SOCKET, PACKET)
PLACES = [pathlib.Path(name) for name in ("/var/tmp", "/dev/shm", "/run", "/run/netns", "/dev/hugepages")]
NAMES = ["latency p50 over bare", "latency p99", "latency p99.9"]


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    """Of one quick run."""
    status, output, errors = call("bench", "latency", "--quick", "--json", seconds=120)
    assert status == 0, errors
    found: dict[str, Any] = json.loads(output)
    return found


def runs(report: dict[str, Any]) -> list[dict[str, Any]]:
    (part,) = report["parts"]
    repetitions: list[dict[str, Any]] = part["repetitions"]
    return repetitions


def test_every_contender_is_measured_at_every_rate(report: dict[str, Any]) -> None:
    found = [(each["contender"], each["rate"]) for each in runs(report)]
    assert sorted(found) == sorted(itertools.product((*RECEIVERS, CORE), RATES))


def test_every_packet_is_sent_and_none_is_received_twice(report: dict[str, Any]) -> None:
    for each in runs(report):
        assert each["sent"] == RATES[each["rate"]]
        assert each["received"] <= each["sent"]
        if each["contender"] in ADOPTERS:
            assert each["received"] == each["sent"], each
            assert each["samples"] == each["sent"] - round(each["rate"] * WARM_UP_S)
    everything = {each["contender"] for each in runs(report) if each["received"] == each["sent"]}
    assert everything.issuperset(RECEIVERS)


def test_the_figures_can_be_true(report: dict[str, Any]) -> None:
    """A stamp comes before who receives it, yet not long before: at least one packet found nothing in its way."""
    for each in runs(report):
        times = [each[name] for name in ("min", "p50", "p90", "p99", "p99_9", "max")]
        known = [time for time in times if time is not None]
        assert known == sorted(known)
        if each["contender"] in RECEIVERS:
            assert len(known) == len(times)
            limit_ns = 20_000_000 if each["contender"] == PACKET else 100_000
            assert 50 < known[0] < limit_ns, each


def test_the_loop_runs_in_its_cage(report: dict[str, Any]) -> None:
    clock = pathlib.Path("/sys/devices/system/clocksource/clocksource0/current_clocksource").read_text(encoding="ascii")
    if clock.strip() not in ("tsc", "kvm-clock", "arch_sys_counter", "hyperv_clocksource_tsc_page"):
        pytest.skip(f"reading the clock source {clock.strip()} is a system call")
    assert all(each["seccomp"] for each in runs(report) if each["contender"] in (RING, READER))


def test_its_targets_have_values_and_the_others_say_why_not(report: dict[str, Any]) -> None:
    assert [target["name"] for target in report["targets"] if target["value"] is not None] == NAMES
    assert all(target["why"] for target in report["targets"] if target["value"] is None)


def test_nothing_stays(report: dict[str, Any]) -> None:
    assert runs(report)
    names = [path.name for place in PLACES for path in place.glob("*-bench-*")]
    owners = {int(found[1]) for name in names if (found := re.search(r"-bench-(\d+)", name))}
    assert [pid for pid in owners if not pathlib.Path("/proc", str(pid)).exists()] == []


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["--mode", "guess"], 2, "usage: nanotape-bench latency"),
        (["--mode", "bare", "--plan", "/nowhere", "--interface", "lo", "--rate", "1", "--packets", "1"], 1, "/nowhere"),
    ],
)
def test_a_command_line_that_cannot_be_is_refused_in_one_line(words: list[str], status: int, said: str) -> None:
    command = [executable("nanotape-bench"), "latency", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    assert done.returncode == status
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert said in line
