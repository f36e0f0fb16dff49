"""What the clock service measures of a NIC goes into the plan; what it measures otherwise later, into a new one."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from nanotape.capture.plan import NicClock
from nanotape.capture.service_clocks import INTERVAL_S, ServiceClocks, measured

NOW_NS = 1_800_000_000 * 10**9
TAI = {"interface": "eth1", "domain": "tai", "utc_offset_s": 37, "utc_offset_source": "ptp"}


class Host:
    """A clock service's state that a test writes, and a clock that goes on with each look."""

    def __init__(self, run_directory: Path, *, uses_nic_stamps: bool = True) -> None:
        self.folder, self.now_s = run_directory, 0.0
        (run_directory / "clock").mkdir()
        self.uses_nic_stamps = uses_nic_stamps
        self.said: list[str] = []

    def tell(self, *interfaces: dict[str, Any], age_s: float = 0.0) -> None:
        state = {"at_ns": NOW_NS - int(age_s * 1e9), "pid": os.getpid(), "interfaces": interfaces}
        (self.folder / "clock" / "state.json").write_text(json.dumps(state))

    def garble(self, text: str) -> None:
        (self.folder / "clock" / "state.json").write_text(text)

    def clocks(self) -> ServiceClocks:
        return ServiceClocks(
            self.folder, lambda: self.uses_nic_stamps, self.said.append, lambda: self.now_s, lambda: NOW_NS
        )

    def look(self, clocks: ServiceClocks, later_s: float = INTERVAL_S) -> bool:
        self.now_s += later_s
        return clocks.look()


@pytest.mark.parametrize(
    ("source", "offset"), [("ptp", 37), ("leap-seconds.list", 37), ("kernel", None)]
)  # of the kernel's the loop reads what it is at each poll
def test_a_phc_in_tai_is_converted_by_whoever_knew_the_offset(tmp_path: Path, source: str, offset: int | None) -> None:
    Host(tmp_path).tell({**TAI, "utc_offset_source": source})
    assert measured(tmp_path, NOW_NS) == {"eth1": NicClock("tai", offset)}


def test_what_was_told_long_ago_or_never_is_not_known(tmp_path: Path) -> None:
    assert measured(tmp_path, NOW_NS) == {}
    host = Host(tmp_path)
    host.tell(TAI, age_s=60)
    assert measured(tmp_path, NOW_NS) == {}
    host.tell({**TAI, "domain": None})
    assert measured(tmp_path, NOW_NS) == {}


def test_another_domain_is_another_plan_once(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.tell(TAI)
    clocks = host.clocks()
    assert clocks.planned == {"eth1": NicClock("tai", 37)}
    assert not host.look(clocks)
    host.tell({**TAI, "domain": "utc", "utc_offset_s": None, "utc_offset_source": None})
    assert not host.look(clocks, later_s=0.1)
    assert host.look(clocks)
    assert clocks.planned == {"eth1": NicClock("utc")}
    assert host.said == ["eth1: its clock was tai, 37 s from UTC and is utc: the capture is started anew with it"]
    assert not host.look(clocks)


def test_a_clock_service_that_falls_silent_changes_nothing(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.tell(TAI)
    clocks = host.clocks()
    host.tell(TAI, age_s=100)
    assert not host.look(clocks)
    assert clocks.planned == {"eth1": NicClock("tai", 37)}


def test_a_capture_without_stamps_of_nics_is_left_alone(tmp_path: Path) -> None:
    host = Host(tmp_path, uses_nic_stamps=False)
    clocks = host.clocks()
    host.tell(TAI)
    assert not host.look(clocks)
    host.uses_nic_stamps = True
    assert host.look(clocks)


def test_a_state_of_another_nanotape_ends_no_capture(tmp_path: Path) -> None:
    """As while it is upgraded."""
    host = Host(tmp_path)
    host.tell(TAI)
    clocks = host.clocks()
    for more in ({}, {"interfaces": [{"interface": "eth1"}]}, {"interfaces": 5}, {"version": 2, "interfaces": [TAI]}):
        host.garble(json.dumps({"at_ns": NOW_NS, "pid": os.getpid(), **more}))
        assert not host.look(clocks)
    host.garble(json.dumps({"at_ns": NOW_NS}))
    assert not host.look(clocks)
    assert set(clocks.planned) == {"eth1"}


def test_a_lost_master_whose_offset_the_kernel_still_knows_restarts_nothing(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.tell(TAI)
    clocks = host.clocks()
    host.tell({**TAI, "utc_offset_source": "kernel"})
    assert not host.look(clocks)
    host.tell({**TAI, "utc_offset_source": "kernel", "utc_offset_s": 38})
    assert host.look(clocks)
    assert clocks.planned == {"eth1": NicClock("tai", None)}
    host.tell({**TAI, "utc_offset_s": 38})
    assert host.look(clocks), "by the kernel's it could become another unseen"
