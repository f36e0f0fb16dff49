"""What befalls an interface under a running service: nothing crashes, it is told, and capturing goes on by itself."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from typing import Any

import foreign_xdp
import namespaces
import pytest
import udp_reader
from archive_truth import assert_sequences_once
from deadline import wait_for
from running_service import GROUPS, epoch, findings, link_events, running, said, send, writes
from service_rig import Rig

pytestmark = pytest.mark.root

needs_bpftool = pytest.mark.skipif(shutil.which("bpftool") is None, reason="needs bpftool (apt-get install bpftool)")


@pytest.fixture
def small(make_service_rig: Callable[..., Rig]) -> Rig:
    return make_service_rig(capacity="64 MiB", descriptors=4096)


def end_in_order(process: subprocess.Popen[bytes]) -> None:
    """Status 0: all packets are accounted for, and recorded."""
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0


def told(rig: Rig, words: str) -> list[dict[str, Any]]:
    return [event for event in link_events(rig) if words in event["detail"]]


def test_an_interface_that_is_renamed_is_captured_on_and_told(
    small: Rig, namespace_pair: namespaces.NamespacePair
) -> None:
    right = namespace_pair.right
    with running(small) as process:
        send(small, namespace_pair)
        right.run("ip", "link", "set", "veth-r", "name", "eth9")
        wait_for(lambda: said(small, "veth-r: is called eth9 now"), "the new name to be told")
        send(small, namespace_pair)
        assert any("veth-r: is called eth9 now" in what for what in findings(small))
        assert not any("nothing comes in" in what for what in findings(small))
        wait_for(lambda: told(small, "is called eth9 now"), "the event")
        right.run("ip", "link", "set", "eth9", "name", "veth-r")
        wait_for(lambda: said(small, "veth-r: has its name again"), "the old name to be told")
        send(small, namespace_pair)
        assert not any("eth9" in what for what in findings(small))
        end_in_order(process)
    assert not said(small, "started anew")
    begun, over = told(small, "eth9")
    assert (begun["severity"], begun["ts_end"], over["severity"]) == ("warning", None, "info")
    assert over["ts_start"] == begun["ts_start"] < over["ts_end"]
    assert assert_sequences_once(small.archive()) == 30


@pytest.mark.slow
def test_a_capture_that_dies_while_its_interface_has_another_name_goes_on(
    small: Rig, namespace_pair: namespaces.NamespacePair
) -> None:
    """It borrows what the holder has, by whatever name that was opened."""
    with running(small) as process:
        send(small, namespace_pair)
        namespace_pair.right.run("ip", "link", "set", "veth-r", "name", "eth9")
        wait_for(lambda: said(small, "veth-r: is called eth9 now"), "the new name to be told")
        with small.ring() as ring:
            os.kill(ring.writer_pid or 0, signal.SIGKILL)
        wait_for(lambda: epoch(small) == 2 and writes(small), "another capture")
        send(small, namespace_pair)
        end_in_order(process)
    assert assert_sequences_once(small.archive()) == 20


@pytest.mark.parametrize(
    "kind", ["afxdp", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("packet", "socket"))]
)
def test_an_interface_that_changes_or_loses_its_addresses_is_captured_on_and_told(
    kind: str, make_service_rig: Callable[..., Rig], namespace_pair: namespaces.NamespacePair
) -> None:
    rig = make_service_rig(kind=kind, capacity="64 MiB", descriptors=4096)
    right = namespace_pair.right
    with running(rig) as process:
        send(rig, namespace_pair)
        right.run("ip", "address", "flush", "dev", "veth-r")
        wait_for(lambda: said(rig, "10.211.0.2/24 -> none"), "the loss to be told")
        send(rig, namespace_pair)
        wait_for(lambda: told(rig, "10.211.0.2/24 -> none"), "the event of the loss")
        right.run("ip", "address", "add", "10.211.0.77/24", "dev", "veth-r")
        wait_for(lambda: said(rig, "none -> 10.211.0.77/24"), "the new one to be told")
        send(rig, namespace_pair)
        wait_for(lambda: told(rig, "none -> 10.211.0.77/24"), "the event of the new one")
        end_in_order(process)
    assert not said(rig, "started anew")
    assert {event["severity"] for event in told(rig, "its addresses have changed")} == {"info"}
    assert assert_sequences_once(rig.archive()) == 30


@needs_bpftool
def test_an_xdp_program_of_ours_that_is_detached_is_put_back(
    small: Rig, namespace_pair: namespaces.NamespacePair
) -> None:
    with running(small) as process:
        send(small, namespace_pair)
        foreign_xdp.detach_ours(namespace_pair.right)
        wait_for(lambda: epoch(small) == 2 and writes(small), "all to be opened anew")
        wait_for(lambda: said(small, "veth-r: link was down: its XDP program was detached"), "its end to be told")
        send(small, namespace_pair)
        end_in_order(process)
    (event,) = [event for event in told(small, "its XDP program was detached") if event["ts_end"]]
    assert (event["severity"], event["ts_start"] < event["ts_end"]) == ("warning", True)
    assert assert_sequences_once(small.archive()) == 20


@needs_bpftool
def test_an_xdp_program_of_others_in_the_place_of_ours_is_told_and_capturing_goes_on_when_it_goes(
    small: Rig, namespace_pair: namespaces.NamespacePair
) -> None:
    """What it passes goes to the kernel: lost to us, and nobody counts it; so there is an event from begin to end."""
    right = namespace_pair.right
    with running(small) as process, foreign_xdp.passing_program() as other:
        send(small, namespace_pair)
        foreign_xdp.detach_ours(right, then_attach=other)
        words = f"another XDP program (id {other}) is attached"
        wait_for(lambda: said(small, words), "the other program to be told")
        udp_reader.send(namespace_pair.left, GROUPS[0], 31001, 5)
        assert any("nothing comes in: " in what and words in what for what in findings(small))
        wait_for(lambda: told(small, words), "the event of its beginning")
        assert foreign_xdp.attached_id(right) == other, "it is somebody's: not ours to take away"
        foreign_xdp.detach_foreign(right)
        wait_for(lambda: epoch(small) == 2 and writes(small), "all to be opened anew")
        send(small, namespace_pair)
        assert not any("nothing comes in" in what for what in findings(small))
        wait_for(lambda: any(event["ts_end"] for event in told(small, "link was down")), "the event of its end")
        end_in_order(process)
    assert assert_sequences_once(small.archive()) == 20


@pytest.mark.slow
def test_an_xdp_program_cannot_be_put_over_ours(small: Rig, namespace_pair: namespaces.NamespacePair) -> None:
    """The kernel protects a link; capturing goes on undisturbed."""
    right = namespace_pair.right
    with running(small) as process, foreign_xdp.passing_program() as other:
        for mode in ("xdpdrv", "xdpgeneric"):
            attach = ("bpftool", "net", "attach", mode, "id", str(other), "dev", "veth-r")
            assert right.run(*attach, check=False).returncode != 0
        send(small, namespace_pair)
        end_in_order(process)
    assert not said(small, "link down")


@pytest.mark.slow
def test_an_interface_that_is_moved_to_another_namespace_and_back_is_captured_again(
    small: Rig, namespace_pair: namespaces.NamespacePair
) -> None:
    """As in a driver's reset, sockets and program are gone with it, and it may even come back with the same number."""
    left, right = namespace_pair.left, namespace_pair.right
    with running(small) as process:
        send(small, namespace_pair)
        right.run("ip", "link", "set", "veth-r", "netns", left.namespace)
        wait_for(lambda: said(small, "veth-r: link down: the interface is gone"), "the outage to be told")
        left.run("ip", "link", "set", "veth-r", "netns", right.namespace)
        namespaces._bring_up(right, 1500)
        wait_for(lambda: epoch(small) == 2 and writes(small), "all to be opened anew")
        send(small, namespace_pair)
        end_in_order(process)
    assert assert_sequences_once(small.archive()) == 20


@pytest.mark.slow
def test_a_peer_that_is_reset_is_a_lost_carrier(small: Rig, namespace_pair: namespaces.NamespacePair) -> None:
    """Its other end is detached and attached again: sockets and program stay, and so does the capture."""
    left, right = namespace_pair.left, namespace_pair.right
    with running(small) as process:
        send(small, namespace_pair)
        left.run("ip", "link", "set", "veth-l", "netns", right.namespace)
        wait_for(lambda: said(small, "veth-r: link down: no carrier"), "the outage to be told")
        right.run("ip", "link", "set", "veth-l", "netns", left.namespace)
        namespaces._bring_up(left, 1500)
        wait_for(lambda: said(small, "veth-r: link was down: no carrier"), "its end to be told")
        send(small, namespace_pair)
        end_in_order(process)
    assert not said(small, "started anew")
    assert assert_sequences_once(small.archive()) == 20
