"""What a running service tells around it: metrics by HTTP, JSON on standard error, events to a command; and `ctl`."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import subprocess
import urllib.request
from collections.abc import Iterator

import pytest
from command_line import call
from deadline import wait_for
from service_rig import Rig
from synthetic_service import synthetic_service

pytestmark = pytest.mark.shared


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def listens(port: int) -> bool:
    with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), timeout=10):
        return True
    return False


def tables(port: int) -> str:
    """What it is to tell, and where."""
    metrics_and_log = f'[metrics]\nport = {port}\n[log]\nformat = "json"\n'
    return metrics_and_log + '[events]\non_event = ["/bin/sh", "-c", "echo told: $1", "sh"]\n'


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Rig, subprocess.Popen[bytes], int]]:
    """One for all of these."""
    port = free_port()
    with synthetic_service(tables=tables(port)) as (rig, service):
        wait_for(lambda: listens(port), "the metrics' port, which is opened once all rings are ready")
        yield rig, service, port


Running = tuple[Rig, subprocess.Popen[bytes], int]


RESTART = r"\"kind\": \"restart\""
"""In an event that the command wrote, which is an object within a line that is one."""


def page(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return str(answer.read().decode())


def test_metrics_tell_what_status_tells(running: Running) -> None:
    rig, _, port = running
    wait_for(lambda: "nanotape_ring_capturing" in page(port), "two looks", 20)
    found = page(port)
    host = rig.settings.host
    assert f'nanotape_ring_capturing{{host="{host}",ring="test"}} 1' in found
    assert f'nanotape_reader_up{{host="{host}",reader="recorder",ring="test"}} 1' in found
    packets = re.search(r"nanotape_ring_packets_total\{[^}]*\} (\d+)", found)
    assert packets
    assert int(packets[1]) > 0
    took = re.search(r"nanotape_scrape_duration_seconds ([0-9.e-]+)\n", found)
    assert took
    assert float(took[1]) < 0.5


def test_it_can_be_steered_and_says_what_its_processes_are(running: Running) -> None:
    rig, _, _ = running
    status, said, errors = call("ctl", "status", "--config", rig.config, "--json")
    assert status == 0, said + errors
    (answer,) = json.loads(said)["answers"]
    assert (answer["ring"], answer["running"], answer["processes"]["holder"]) == ("test", True, None)
    assert answer["processes"]["recorder"] > 1
    assert call("ctl", "mark", "here", "--config", rig.config)[0] == 0
    status, _, errors = call("ctl", "mark", "", "--config", rig.config)
    assert (status, "text: expected printable text" in errors) == (1, True)
    status, _, errors = call("ctl", "status", "--config", rig.config, "--ring", "other")
    assert (status, "expected the ring test, found other" in errors) == (2, True)


def test_each_line_is_an_object_and_what_needs_somebody_reaches_the_command(running: Running) -> None:
    rig, _, _ = running
    capture = json.loads(call("ctl", "status", "--config", rig.config, "--json")[1])["answers"][0]["processes"][
        "capture"
    ]
    subprocess.run(["kill", "-KILL", str(capture)], check=True)
    expected = {"test: capturing": "info", "capture: killed by SIGKILL": "warning", "capture: started anew": "info"}
    wait_for(lambda: all(words in rig.talk.read_text() for words in (RESTART, *expected)), "the event", 30)
    lines = [json.loads(line) for line in rig.talk.read_text().splitlines()]
    assert all({"timestamp", "level", "process", "ring", "event"} <= line.keys() for line in lines)
    levels = {line["event"].partition(",")[0]: line["level"] for line in lines}
    assert {said: levels[said] for said in expected} == expected
    assert not any(line["event"].startswith("<") for line in lines), "what goes before a program's line is no text"
    assert {line["process"] for line in lines} == {"supervisor", "recorder"}
    events = [json.loads(line["event"].partition("told: ")[2]) for line in lines if "told: " in line["event"]]
    assert ("restart", "warning") in [(event["kind"], event["severity"]) for event in events]
    assert any("started anew" in line["event"] for line in lines)
