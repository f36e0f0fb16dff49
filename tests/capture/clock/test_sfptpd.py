"""sfptpd's json_stats: lines in the form of its source (no sfptpd runs here), read newest first, garbage counted."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanotape.capture.clock.observation import Observation
from nanotape.capture.clock.sfptpd import SfptpdLook, observe_sfptpd, parse_line

UTC = ZoneInfo("UTC")
NOON_NS = 1_795_867_200 * 10**9
"""2026-11-28 12:00:00 UTC."""
GM = {"parent-id": "0011:22ff:fe33:4466", "gm-id": "0011:22ff:fe33:4455"}


def line(
    instance: str, master: str, slave: str, time: str = "2026-11-28 11:59:59.500000", **fields: Any
) -> dict[str, Any]:
    """One object, as sfptpd_log_render_rt_stat_json writes it."""
    interfaces = {} if slave == "system" else {"primary-interface": "eth0"}
    stats = {"offset": -12.5, "freq-adj": 1234.25, "p-term": 0.5, "i-term": 1.0}
    return {
        "instance": instance,
        "time": time,
        "clock-master": {"name": master},
        "clock-slave": {"name": slave, "time": time + "123", **interfaces},
        "is-disciplining": True,
        "in-sync": True,
        "alarms": [],
        "stats": stats,
    } | fields


PTP = line("ptp1", "gm", "phc0(eth0/eth1)", stats={"offset": 7.0, "freq-adj": -20.0, "one-way-delay": 310.5, **GM})
SERVO = line("servo0", "phc0(eth0/eth1)", "system", stats={"offset": 40.0, "freq-adj": 11.0})


def written(path: Path, *objects: dict[str, Any] | str, end: str = "\n") -> Path:
    """A file of these lines."""
    path.write_text("\n".join(each if isinstance(each, str) else json.dumps(each) for each in objects) + end)
    return path


def look(path: Path, at_ns: int = NOON_NS) -> SfptpdLook:
    """At a file of a daemon that runs in UTC."""
    return observe_sfptpd(path, at_ns, zone=UTC)


def clocks(found: SfptpdLook) -> dict[str, Observation]:
    """By name."""
    return {seen.clock: seen for seen in found.observations}


def test_a_nic_clock_and_the_system_clock_behind_it_are_told_with_their_grandmaster(tmp_path: Path) -> None:
    found = look(written(tmp_path / "s", PTP, SERVO))
    assert (found.garbage, found.reason) == (0, None)
    phc, system = clocks(found)["ptp0"], clocks(found)["system"]
    assert (phc.source, phc.method, phc.interface, phc.at_ns) == ("sfptpd", "sfptpd-json", "eth0", NOON_NS)
    assert (phc.offset_ns, phc.freq_ppb, phc.path_delay_ns) == (7.0, -20.0, 310.5)
    # As merge.py has it of a system clock behind a PHC: its offset is the PHC's, the rest of the way stands beside it.
    assert (system.offset_ns, system.freq_ppb, system.phc_sys_ns, system.interface) == (7.0, 11.0, -40.0, None)
    assert system.path_delay_ns == 310.5
    for seen in (phc, system):
        assert (seen.has_master, seen.is_disciplined, seen.grandmaster) == (True, True, "001122.fffe.334455")
        assert seen.notes == ()


def test_the_newest_line_of_each_clock_counts(tmp_path: Path) -> None:
    old = line("ptp1", "gm", "phc0(eth0)", "2026-11-28 11:59:58.500000", stats={"offset": 9999.0})
    assert clocks(look(written(tmp_path / "s", old, PTP)))["ptp0"].offset_ns == 7.0


def test_of_two_instances_on_a_clock_the_one_that_disciplines_it_counts(tmp_path: Path) -> None:
    idle = line("ptp2", "gm", "phc0(eth0/eth1)", stats={"offset": 5000.0, **GM}, **{"is-disciplining": False})
    for order in ((idle, PTP), (PTP, idle)):
        assert clocks(look(written(tmp_path / "s", *order)))["ptp0"].offset_ns == 7.0


def test_a_clock_behind_one_that_follows_nobody_has_no_master(tmp_path: Path) -> None:
    system = clocks(look(written(tmp_path / "s", SERVO)))["system"]
    assert (system.has_master, system.grandmaster) == (False, None)
    assert system.notes == ("sfptpd: system follows ptp0, which follows nobody",)


def test_a_nic_clock_behind_another_is_as_far_from_the_master_as_both_together(tmp_path: Path) -> None:
    second = line("servo1", "phc0(eth0/eth1)", "phc1(eth2)", stats={"offset": -500.0, "freq-adj": 1.0})
    found = clocks(look(written(tmp_path / "s", PTP, second)))
    assert (found["ptp1"].offset_ns, found["ptp1"].grandmaster) == (-493.0, found["ptp0"].grandmaster)
    assert clocks(look(written(tmp_path / "s", second)))["ptp1"].offset_ns is None


@pytest.mark.parametrize("offset", ["NaN", "Infinity", "-Infinity"])
def test_an_offset_that_is_no_number_is_garbage(tmp_path: Path, offset: str) -> None:
    text = json.dumps(PTP).replace("7.0", offset)
    assert parse_line(text, NOON_NS, UTC) is None


def test_an_alarm_of_missing_sync_packets_is_a_lost_master_for_all_clocks_behind_it(tmp_path: Path) -> None:
    silent = PTP | {"alarms": ["no-sync-pkts"], "in-sync": False}
    found = clocks(look(written(tmp_path / "s", silent, SERVO)))
    assert (found["ptp0"].has_master, found["system"].has_master) == (False, False)
    assert "sfptpd: alarm no-sync-pkts" in found["system"].notes
    assert "sfptpd: ptp0 is not in sync by its own threshold" in found["ptp0"].notes


def test_a_file_that_is_not_written_any_more_leaves_it_unknown_whether_there_is_a_master(tmp_path: Path) -> None:
    found = clocks(look(written(tmp_path / "s", PTP, SERVO), NOON_NS + 60 * 10**9))
    assert found["ptp0"].has_master is None
    assert found["ptp0"].notes == (f"{tmp_path}/s: sfptpd has written nothing for 60 s",)


def test_a_measurement_is_marked_by_the_clocks_own_time(tmp_path: Path) -> None:
    again = PTP | {"time": "2026-11-28 12:00:00.500000"}
    first, second = (clocks(look(written(tmp_path / "s", each)))["ptp0"] for each in (PTP, again))
    assert first.measured == second.measured == NOON_NS - 500_000_000 + 123


def test_garbage_is_counted_and_the_rest_is_read(tmp_path: Path) -> None:
    broken = [PTP | {"time": "yesterday"}, {"instance": "x"}, PTP | {"stats": 5}, PTP | {"alarms": None}]
    lines = ["not JSON", "[]", "{}", *(json.dumps(each) for each in broken), json.dumps(PTP)]
    found = look(written(tmp_path / "s", *lines))
    assert found.garbage == 7
    assert clocks(found)["ptp0"].offset_ns == 7.0


def test_a_line_that_is_still_being_written_is_left_alone(tmp_path: Path) -> None:
    newer = json.dumps(PTP | {"time": "2026-11-28 12:00:00.400000", "stats": {"offset": 1.0}})
    found = look(written(tmp_path / "s", PTP, newer, end=""))
    assert found.garbage == 0
    assert clocks(found)["ptp0"].offset_ns == 7.0


def test_of_a_file_of_months_only_the_end_is_read(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with path.open("w") as file:
        file.writelines("x" * 99 + "\n" for _ in range(100_000))
        file.write(json.dumps(PTP) + "\n")
    found = look(path)
    assert clocks(found)["ptp0"].offset_ns == 7.0
    assert 0 < found.garbage < 1000


def test_local_times_are_those_of_the_daemons_zone(tmp_path: Path) -> None:
    berlin = PTP | {"time": "2026-11-28 12:59:59.500000"}
    found = observe_sfptpd(written(tmp_path / "s", berlin), NOON_NS, zone=ZoneInfo("Europe/Berlin"))
    assert found.observations[0].has_master is True


@pytest.mark.parametrize("now_s", [1_792_888_200, 1_792_888_200 + 3600])  # 02:30 local, twice
def test_of_the_hour_that_a_clock_has_twice_the_one_that_is_now_is_meant(now_s: int) -> None:
    text = json.dumps(PTP | {"time": "2026-10-25 02:30:00.000000"})
    read = parse_line(text, now_s * 10**9, ZoneInfo("Europe/Berlin"))
    assert read is not None
    assert read.at_ns == now_s * 10**9


def test_a_missing_and_an_empty_file_are_told(tmp_path: Path) -> None:
    assert look(tmp_path / "s") == SfptpdLook((), 0, f"{tmp_path}/s: No such file or directory")
    (tmp_path / "s").touch()
    assert look(tmp_path / "s").reason == f"{tmp_path}/s: holds no line of sfptpd's statistics"


def test_a_pipe_is_refused_and_not_emptied(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "s")
    assert "a file expected, found a pipe" in (look(tmp_path / "s").reason or "")


def test_a_grandmaster_of_zeros_is_nobody() -> None:
    read = parse_line(json.dumps(PTP | {"stats": {"gm-id": "0000:0000:0000:0000"}}), NOON_NS, UTC)
    assert read is not None
    assert (read.grandmaster, read.offset_ns) == (None, None)


@given(st.text(max_size=200))
def test_no_text_at_all_is_an_error(text: str) -> None:
    assert parse_line(text, NOON_NS) is None
