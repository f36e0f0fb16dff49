"""Links that fail under a running service: groups are joined again, packets come again, and the outage is told."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import namespaces
import pytest
import udp_reader
from command_line import NANOTAPE, call
from deadline import wait_for
from querier import Querier, querier
from service_rig import LINES, Rig

from nanotape.capture.conservation import ring_books

pytestmark = pytest.mark.root

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


def make_again(pair: namespaces.NamespacePair) -> None:
    """Both ends of the wire are removed and made anew, with the same names."""
    remove(pair)
    add(pair)


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


def _over(rig: Rig) -> list[dict[str, Any]]:
    return [event for event in link_events(rig) if event["ts_end"]]


def assert_told(rig: Rig, outages: int) -> None:
    """Each outage is an event when it begins, which has no end yet, and one when it is over; they begin alike."""
    told = link_events(rig)
    begun = [event for event in told if event["ts_end"] is None]
    over = [event for event in told if event["ts_end"] is not None]
    assert [event["severity"] for event in (*begun, *over)] == ["error"] * outages + ["warning"] * outages
    assert [event["ts_start"] for event in begun] == [event["ts_start"] for event in over]
    assert all(event["ts_start"] < event["ts_end"] for event in over)
    assert all(event["detail"].startswith("veth-r: link ") for event in told)


def findings(rig: Rig) -> list[str]:
    """What `nanotape status` finds wrong."""
    _, output, errors = call("status", "--config", rig.config, "--json", "--interval", "0.2")
    assert output, errors
    return [finding["what"] for finding in json.loads(output)["findings"]]


@pytest.fixture
def small(make_service_rig: Callable[..., Rig]) -> Rig:
    return make_service_rig(capacity="64 MiB", descriptors=4096)


@pytest.mark.parametrize("is_peer", [True, False])
def test_a_link_flap_is_told_groups_are_joined_again_and_packets_come_again(
    is_peer: bool, small: Rig, namespace_pair: namespaces.NamespacePair
) -> None:
    """The other end goes down, which is a lost carrier here; or our own is set down."""
    side = namespace_pair.left if is_peer else namespace_pair.right
    with running(small):
        send(small, namespace_pair)
        set_link(side, "down")
        wait_for(lambda: said(small, "veth-r: link down: "), "the outage to be told")
        assert any("nothing comes in: veth-r: link down: " in what for what in findings(small))
        wait_for(lambda: link_events(small), "the event of its beginning")
        set_link(side, "up")
        wait_for(lambda: said(small, "veth-r: link was down"), "its end to be told")
        send(small, namespace_pair)
        assert not any("nothing comes in" in what for what in findings(small))
    assert not said(small, "started anew")
    assert_told(small, outages=1)


@pytest.mark.parametrize("is_peer", [True, False])
def test_groups_are_reported_again_when_a_link_comes_back(
    is_peer: bool, small: Rig, namespace_pair: namespaces.NamespacePair
) -> None:
    """A switch that was started anew knows of no join; nor does the kernel tell it of any, when only a carrier came."""
    side = namespace_pair.left if is_peer else namespace_pair.right
    with running(small, "capture"), querier(namespace_pair.left) as router:
        wait_unreported(router)
        set_link(side, "down")
        set_link(side, "up")
        wait_for(lambda: reported(router), "reports of all groups")
        wait_for(lambda: said(small, "veth-r: link was down"), "its end to be told")


def reported(router: Querier) -> bool:
    return {report.group for report in router.heard()} >= set(GROUPS)


def wait_unreported(router: Querier) -> None:
    """Until the reports of the start are over, which come within a second or so, and twice."""
    quiet_since = time.monotonic()

    def is_quiet() -> bool:
        nonlocal quiet_since
        if router.heard():
            router.forget()
            quiet_since = time.monotonic()
        return time.monotonic() - quiet_since > 1.5

    wait_for(is_quiet, "the reports of the start")


@pytest.mark.parametrize("kind", ["afxdp", "packet", "socket"])
def test_an_interface_that_is_removed_and_made_again_is_captured_again(
    kind: str, make_service_rig: Callable[..., Rig], namespace_pair: namespaces.NamespacePair
) -> None:
    """Joins, sockets and XDP program went with the old one; what was in the ring stays, in order."""
    rig = make_service_rig(kind=kind, capacity="64 MiB", descriptors=4096)
    with running(rig) as process:
        send(rig, namespace_pair)
        remove(namespace_pair)
        wait_for(lambda: said(rig, "veth-r: link down: the interface is gone"), "the outage to be told")
        assert any("nothing comes in: veth-r: " in what for what in findings(rig))
        add(namespace_pair)
        wait_for(lambda: said(rig, "capture: started anew"), "the capture to be started anew", 30)
        wait_for(lambda: _writes(rig), "the capture", 30)
        members = namespace_pair.right.run("ip", "-4", "maddress", "show", "dev", "veth-r").stdout
        assert all(group in members for group in GROUPS)
        send(rig, namespace_pair)
        wait_for(lambda: len(_over(rig)) == 1, "the recorder, which looks by itself, to tell that it is over")
        make_again(namespace_pair)  # between two looks
        wait_for(lambda: _epoch(rig) == 3 and _writes(rig), "a third capture", 30)
        send(rig, namespace_pair)
        wait_for(lambda: len(_over(rig)) == 2, "the recorder to tell of the second")
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    rows = rig.archive().table(["ring_seq", "lost_before"])
    assert rows.column("ring_seq").to_pylist() == list(range(1, 31))
    assert not any(rows.column("lost_before").to_pylist())
    replaced = "veth-r: link was down: the interface was removed, and another of its name is there"
    assert [event["detail"] for event in _over(rig)] == [replaced] * 2


def test_a_new_interface_that_cannot_be_captured_yet_is_tried_again(
    small: Rig, namespace_pair: namespaces.NamespacePair
) -> None:
    """Frames of 9,000 bytes do not fit into what native XDP takes of a veth; nothing of the service ends for that."""
    with running(small) as process:
        send(small, namespace_pair)
        remove(namespace_pair)
        add(namespace_pair, mtu=9000)
        wait_for(lambda: said(small, "cannot be started on the new interface yet"), "the holder to fail", 30)
        assert process.poll() is None
        for side in (namespace_pair.left, namespace_pair.right):
            side.run("ip", "link", "set", side.interface, "mtu", "1500")
        wait_for(lambda: said(small, "capture: started anew"), "the capture to be started anew", 30)
        wait_for(lambda: _epoch(small) == 2 and _writes(small), "the capture", 30)
        send(small, namespace_pair)


def _writes(rig: Rig) -> bool:
    with rig.ring() as ring:
        return ring.writer_alive


def _epoch(rig: Rig) -> int:
    with rig.ring() as ring:
        return ring.epoch
