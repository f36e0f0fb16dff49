"""Links that fail under a running service: groups are joined again, packets come again, and the outage is told."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Any

import namespaces
import pytest
from deadline import wait_for
from querier import Querier, querier
from running_service import GROUPS, add, epoch, findings, link_events, remove, running, said, send, set_link, writes
from service_rig import Rig

pytestmark = pytest.mark.root


def make_again(pair: namespaces.NamespacePair) -> None:
    """Both ends of the wire are removed and made anew, with the same names."""
    remove(pair)
    add(pair)


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
        wait_for(lambda: writes(rig), "the capture", 30)
        members = namespace_pair.right.run("ip", "-4", "maddress", "show", "dev", "veth-r").stdout
        assert all(group in members for group in GROUPS)
        send(rig, namespace_pair)
        wait_for(lambda: len(_over(rig)) == 1, "the recorder, which looks by itself, to tell that it is over")
        make_again(namespace_pair)  # between two looks
        wait_for(lambda: epoch(rig) == 3 and writes(rig), "a third capture", 30)
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
        wait_for(lambda: epoch(small) == 2 and writes(small), "the capture", 30)
        send(small, namespace_pair)
