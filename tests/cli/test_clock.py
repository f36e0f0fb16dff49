"""`nanotape clock`: as the clock service tells it, else as a look finds it; what is unknown is null and not 0."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from command_line import call

from nanotape.capture.clock.journal import ClockJournal
from nanotape.capture.clock.observation import Observation
from nanotape.capture.clock.thresholds import Thresholds
from nanotape.capture.clock.watch import ClockWatch
from nanotape.tui.words import nanoseconds

REQUIRED = ("state", "source", "offset_ns", "error_ns", "grandmaster", "utc_offset_s")
GM = "001122.fffe.334455"
LOCKED = Observation(
    "system", 0, "eth1", "ptp4l", "pmc", True, True, 412.0, path_delay_ns=2100.0, grandmaster=GM, gm_accuracy_ns=100,
    domain=0, utc_offset_s=37, utc_offset_source="ptp", is_hardware=False,
)  # fmt: skip
FREE = Observation("system", 0, source="kernel", method="adjtimex", is_disciplined=False)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "nanotape.toml"
    path.write_text(
        f'[paths]\nrun_dir = "{tmp_path}/run"\nshm_dir = "{tmp_path}/shm"\narchive = "{tmp_path}/archive"\n'
    )
    return path


def tell(tmp_path: Path, *seen: Observation, **more: Any) -> None:
    """As a clock service does that runs in this process."""
    folder = tmp_path / "run" / "clock"
    folder.mkdir(parents=True, exist_ok=True)
    watch = ClockWatch(Thresholds(), {"test": lambda: seen})
    look = [watch.look() for _ in range(3)][-1]
    state = {"at_ns": time.time_ns(), "pid": os.getpid(), "mode": "watch", "interfaces": [], "processes": []}
    clocks = [each.as_json() for each in look.clocks]
    ClockJournal(folder).publish({**state, "clocks": clocks, "findings": list(look.findings), **more})


def test_a_locked_clock_is_fine(tmp_path: Path, config: Path) -> None:
    tell(tmp_path, LOCKED)
    status, output, talk = call("clock", "--config", config, "--json")
    told = json.loads(output)
    assert (status, talk) == (0, "")
    assert {name: told[name] for name in REQUIRED} == {
        "state": "locked", "source": "ptp4l", "offset_ns": 412, "error_ns": 512, "grandmaster": GM, "utc_offset_s": 37,
    }  # fmt: skip
    assert told["budget"]["grandmaster"] == 100
    assert told["clocks"][0]["clock"] == "system"


def test_the_page_says_why_and_what_the_bound_is_made_of(tmp_path: Path, config: Path) -> None:
    nic = {"interface": "eth1", "words": "ptp0 reads TAI; hardware stamps: rx all, tx on"}
    process = {"name": "ptp4l", "pid": 7, "restarts": 2}
    tell(tmp_path, LOCKED, interfaces=[nic], processes=[process])
    status, output, _ = call("clock", "--config", config)
    assert status == 0
    assert output.splitlines() == [
        "CLOCK          STATE   BY     OFFSET   ERROR AT MOST  PATH DELAY  MASTER              TAI-UTC",
        "system (eth1)  locked  ptp4l  +412 ns  512 ns         2.100 us    001122.fffe.334455  37 s by ptp",
        "    ptp4l measures an offset of +412 ns; locked within 100,000 ns",
        "    bound: offset 412 ns + the grandmaster's own 100 ns",
        "eth1: ptp0 reads TAI; hardware stamps: rx all, tx on",
        "ptp4l: process 7, restarted 2 times",
        "",
        "every clock is locked (told by the clock service, mode watch)",
    ]


def test_what_is_not_known_is_null_and_the_status_says_that_something_is_wrong(tmp_path: Path, config: Path) -> None:
    tell(tmp_path, FREE)
    status, output, _ = call("clock", "--config", config, "--json")
    told = json.loads(output)
    assert (status, told["state"]) == (1, "free-running")
    assert [told[name] for name in REQUIRED[2:]] == [None] * 4
    assert call("clock", "--config", config)[1].splitlines()[-1].startswith("SYSTEM IS FREE-RUNNING (told by")


def test_without_a_service_it_looks_itself(config: Path) -> None:
    _, output, talk = call("clock", "--config", config, "--json", "--seconds", "0")
    told = json.loads(output)
    assert talk == "nanotape: no clock service tells (nanotape run, or capture); looking for 0 s\n"
    assert (told["is_told"], told["clock"]) == (False, "system")
    assert set(REQUIRED) <= set(told)


def test_what_a_dead_service_told_is_not_shown(tmp_path: Path, config: Path) -> None:
    tell(tmp_path, LOCKED, at_ns=time.time_ns() - 60 * 10**9)
    _, output, _ = call("clock", "--config", config, "--json", "--seconds", "0")
    assert json.loads(output)["is_told"] is False


def test_the_clocks_can_be_looked_after_without_a_capture(tmp_path: Path, config: Path) -> None:
    with config.open("a") as more:
        more.write('[source]\ninterface = "lo"\nselect = "udp"\n')
    status, output, talk = call("clock", "run", "--config", config, "--seconds", "0.1")
    assert (status, output) == (0, "")
    assert "nanotape: clock: system: " in talk or talk == ""
    told = json.loads((tmp_path / "run" / "clock" / "state.json").read_text())
    assert told["clocks"][0]["clock"] == "system"
    assert [each["interface"] for each in told["interfaces"]] == ["lo"]
    config.write_text(config.read_text() + '[clock]\nmode = "none"\n')
    status, _, talk = call("clock", "run", "--config", config)
    assert status == 2
    assert talk.startswith("nanotape: nothing to do: ")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"), (0, "0 ns"), (999, "999 ns"), (1000, "1.000 us"), (-2_500_000, "-2.500 ms"),
        (37_000_000_000, "37.000 s"),
    ],
)  # fmt: skip
def test_lengths_of_time_are_in_the_unit_that_fits(value: float | None, text: str) -> None:
    assert nanoseconds(value) == text
