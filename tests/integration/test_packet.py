"""The packet source on a real wire: what it copies, what it takes to open, what survives a kill."""

from __future__ import annotations

import array
import dataclasses
import errno
import json
import os
import pathlib
import random
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import deadline
import frames
import holder_rig
import namespaces
import odd_frames
import pytest
from holder_rig import AFXDP, ALL, ANY_VLAN, CHANNELS, CLOCK_UTC, MULTICAST, PACKET, TS_KERNEL, UDP, Flow, Plan
from udp_reader import Socket, send, udp_reader

pytestmark = [pytest.mark.root, pytest.mark.shared]

PAYLOAD_AT = 42
SO_LOCK_FILTER, SO_DETACH_FILTER = 44, 27
LANE_BYTES = 112


@pytest.fixture
def rig(holder_rig_on_right: holder_rig.Rig) -> holder_rig.Rig:
    """A holder's rig, without a service around it."""
    return holder_rig_on_right


def packet_plan(**differs: Any) -> Plan:
    """A packet source that joins nothing."""
    return dataclasses.replace(Plan(kind=PACKET, join=0), **differs)


def numbered(number: int, group: str = "239.1.1.1", port: int = 15000) -> bytes:
    """A frame whose payload is a number, as `blast` sends them."""
    return frames.ethernet(frames.ipv4(frames.udp(struct.pack("<Q100x", number), dst_port=port), dst=group))


def numbers(log: holder_rig.Log) -> list[int]:
    """The numbers that were logged, in order."""
    return [struct.unpack_from("<Q", seen.frame, PAYLOAD_AT)[0] for seen in log]


def capture(
    rig: holder_rig.Rig, pair: namespaces.NamespacePair, plan: Plan, sent: list[bytes]
) -> tuple[list[holder_rig.Seen], list[dict[str, Any]]]:
    """Sends frames past a holder of this plan; returns what the borrower got, and the lanes' counters."""
    holder = rig.ready_holder(plan)
    log = holder_rig.Log(rig.folder / "log")
    borrower = rig.borrow(log)
    holder_rig.send_frames(pair.left, sent)
    lanes = borrower.finish()
    holder.terminate()
    holder.communicate(timeout=20)
    return list(log), lanes


def comes_in(frame: bytes) -> bool:
    """The kernel itself throws a tagged frame away when no type follows its tag."""
    return frame[12:14] not in (b"\x81\x00", b"\x88\xa8") or len(frame) >= 20


def test_every_frame_comes_as_it_was_on_the_wire_and_in_order(
    rig: holder_rig.Rig, namespace_pair: namespaces.NamespacePair
) -> None:
    sent = odd_frames.traffic()
    began = time.time_ns()
    seen, [lane] = capture(rig, namespace_pair, packet_plan(select=ALL), sent)
    assert [packet.frame for packet in seen] == [frame for frame in sent if comes_in(frame)]
    assert {(packet.ts_kind, packet.stamp_clock) for packet in seen} == {(TS_KERNEL, CLOCK_UTC)}
    stamps = [packet.stamp_ns for packet in seen]
    assert began < stamps[0]
    assert stamps == sorted(stamps)
    assert stamps[-1] < time.time_ns()
    assert lane["name"] == "packet:veth-r:0"
    assert (lane["offered"], lane["taken"], lane["unselected"]) == (len(seen), len(seen), 0)
    assert (lane["socket_drops"], lane["occupancy"]) == (0, 0)


@pytest.mark.parametrize("select", [CHANNELS, MULTICAST, UDP])
def test_a_packet_socket_and_afxdp_select_the_same(
    select: int, rig: holder_rig.Rig, namespace_pair: namespaces.NamespacePair
) -> None:
    flows = (Flow(1, odd_frames.GROUP), Flow(2, odd_frames.GROUP, vlan=7), Flow(3, odd_frames.GROUP6, vlan=ANY_VLAN))
    sent = [frame for frame in odd_frames.traffic() if comes_in(frame)]
    took: dict[int, list[tuple[int, int, bytes]]] = {}
    for kind in (PACKET, AFXDP):
        plan = packet_plan(kind=kind, select=select, flows=flows)
        seen, [lane] = capture(rig, namespace_pair, plan, sent)
        took[kind] = [(packet.flow_id, packet.flags, packet.frame) for packet in seen]
        if kind == PACKET:
            assert lane["offered"] == lane["taken"] == len(seen) + lane["unselected"] < len(sent)
    assert took[PACKET] == took[AFXDP]
    assert {flow_id for flow_id, _, _ in took[PACKET]} == {1, 2, 3} | ({0} if select else set())


def test_others_get_what_the_packet_source_copies(
    rig: holder_rig.Rig, namespace_pair: namespaces.NamespacePair
) -> None:
    rig.ready_holder(packet_plan())
    log = holder_rig.Log(rig.folder / "log")
    borrower = rig.borrow(log)
    assert holder_rig.attached_program(rig.side) is None
    with udp_reader(rig.side, Socket()) as reader:
        send(namespace_pair.left, "239.1.1.1", 15000, 5)
        reader.wait_for(5)
        deadline.wait_for(lambda: len(log) == 5, "five packets")
    borrower.finish()


def test_what_this_host_sends_is_not_seen(rig: holder_rig.Rig, namespace_pair: namespaces.NamespacePair) -> None:
    rig.ready_holder(packet_plan(select=ALL))
    log = holder_rig.Log(rig.folder / "log")
    borrower = rig.borrow(log)
    holder_rig.send_frames(rig.side, [numbered(1)])
    send(rig.side, "239.1.1.1", 15000, 3)
    holder_rig.send_frames(namespace_pair.left, [numbered(2)])
    [lane] = borrower.finish()
    assert numbers(log) == [2]
    assert lane["offered"] == 1


def test_a_long_frame_comes_whole(rig: holder_rig.Rig, namespace_pair: namespaces.NamespacePair) -> None:
    for side in (namespace_pair.left, namespace_pair.right):
        side.run("ip", "link", "set", side.interface, "mtu", "9000")
    long = frames.ethernet(frames.ipv4(frames.udp(bytes(8900), dst_port=15000), dst="239.1.1.1"), (0x8100, 7))
    rig.ready_holder(packet_plan(flows=(Flow(1, vlan=7),)))
    log = holder_rig.Log(rig.folder / "log", snap=10_000)
    borrower = rig.borrow(log)
    holder_rig.send_frames(namespace_pair.left, [long] * 3)
    borrower.finish()
    assert [seen.frame for seen in log] == [long] * 3


def test_a_ring_that_overflows_accounts_for_every_packet(
    rig: holder_rig.Rig, namespace_pair: namespaces.NamespacePair
) -> None:
    rig.ready_holder(packet_plan(descriptors=64))
    holder_rig.send_frames(namespace_pair.left, [numbered(number) for number in range(2000)])
    log = holder_rig.Log(rig.folder / "log")
    borrower = rig.borrow(log)
    deadline.wait_for(lambda: len(log) > 100, "what the ring holds")
    holder_rig.send_frames(namespace_pair.left, [numbered(number) for number in range(2000, 2005)])
    [lane] = borrower.finish()
    assert lane["offered"] == 2005
    assert lane["socket_drops"] > 0
    assert lane["occupancy"] == 0
    assert lane["taken"] == len(log) == 2005 - lane["socket_drops"]
    kept = len(log) - 5
    assert numbers(log) == [*range(kept), *range(2000, 2005)]


def wait_for_packets(log: holder_rig.Log, count: int) -> None:
    """Waits until the log holds so many."""
    deadline.wait_for(lambda: len(log) >= count, f"packet {count}", 30)


def test_a_borrower_killed_12_times_under_load_loses_nothing(
    rig: holder_rig.Rig, namespace_pair: namespaces.NamespacePair
) -> None:
    rig.ready_holder(packet_plan(descriptors=1 << 18))
    count = 250_000
    log = holder_rig.Log(rig.folder / "log", capacity=count + 10_000, snap=PAYLOAD_AT + 8)
    arguments = ("239.1.1.1", "15000", str(count), "80000")
    sender = namespace_pair.left.start(rig.programs.blast, *arguments, stdout=subprocess.PIPE, text=True)
    chance = random.Random(3)
    for _ in range(12):
        borrower = rig.borrow(log)
        wait_for_packets(log, len(log) + chance.randrange(1, 15_000))
        borrower.kill()
    borrower = rig.borrow(log)
    sender.communicate(timeout=60)
    [lane] = borrower.finish()
    top = repeated = 0
    for number in numbers(log):  # whole batches come again: this borrower has no ring that would tell it
        assert number == top + 1 or top - 256 < number <= top, f"{number} after {top}"
        repeated += number <= top
        top = max(top, number)
    assert top == count
    assert len(log) - repeated == count
    assert (lane["offered"], lane["taken"], lane["socket_drops"], lane["occupancy"]) == (count, count, 0, 0)


def test_a_borrower_that_dies_before_it_releases_leaves_the_same_batch(
    rig: holder_rig.Rig, namespace_pair: namespaces.NamespacePair
) -> None:
    rig.ready_holder(packet_plan())
    log = holder_rig.Log(rig.folder / "log")
    holder_rig.send_frames(namespace_pair.left, [numbered(number) for number in range(150)])
    for _ in range(3):
        assert rig.borrow(log, "published").process.wait(timeout=20) == -9
    batch = numbers(log)[: len(log) // 3]
    [lane] = rig.borrow(log).finish()
    assert batch == list(range(len(batch)))
    assert numbers(log) == [*batch, *batch, *batch, *range(150)]
    assert (lane["offered"], lane["taken"]) == (150, 150)


def test_two_sockets_of_a_fanout_share_the_flows_and_keep_their_order(
    rig: holder_rig.Rig, namespace_pair: namespaces.NamespacePair
) -> None:
    groups = [f"239.1.1.{number}" for number in range(1, 33)]
    flows = tuple(Flow(number, group) for number, group in enumerate(groups, 1))
    sent = [numbered(number, group) for number in range(20) for group in groups]
    seen, lanes = capture(rig, namespace_pair, packet_plan(flows=flows, fanout=2), sent)
    assert [lane["name"] for lane in lanes] == ["packet:veth-r:0", "packet:veth-r:1"]
    assert sorted(packet.frame for packet in seen) == sorted(sent)
    assert sum(lane["offered"] for lane in lanes) == len(sent)
    assert all(lane["offered"] for lane in lanes)
    for flow in flows:
        mine = [packet for packet in seen if packet.flow_id == flow.id]
        assert len({packet.queue for packet in mine}) == 1
        assert [struct.unpack_from("<Q", packet.frame, PAYLOAD_AT)[0] for packet in mine] == list(range(20))


def promiscuity(side: namespaces.Side) -> int:
    """How many want the interface promiscuous."""
    shown = json.loads(side.run("ip", "-j", "-d", "link", "show", side.interface).stdout)
    return int(shown[0]["promiscuity"])


@pytest.mark.parametrize("kind", [PACKET, AFXDP])
@pytest.mark.parametrize("asked", [0, 1])
def test_an_interface_is_promiscuous_while_a_holder_asks_for_it(asked: int, kind: int, rig: holder_rig.Rig) -> None:
    holder = rig.ready_holder(packet_plan(kind=kind, promiscuous=asked))
    assert promiscuity(rig.side) == asked
    holder.kill()
    holder.wait(timeout=30)
    deadline.wait_for(lambda: promiscuity(rig.side) == 0, "the interface to be as it was")


def test_groups_are_joined_for_a_packet_source_too(rig: holder_rig.Rig) -> None:
    rig.ready_holder(packet_plan(join=1))
    assert "010101EF" in rig.side.run("cat", "/proc/net/igmp").stdout


def test_an_interface_that_was_down_goes_on(rig: holder_rig.Rig, namespace_pair: namespaces.NamespacePair) -> None:
    rig.ready_holder(packet_plan())
    log = holder_rig.Log(rig.folder / "log")
    borrower = rig.borrow(log)
    rig.side.run("ip", "link", "set", rig.side.interface, "down")
    rig.side.run("ip", "link", "set", rig.side.interface, "up")
    state = pathlib.Path("/sys/class/net", namespace_pair.left.interface, "operstate")
    deadline.wait_for(lambda: namespace_pair.left.run("cat", state).stdout == "up\n", "the wire")
    holder_rig.send_frames(namespace_pair.left, [numbered(1)])
    wait_for_packets(log, 1)
    borrower.finish()


def as_root_with(*capabilities: str) -> tuple[str, ...]:
    """A command prefix that leaves root only these capabilities."""
    return ("setpriv", f"--bounding-set={','.join(['-all', *(f'+{name}' for name in capabilities)])}")


def test_one_capability_suffices(rig: holder_rig.Rig) -> None:
    plan = packet_plan(capture_uid=0, promiscuous=1, fanout=2, join=1)
    holder = rig.holder(plan, prefix=("prlimit", "--memlock=65536:65536", *as_root_with("net_raw")))
    assert holder.stdout
    assert holder.stderr
    assert holder.stdout.readline() == "ready\n", holder.stderr.read()


def test_without_a_privilege_the_holder_says_in_one_line_what_it_lacks(rig: holder_rig.Rig) -> None:
    holder = rig.holder(packet_plan(capture_uid=0), prefix=as_root_with())
    output, errors = holder.communicate(timeout=20)
    assert (holder.returncode, output) == (1, "")
    [line] = errors.splitlines()
    assert "the holder lacks CAP_NET_RAW: run it as root" in line


def test_a_link_that_is_not_ethernet_is_refused(rig: holder_rig.Rig) -> None:
    rig.side.run("ip", "tuntap", "add", "dev", "tun0", "mode", "tun")
    rig.side.run("ip", "link", "set", "tun0", "up")
    assert "tun0: has link type 65534, expected Ethernet (1)" in rig.refused(packet_plan(interface="tun0"))
    assert not rig.socket.exists()


def test_loopback_needs_no_queue(rig: holder_rig.Rig) -> None:
    rig.ready_holder(packet_plan(interface="lo", select=UDP))
    log = holder_rig.Log(rig.folder / "log")
    borrower = rig.borrow(log)
    rig.side.run("sh", "-c", "printf hello > /dev/udp/127.0.0.1/9 2>/dev/null || exit 0")
    script = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'hello', ('127.0.0.1', 9))"
    rig.side.run("python3", "-c", script)
    wait_for_packets(log, 1)
    borrower.finish()
    assert [seen.frame[-5:] for seen in log] == [b"hello"]  # once, not when it was sent too


@pytest.mark.parametrize("optmem", [131_072, 20_480, 4_096])
def test_eight_thousand_groups_are_taken_however_small_a_filter_the_kernel_allows(
    optmem: int, rig: holder_rig.Rig, namespace_pair: namespaces.NamespacePair
) -> None:
    rig.side.run("sysctl", "-qw", f"net.core.optmem_max={optmem}")
    groups = [f"239.1.{number // 250}.{number % 250}" for number in range(8000)]
    flows = tuple(Flow(number, group) for number, group in enumerate(groups, 1))
    picked = random.Random(4).sample(range(8000), 300)
    foreign = frames.ethernet(frames.ipv4(bytes(20), dst="10.211.0.2", protocol=6))
    sent = [frame for number in picked for frame in (numbered(number, groups[number]), foreign)]
    seen, [lane] = capture(rig, namespace_pair, packet_plan(flows=flows), sent)
    assert [packet.flow_id for packet in seen] == [number + 1 for number in picked]
    assert lane["offered"] == len(picked)


@pytest.fixture
def lent(rig: holder_rig.Rig) -> Iterator[tuple[int, int]]:
    """What a borrower gets: the packet socket and the page of its state."""
    rig.ready_holder(packet_plan())
    room = socket.CMSG_SPACE(3 * array.array("i").itemsize)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.connect(str(rig.socket))
        connection.recv(4096)
        facts, ancillary, _, _ = connection.recvmsg(4096, room)
        descriptors = array.array("i", ancillary[0][2])
        try:
            assert len(facts) == LANE_BYTES
            assert len(descriptors) == 2
            yield descriptors[0], descriptors[1]
        finally:
            for descriptor in descriptors:
                os.close(descriptor)


def test_who_borrows_the_socket_cannot_make_it_see_more(lent: tuple[int, int]) -> None:
    wire = socket.socket(fileno=os.dup(lent[0]))
    with wire:
        for attempt in (
            lambda: wire.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0),
            lambda: wire.setsockopt(socket.SOL_SOCKET, SO_LOCK_FILTER, 0),
        ):
            with pytest.raises(PermissionError):
                attempt()
        with pytest.raises(OSError, match="Invalid argument") as refused:
            wire.bind(("lo", 3))
        assert refused.value.errno == errno.EINVAL


def test_who_borrows_the_page_cannot_take_it_from_the_successors(lent: tuple[int, int]) -> None:
    assert os.fstat(lent[1]).st_size == 4096
    for size in (0, 8192):
        with pytest.raises(PermissionError):
            os.ftruncate(lent[1], size)
