"""The XDP program and the adopted lane, on a real wire: what is taken, what is passed on, and what survives a kill."""

from __future__ import annotations

import itertools
import pathlib
import random
import signal
import subprocess
import time

import deadline
import frames
import holder_rig
import namespaces
import pytest
from holder_rig import Flow, Plan

pytestmark = pytest.mark.root

IPV6_GROUP = "ff15::99"
HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION, UDP = 0, 43, 44, 60, 17


@pytest.fixture
def rig(holder_rig_on_right: holder_rig.Rig) -> holder_rig.Rig:
    """A holder's rig, without a service around it."""
    return holder_rig_on_right


def ipv4(group: str = "239.1.1.1", port: int = 15000, **options: object) -> bytes:
    """An IPv4 datagram to a group."""
    return frames.ipv4(frames.udp(b"payload!" * 4, dst_port=port), dst=group, **options)  # type: ignore[arg-type]


def extension(following: int, content: bytes = bytes(6)) -> bytes:
    """An IPv6 extension header of eight bytes."""
    return bytes([following, 0]) + content


def ipv6(*headers: int, offset: int = 0, port: int = 15000) -> bytes:
    """An IPv6 datagram to the group with these extension headers before UDP; `offset` goes into a fragment header."""
    chain = [*headers, UDP]
    inner = frames.udp(b"payload!" * 4, dst_port=port)
    for kind, following in reversed(list(itertools.pairwise(chain))):
        content = offset.to_bytes(2, "big") + bytes(4) if kind == FRAGMENT else bytes(6)
        inner = extension(following, content) + inner
    return frames.ipv6(inner, dst=IPV6_GROUP, following=chain[0])


def capture(
    rig: holder_rig.Rig, pair: namespaces.NamespacePair, plan: Plan, sent: list[bytes]
) -> tuple[list[holder_rig.Seen], dict[str, int]]:
    """Sends frames past a holder of this plan; returns what the borrower got, and the lane's counters."""
    rig.ready_holder(plan)
    log = holder_rig.Log(rig.folder / "log")
    borrower = rig.borrow(log)
    holder_rig.send_frames(pair.left, sent)
    [counters] = borrower.finish()
    return list(log), counters


def test_matching_flows_are_redirected_and_the_rest_is_passed_with_exact_counters(
    rig: holder_rig.Rig, namespace_pair: namespaces.NamespacePair
) -> None:
    plan = Plan(flows=(Flow(1), Flow(2, port=15001)))
    wanted = [frames.ethernet(ipv4()), frames.ethernet(ipv4(port=15001))] * 10
    other = [
        frames.ethernet(ipv4(port=9999)),
        frames.ethernet(ipv4(group="239.9.9.9")),
        frames.ethernet(ipv4(protocol=6)),
        frames.ethernet(frames.ipv4(bytes(8), dst="224.0.0.22", protocol=2)),  # IGMP
        frames.ethernet(bytes(46), kind=0x88F7),  # PTP
        frames.ethernet(bytes(28), kind=0x0806),  # ARP
        frames.ethernet(frames.ipv6(frames.udp(b"x"))),
    ]
    before = time.clock_gettime_ns(time.CLOCK_TAI)
    seen, counters = capture(rig, namespace_pair, plan, wanted + other)
    after = time.clock_gettime_ns(time.CLOCK_TAI)

    assert [packet.frame for packet in seen] == wanted
    assert [(packet.flow_id, packet.flow_seq) for packet in seen] == [(1 + i % 2, 1 + i // 2) for i in range(20)]
    assert all(before < packet.stamp_ns < after for packet in seen)
    assert {(packet.stamp_clock, packet.ts_kind, packet.flags) for packet in seen} == {(holder_rig.CLOCK_TAI, 1, 0)}
    assert (counters["seen"], counters["unmatched"], counters["redirected"]) == (27, 7, 20)
    assert [counters[name] for name in ("no_socket", "unstamped", "dropped", "ring_full", "occupancy")] == [0] * 5


Q, AD = 0x8100, 0x88A8
FIRST, LATER = 0x2000, 0x2001


CASES: dict[str, tuple[bytes, int | None]] = {
    "untagged": (frames.ethernet(ipv4()), 1),
    "priority tag: in no VLAN": (frames.ethernet(ipv4(), (Q, 0)), 1),
    "one tag": (frames.ethernet(ipv4(), (Q, 7)), 2),
    "priority bits are not the VLAN": (frames.ethernet(ipv4(), (Q, 0xE007)), 2),
    "QinQ goes by the outer tag": (frames.ethernet(ipv4(), (AD, 7), (Q, 9)), 2),
    "QinQ with 0x8100 twice": (frames.ethernet(ipv4(), (Q, 7), (Q, 9)), 2),
    "a lone 0x88a8 tag": (frames.ethernet(ipv4(), (AD, 7)), 2),
    "QinQ as it was before 802.1ad": (frames.ethernet(ipv4(), (0x9100, 7), (Q, 9)), 2),
    "another VLAN": (frames.ethernet(ipv4(), (Q, 8)), None),
    "whatever VLAN": (frames.ethernet(ipv4("239.1.1.4"), (Q, 8)), 7),
    "whatever VLAN, or none": (frames.ethernet(ipv4("239.1.1.4")), 7),
    "its own VLAN before any": (frames.ethernet(ipv4("239.1.1.4"), (Q, 7)), 8),
    "three tags": (frames.ethernet(ipv4(), (AD, 7), (Q, 9), (Q, 9)), None),
    "IP options": (frames.ethernet(ipv4(options=bytes([7, 7, 4, 0, 0, 0, 0, 0]))), 1),
    "all IP options there may be": (frames.ethernet(ipv4(options=bytes(40))), 1),
    "a bad checksum": (frames.ethernet(ipv4(checksum_error=1)), 1),
    "first fragment, by its port": (frames.ethernet(ipv4(fragment=FIRST)), 1),
    "first fragment of another port": (frames.ethernet(ipv4(fragment=FIRST, port=1)), None),
    "later fragment, by its group": (frames.ethernet(ipv4(fragment=LATER, port=1)), 1),
    "later fragment in a VLAN": (frames.ethernet(ipv4(fragment=LATER), (Q, 7)), 2),
    "later fragment of a group of two flows": (frames.ethernet(ipv4("239.1.1.3", fragment=LATER)), 0),
    "later fragment of another group": (frames.ethernet(ipv4("239.1.1.9", fragment=LATER)), None),
    "later fragment of TCP": (frames.ethernet(ipv4(fragment=LATER, protocol=6)), None),
    "port 0 is no fragment": (frames.ethernet(ipv4(port=0)), None),
    "cut within UDP": (frames.ethernet(ipv4())[:41], None),
    "cut within IP": (frames.ethernet(ipv4())[:33], None),
    "cut within the tag": (frames.ethernet(ipv4(), (Q, 7))[:17], None),
    "IPv6": (frames.ethernet(ipv6()), 5),
    "IPv6 in QinQ": (frames.ethernet(ipv6(), (AD, 7), (Q, 9)), 6),
    "IPv6 extension headers": (frames.ethernet(ipv6(HOP_BY_HOP, DESTINATION)), 5),
    "four of them": (frames.ethernet(ipv6(HOP_BY_HOP, DESTINATION, FRAGMENT, DESTINATION)), 5),
    "eight of them": (frames.ethernet(ipv6(*[DESTINATION] * 8)), 5),
    "nine of them": (frames.ethernet(ipv6(*[DESTINATION] * 9)), None),
    "a routing header": (frames.ethernet(ipv6(ROUTING)), 5),
    "a mobility header": (frames.ethernet(ipv6(135)), None),
    "IPv6 first fragment": (frames.ethernet(ipv6(FRAGMENT, offset=1)), 5),
    "IPv6 later fragment, by its group": (frames.ethernet(ipv6(FRAGMENT, offset=8, port=1)), 5),
    "IPv6 to another port": (frames.ethernet(ipv6(port=1)), None),
}
"""What a frame is, the frame, and the flow that it belongs to; None: passed to the kernel."""

PARSED_FLOWS = (
    Flow(1),
    Flow(2, vlan=7),
    Flow(3, "239.1.1.3"),
    Flow(4, "239.1.1.3", port=15001),
    Flow(5, IPV6_GROUP),
    Flow(6, IPV6_GROUP, vlan=7),
    Flow(7, "239.1.1.4", vlan=holder_rig.ANY_VLAN),
    Flow(8, "239.1.1.4", vlan=7),
    Flow(99, "239.99.99.99"),
)


@pytest.fixture(scope="module")
def parsed(holder_path: pathlib.Path, programs: holder_rig.Programs) -> dict[str, list[holder_rig.Seen]]:
    """What the borrower got of each case: all are sent in one go, a frame of flow 99 after each."""
    mark = frames.ethernet(ipv4("239.99.99.99"))
    got: list[list[holder_rig.Seen]] = [[]]
    with namespaces.namespace_pair() as pair, holder_rig.make_rig(holder_path, pair.right, programs) as rig:
        sent = [frame for case, _ in CASES.values() for frame in (case, mark)]
        seen, counters = capture(rig, pair, Plan(flows=PARSED_FLOWS, join=0, descriptors=256), sent)
    for packet in seen:
        if packet.flow_id == 99:
            got.append([])
        else:
            got[-1].append(packet)
    assert counters["seen"] == len(sent)
    assert counters["unmatched"] == sum(flow is None for _, flow in CASES.values())
    return dict(zip(CASES, got, strict=False))


@pytest.mark.parametrize("case", CASES)
def test_a_frame_is_parsed_as_documented(case: str, parsed: dict[str, list[holder_rig.Seen]]) -> None:
    frame, flow = CASES[case]
    assert [(packet.flow_id, packet.frame) for packet in parsed[case]] == ([] if flow is None else [(flow, frame)])


def test_a_flow_of_one_source_is_found_before_that_of_any(
    rig: holder_rig.Rig, namespace_pair: namespaces.NamespacePair
) -> None:
    flows = (Flow(1), Flow(2, source="10.0.0.7"), Flow(3, "239.1.1.2", source="10.0.0.7"))
    sent = [
        frames.ethernet(ipv4(src="10.0.0.1")),
        frames.ethernet(ipv4(src="10.0.0.7")),
        frames.ethernet(ipv4("239.1.1.2", src="10.0.0.7")),
        frames.ethernet(ipv4("239.1.1.2", src="10.0.0.1")),
        frames.ethernet(ipv4("239.1.1.2", src="10.0.0.7", fragment=LATER)),
        frames.ethernet(ipv4("239.1.1.2", src="10.0.0.1", fragment=LATER)),
        frames.ethernet(ipv4(src="10.0.0.7", fragment=LATER)),
        frames.ethernet(ipv4(src="10.0.0.1", fragment=LATER)),
    ]
    seen, counters = capture(rig, namespace_pair, Plan(flows=flows), sent)
    assert [packet.flow_id for packet in seen] == [1, 2, 3, 3, 0, 1]
    assert counters["unmatched"] == 2


def test_a_packet_longer_than_a_frame_is_counted_as_dropped(
    rig: holder_rig.Rig, namespace_pair: namespaces.NamespacePair
) -> None:
    for side in (namespace_pair.left, namespace_pair.right):
        side.run("ip", "link", "set", side.interface, "mtu", "2000")
    fits, too_long = (
        frames.ethernet(frames.ipv4(frames.udp(bytes(size - 42), dst_port=15000), dst="239.1.1.1"))
        for size in (1792, 1793)
    )
    seen, counters = capture(rig, namespace_pair, Plan(), [too_long, fits, too_long])
    assert [packet.frame for packet in seen] == [fits]
    assert (counters["redirected"], counters["dropped"], counters["occupancy"]) == (3, 2, 0)


def test_every_queue_has_a_lane(holder_path: pathlib.Path, programs: holder_rig.Programs) -> None:
    with (
        namespaces.namespace_pair(queues=4) as pair,
        holder_rig.make_rig(holder_path, pair.right, programs) as rig,
    ):
        rig.ready_holder(Plan())
        log = holder_rig.Log(rig.folder / "log")
        borrower = rig.borrow(log)
        holder_rig.send_frames(pair.left, [frames.ethernet(ipv4())] * 5)
        lanes = borrower.finish()
    assert [lane["name"] for lane in lanes] == [f"afxdp:veth-r:{queue}" for queue in range(4)]
    assert sum(lane["redirected"] for lane in lanes) == len(log) == 5


def check_unbroken(sequences: list[int]) -> int:
    """Asserts that 1..n is there in order, with nothing but whole batches repeated; returns how many were repeated."""
    top = repeated = 0
    for sequence in sequences:
        if sequence == top + 1:
            top = sequence
        else:
            assert top - 256 < sequence <= top, f"{sequence} after {top}"
            repeated += 1
    return repeated


def wait_for_packets(log: holder_rig.Log, count: int) -> None:
    """Waits until the log holds so many."""
    deadline.wait_for(lambda: len(log) >= count, f"packet {count}", 20)


def start_blast(rig: holder_rig.Rig, side: namespaces.Side, count: int, rate: int) -> subprocess.Popen[str]:
    """Starts the fast sender on the other side."""
    return side.start(
        rig.programs.blast, "239.1.1.1", "15000", str(count), str(rate), stdout=subprocess.PIPE, text=True
    )


def test_a_borrower_killed_12_times_under_load_loses_nothing(
    rig: holder_rig.Rig, namespace_pair: namespaces.NamespacePair
) -> None:
    rig.ready_holder(Plan(descriptors=1 << 18))
    count = 750_000
    log = holder_rig.Log(rig.folder / "log", capacity=count + 10_000, snap=0)
    sender = start_blast(rig, namespace_pair.left, count, 250_000)
    chance = random.Random(2)
    for _ in range(12):
        borrower = rig.borrow(log)
        wait_for_packets(log, len(log) + chance.randrange(1, 40_000))
        borrower.kill()
    borrower = rig.borrow(log)
    output, _ = sender.communicate(timeout=60)
    [counters] = borrower.finish()
    sequences = log.sequences()
    repeated = check_unbroken(sequences)
    print(f"sent {output.strip()} s, redirected {counters['redirected']}, logged {len(log)}, repeated {repeated}")
    assert (counters["dropped"], counters["ring_full"], counters["occupancy"]) == (0, 0, 0)
    assert sequences[-1] == len(sequences) - repeated == counters["redirected"] == counters["seen"]


def die_40_times(
    rig: holder_rig.Rig, pair: namespaces.NamespacePair, death: str
) -> tuple[holder_rig.Log, dict[str, int]]:
    """Has 40 borrowers die amid the release of 64 packets; returns the log and the final counters."""
    rig.ready_holder(Plan(descriptors=2048))
    log = holder_rig.Log(rig.folder / "log")
    batch = [frames.ethernet(ipv4())] * 64
    for _ in range(40):
        holder_rig.send_frames(pair.left, batch)
        assert rig.borrow(log, death).process.wait(timeout=20) == -signal.SIGKILL
        if death == "published":  # the next one sees that batch again
            rig.borrow(log).finish()
    holder_rig.send_frames(pair.left, batch)
    [counters] = rig.borrow(log).finish()
    return log, counters


@pytest.mark.parametrize(("death", "repeated"), [("published", 64 * 40), ("committed", 0)])
def test_a_successor_mends_what_a_death_within_a_release_left(
    death: str, repeated: int, rig: holder_rig.Rig, namespace_pair: namespaces.NamespacePair
) -> None:
    log, counters = die_40_times(rig, namespace_pair, death)
    assert check_unbroken(log.sequences()) == repeated
    assert (counters["dropped"], counters["fill_empty"], counters["redirected"]) == (0, 0, 64 * 41)
    assert all(packet.flags == 0 for packet in log)


def test_without_mending_the_frames_of_the_dead_are_missed(
    namespace_pair: namespaces.NamespacePair, holder_path: pathlib.Path
) -> None:
    with (
        holder_rig.make_programs(alter=("if (owed)", "if (!owed)")) as broken,
        holder_rig.make_rig(holder_path, namespace_pair.right, broken) as rig,
        pytest.raises(holder_rig.BorrowRefused, match="320 frames behind"),
    ):
        die_40_times(rig, namespace_pair, "committed")


def test_a_full_ring_is_counted_and_shows_in_the_flow_sequence(
    rig: holder_rig.Rig, namespace_pair: namespaces.NamespacePair
) -> None:
    rig.ready_holder(Plan(descriptors=64))
    log = holder_rig.Log(rig.folder / "log")
    holder_rig.send_frames(namespace_pair.left, [frames.ethernet(ipv4())] * 100)
    borrower = rig.borrow(log)
    wait_for_packets(log, 64)
    holder_rig.send_frames(namespace_pair.left, [frames.ethernet(ipv4())])
    [counters] = borrower.finish()
    assert log.sequences() == [*range(1, 65), 101]
    assert counters["redirected"] == 101
    assert counters["dropped"] + counters["ring_full"] == 36
