"""`nanotape doctor` on a wire: which lines arrive, by its own joins or from the capture, and what a bind truly gave."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import NANOTAPE, call
from deadline import wait_for
from joined_groups import joined_groups
from namespaces import NamespacePair
from service_rig import Rig
from simulated_channel import BOTH_LINES
from venue import Group, sending

pytestmark = pytest.mark.root

SENT = Group("10.211.0.1", "233.252.0.1", 15000)
OWN = """
[paths]
run_dir = "{0}/run"
archive = "{0}"
shm_dir = "{0}/rings"
[source]
kind = "packet"
interface = "{1}"
[[channel]]
name = "x"
feed = "f"
framing = "none"
[[channel.line]]
name = "A"
group = "233.252.0.1"
port = 15000
[[channel.line]]
name = "B"
group = "233.252.0.2"
port = 15000
[[channel.line]]
name = "C"
group = "233.252.0.1"
port = 15000
vlan = 7
"""


def test_without_a_capture_it_joins_itself_says_what_came_and_leaves(
    namespace_pair: NamespacePair, tmp_path: Path
) -> None:
    left, right = namespace_pair.left, namespace_pair.right
    config = tmp_path / "nanotape.toml"
    config.write_text(OWN.format(tmp_path, right.interface), encoding="utf-8")
    before = joined_groups(right.command(), right.interface)
    command = (*NANOTAPE, "doctor", "-c", str(config), "--arrivals", "--json")
    with sending(left, [SENT.frame(b"hello")], rate=50.0):
        process = right.start(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            wait_for(lambda: joined_groups(right.command(), right.interface) > before, "the groups to be joined", 30)
            output, said = process.communicate(timeout=60)
        finally:
            process.kill()
            process.communicate()
    assert process.returncode == 1, said
    came = json.loads(output)["arrivals"]
    assert came["source"] == "own joins"
    lines = {line["line"]: line for line in came["lines"]}
    assert {name: line["state"] for name, line in lines.items()} == {"A": "arriving", "B": "silent", "C": "silent"}
    assert lines["A"]["packets"] > 50
    assert lines["B"]["packets"] == 0
    assert "although the group is joined" in lines["B"]["look_at"][0]
    assert joined_groups(right.command(), right.interface) == before


def test_an_interface_that_is_not_there_is_unknown_and_says_why(tmp_path: Path) -> None:
    config = tmp_path / "nanotape.toml"
    config.write_text(OWN.format(tmp_path, "not-there0"), encoding="utf-8")
    status, output, _ = call("doctor", "-c", config, "--arrivals", "--json")
    report = json.loads(output)
    assert status == 1
    assert {line["state"] for line in report["arrivals"]["lines"]} == {"unknown"}
    assert report["arrivals"]["lines"][0]["packets"] is None
    checks = {check["id"]: check for check in report["checks"]}
    assert checks["nic.link:not-there0"]["status"] == "fail"
    assert checks["nic.xdp:not-there0"]["status"] == "unknown"


def asked(rig: Rig, *arguments: str) -> Any:
    status, output, said = call(*arguments, "-c", rig.config, "--json", wrap=rig.capture_side)
    assert status in (0, 1), said
    return json.loads(output)


def test_beside_a_capture_it_asks_the_ring_and_knows_what_the_bind_gave(make_service_rig: Callable[..., Rig]) -> None:
    rig = make_service_rig(kind="afxdp", descriptors=16_384, capacity="64 MiB", channels=BOTH_LINES)
    with rig.service() as service:
        exchange = rig.exchange("--rate", "1000", "--seconds", "30")
        try:
            report = asked(rig, "doctor", "--arrivals")
            (ring,) = asked(rig, "rings")
        finally:
            exchange.stop()
            service.stop()
    assert report["arrivals"]["source"] == "capture"
    assert {line["state"] for line in report["arrivals"]["lines"]} == {"arriving"}
    checks = {check["id"].partition(":")[0]: check for check in report["checks"]}
    assert (checks["nic.zero_copy"]["status"], checks["nic.zero_copy"]["found"]) == ("warn", "copy mode")
    assert checks["nic.xdp"]["found"].endswith("of the capture that runs")
    assert ring["gaps"] is None  # this loop may sleep
