"""Where a NIC sends packets: queues that nobody captures, rules that take a group away, and RFS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from recorded_host import RecordedHost, unpack

from nanotape.capture.host.check import Result
from nanotape.capture.host.table import examine

NET = "sys/class/net/ens1f0np0"


def found(recorded: RecordedHost) -> dict[str, Result]:
    return {result.id: result for result in examine(recorded.host())}


def test_a_queue_that_the_table_names_and_the_capture_lacks_fails(tmp_path: Path) -> None:
    recorded = unpack("bare-metal", tmp_path)
    nic, running = recorded.facts["nics"]["ens1f0np0"], recorded.facts["captured"]
    nic["queues"], nic["spread"] = [2, 16], [0, 1, 0, 1]
    result = found(recorded)["nic.rss:ens1f0np0"]
    assert result.status == "fail"
    assert result.found == (
        "UDP goes to queues 0-1 of 2, by source address, destination address, source port, destination port; "
        "nobody captures 1"
    )
    running.append({**running[0], "queue": 1})
    assert found(recorded)["nic.rss:ens1f0np0"].status == "ok"
    recorded.facts["captured"] = []
    assert found(recorded)["nic.rss:ens1f0np0"].status == "ok"  # one that starts takes both


GROUP = 0xE9FC0001  # 233.252.0.1
RULE = {"location": 7, "queue": 0, "function": 0, "spreads": False, "family": 4,
        "destination": [GROUP, 0xFFFFFFFF], "port": [5000, 0xFFFF]}  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "status", "told"),
    [
        ({}, "ok", "1, 1 of configured groups, all to captured queues"),
        ({"queue": None}, "fail", "rule 7 discards: of a configured group"),
        ({"queue": 3}, "fail", "rule 7 sends to queue 3, which nobody captures: of a configured group"),
        ({"function": 2}, "fail", "rule 7 sends to virtual function 1: of a configured group"),
        ({"queue": 3, "spreads": True}, "ok", "1, 1 of configured groups"),
        ({"queue": None, "port": [5001, 0xFFFF]}, "ok", "1, 0 of configured groups"),
        ({"queue": None, "port": [0, 0], "destination": [GROUP & 0xFFFFFF00, 0xFFFFFF00]}, "fail", "rule 7 discards"),
        ({"queue": None, "family": 0, "destination": [0x01005E7C0001, 0xFFFFFFFFFFFF], "port": [0, 0]}, "fail", "rule"),
        ({"queue": None, "family": 6}, "ok", "0 of configured groups"),
        ({"queue": None, "family": None, "destination": [0, 0], "port": [0, 0]}, "ok", "0 of configured groups"),
    ],
)
def test_a_flow_rule_may_take_no_configured_group_from_the_capture(
    changed: dict[str, Any], status: str, told: str, tmp_path: Path
) -> None:
    recorded = unpack("bare-metal", tmp_path)
    recorded.facts["nics"]["ens1f0np0"]["flow_rules"] = [{**RULE, **changed}]
    result = found(recorded)["nic.flow_rules:ens1f0np0"]
    assert result.status == status
    assert told in result.found


def test_rfs_counts_where_both_of_its_numbers_are_set(tmp_path: Path) -> None:
    recorded = unpack("bare-metal", tmp_path)
    recorded.write(f"{NET}/queues/rx-0/rps_flow_cnt", "4096")
    assert found(recorded)["nic.rfs:ens1f0np0"].status == "info"
    recorded.write("proc/sys/net/core/rps_sock_flow_entries", "32768")
    assert found(recorded)["nic.rfs:ens1f0np0"].status == "warn"
