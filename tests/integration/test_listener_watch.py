"""No blinding, while a service runs: who listens to what AF_XDP takes is told, once, with its name."""

from __future__ import annotations

import contextlib
import functools
import json
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from command_line import call
from deadline import wait_for
from refusals import SMALL
from service_rig import Rig

from nanotape.capture.listeners import ListenerWatch
from nanotape.capture.service import CAPTURE, Happening, Service

pytestmark = pytest.mark.root

JOINER = """
import socket, struct, sys
group, port, address = sys.argv[1], int(sys.argv[2]), sys.argv[3]
each = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
each.bind((group, port))
each.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(group) + socket.inet_aton(address))
print("joined", flush=True)
sys.stdin.read()
"""
ADDRESS = "10.211.0.2"  # of the capturing side


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks follow each other closely."""
    monkeypatch.setattr("nanotape.capture.service.ListenerWatch", functools.partial(ListenerWatch, interval_s=0.2))


@contextlib.contextmanager
def joined(rig: Rig, group: str, port: int) -> Iterator[int]:
    """A program on the capturing side that has joined a group; gives its pid."""
    command = [*rig.capture_side, sys.executable, "-c", JOINER, group, str(port), ADDRESS]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        assert process.stdout.readline() == "joined\n"
        yield process.pid  # ip netns exec becomes the program
    finally:
        process.communicate()


def listeners(service: Service, happened: list[Happening]) -> list[Happening]:
    """All that were told until now."""
    happened += service.wait(0.1)
    return [each for each in happened if each.what == "listener"]


def two_looks(service: Service, happened: list[Happening]) -> None:
    """Until the watch has looked twice more, and found nothing new."""
    looks = 0
    idle = True
    while looks < 2:
        happened += service.wait(0.02)
        assert service._listeners is not None
        was, idle = idle, service._listeners._watch._process is None
        looks += idle and not was


def told_by_status(rig: Rig) -> list[str]:
    """Its errors."""
    status, output, _ = call("status", "--config", rig.config, "--json", "--interval", "0.1")
    errors = [each["what"] for each in json.loads(output)["findings"] if each["severity"] == "error"]
    assert status == bool(errors)
    return errors


def test_a_program_that_joins_a_captured_group_is_told_once(make_service_rig: Callable[..., Rig]) -> None:
    rig = make_service_rig(**SMALL)
    happened: list[Happening] = []
    with rig.service(record=False) as service:
        two_looks(service, happened)
        with joined(rig, "239.192.9.9", 31001), joined(rig, "239.192.7.1", 31009):  # neither is captured
            two_looks(service, happened)
        assert happened == []
        with joined(rig, "239.192.7.1", 31001) as pid:
            wait_for(lambda: listeners(service, happened), "the listener")
            two_looks(service, happened)
            told = told_by_status(rig)
            assert told == [f"somebody goes blind: {found.detail.rpartition('; ')[0]}" for found in happened]
        wait_for(
            lambda: service.wait(0.1) is not None and not told_by_status(rig), "status to see that it has gone", 30
        )
        (found,) = listeners(service, happened)
        assert found.process == "holder"
        assert found.detail.startswith("veth-r: python")
        assert f"(pid {pid}) listens to 239.192.7.1:31001, which is captured: it receives nothing" in found.detail
        assert found.detail in rig.news
        assert service.pid(CAPTURE)


def test_with_steal_those_that_were_there_are_told_too(make_service_rig: Callable[..., Rig]) -> None:
    rig = make_service_rig(source='delivery = "steal"', **SMALL)
    happened: list[Happening] = []
    with joined(rig, "239.192.7.1", 31001) as pid, rig.service(record=False) as service:
        wait_for(lambda: listeners(service, happened), "the listener")
        two_looks(service, happened)
        (found,) = listeners(service, happened)
        assert f"(pid {pid}) listens to 239.192.7.1:31001" in found.detail
        assert told_by_status(rig) == []


def test_a_capture_that_copies_looks_for_nobody(make_service_rig: Callable[..., Rig]) -> None:
    """And starts beside one who listens."""
    rig = make_service_rig(source='delivery = "sniff"', **SMALL)
    with joined(rig, "239.192.7.1", 31001), rig.service(record=False) as service:
        assert service._listeners is None
        assert service.wait(0) == []
