"""`nanotape run` inside the capturing namespace, whose links it is to see, and what may befall those links."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import namespaces
import udp_reader
from command_line import NANOTAPE, call
from deadline import wait_for
from service_rig import LINES, Rig

from nanotape.capture.conservation import ring_books

GROUPS = tuple(where.partition(":")[0] for where in LINES.values())


@contextlib.contextmanager
def running(rig: Rig, verb: str = "run") -> Iterator[subprocess.Popen[bytes]]:
    """The whole service inside the capturing namespace, whose links it is to see."""
    with rig.talk.open("a", encoding="utf-8") as talk:
        command = [*rig.capture_side, *NANOTAPE, verb, "--config", str(rig.config), "--json"]
        process = subprocess.Popen(command, stdout=talk, stderr=talk)
    try:
        wait_for(lambda: said(rig, "capturing") or process.poll() is not None, "the service", 60)
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(60)
        process.kill()


def said(rig: Rig, what: str) -> bool:
    return what in rig.talk.read_text(encoding="utf-8")


def send(rig: Rig, pair: namespaces.NamespacePair, count: int = 10) -> None:
    """Until just as many more packets are in the ring."""
    with rig.ring() as ring:
        before = ring_books(ring).in_ring
        udp_reader.send(pair.left, GROUPS[0], 31001, count)
        wait_for(lambda: ring_books(ring).in_ring == before + count, f"{count} packets after {before}")


def remove(pair: namespaces.NamespacePair) -> None:
    pair.right.run("ip", "link", "delete", pair.right.interface)


def add(pair: namespaces.NamespacePair, mtu: int = 1500) -> None:
    peer = ("peer", "name", pair.right.interface, "netns", pair.right.namespace)
    pair.left.run("ip", "link", "add", pair.left.interface, "type", "veth", *peer)
    for side in (pair.left, pair.right):
        namespaces._bring_up(side, mtu)


def set_link(side: namespaces.Side, state: str) -> None:
    side.run("ip", "link", "set", side.interface, state)
    if state == "up":
        side.run("ip", "route", "replace", "224.0.0.0/4", "dev", side.interface)


def link_events(rig: Rig) -> list[dict[str, Any]]:
    return [event for event in rig.archive().rows("events").to_pylist() if event["kind"] == "link"]


def findings(rig: Rig) -> list[str]:
    """What `nanotape status` finds wrong."""
    _, output, errors = call("status", "--config", rig.config, "--json", "--interval", "0.2")
    assert output, errors
    return [finding["what"] for finding in json.loads(output)["findings"]]


def writes(rig: Rig) -> bool:
    with rig.ring() as ring:
        return ring.writer_alive


def epoch(rig: Rig) -> int:
    with rig.ring() as ring:
        return ring.epoch
