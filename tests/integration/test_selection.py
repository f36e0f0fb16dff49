"""What is selected, and as what: the XDP program on a wire, the C selector in user space, a Python model of both."""

from __future__ import annotations

import collections
import random
import sys
from collections.abc import Sequence

import frames
import holder_rig
import namespaces
import pytest
import selection_frames
import selection_model as model
from holder_rig import Flow, Plan
from hypothesis import given
from hypothesis import strategies as st
from kernel_listener import kernel_listener
from selection_model import Verdict
from udp_reader import Socket, udp_reader

from nanotape.native import ffi, lib

UNPARSED = 1 << 6
MODES = {"channels": model.CHANNELS, "multicast": model.MULTICAST, "udp": model.UDP_ALL, "all": model.ALL}
TAKING = {name: mode for name, mode in MODES.items() if name != "all"}
LINKS = {
    "ethernet": (model.ETHERNET, 0, bytes),
    "cooked": (model.LINUX_SLL, 1 << 8, frames.linux_sll),
    "cooked 2": (model.LINUX_SLL2, 1 << 9, frames.linux_sll2),
    "raw": (model.RAW_IP, 1 << 10, frames.raw_ip),
}
FLOWS = {"all kinds": selection_frames.FLOWS, "plain": selection_frames.PLAIN_FLOWS, "none": ()}
PTP_GROUP, PTP_PORT = "224.0.1.129", 319
STRAY_GROUP, STRAY_PORT = "239.9.9.9", 4000


@pytest.fixture(scope="module")
def everything() -> list[bytes]:
    """Crafted frames."""
    return selection_frames.everything()


class Selector:
    """The C selector."""

    def __init__(self, flows: Sequence[Flow], mode: int) -> None:
        data = ffi.from_buffer(selection_frames.packed(flows, "eth1"))
        made, fault = ffi.new("struct nt_selector **"), ffi.new("struct nt_fault *")
        entries = ffi.cast("struct nt_flow *", data)
        assert lib.nt_selector_create(made, mode, entries, len(flows), b"eth1", fault) == 0, ffi.string(fault.text)
        self._selector = ffi.gc(made[0], lib.nt_selector_destroy)

    def judge(self, frame: bytes, link: int = model.ETHERNET) -> Verdict | None:
        """What it says, in the model's words."""
        said = lib.nt_selector_judge(self._selector, link, frame, len(frame))
        return Verdict(said.flow_id, said.unparsed) if said.selected else None


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("flows", FLOWS)
@pytest.mark.parametrize("mode", MODES)
def test_the_selector_and_the_model_agree_on_every_frame(
    mode: str, flows: str, link: str, everything: list[bytes]
) -> None:
    selector = Selector(FLOWS[flows], MODES[mode])
    kind, _, as_link = LINKS[link]
    for frame in map(as_link, everything if link == "ethernet" else everything[::4]):
        verdict = model.judge(frame, FLOWS[flows], MODES[mode], kind)
        assert selector.judge(frame, kind) == verdict, frame.hex()


def test_the_frames_put_every_question(everything: list[bytes]) -> None:
    """A control of the tests above and below: no answer is missing, and no two modes have the same."""
    answers = {
        name: [model.judge(frame, selection_frames.FLOWS, mode) for frame in everything] for name, mode in MODES.items()
    }
    for name, said in answers.items():
        counts = collections.Counter(said)
        assert {verdict.flow_id for verdict in counts if verdict} == {0, *(flow.id for flow in selection_frames.FLOWS)}
        assert counts[Verdict(0)] > 500
        assert (counts[Verdict(0, unparsed=True)] > 5000) == (name != "channels")
        assert (counts[None] > 1000) == (name != "all")
    assert len({tuple(said) for said in answers.values()}) == len(MODES)


BASES = st.sampled_from([*selection_frames.everything()[::37]])


@given(BASES, st.sampled_from(sorted(LINKS)), st.sampled_from(sorted(MODES)), st.randoms(use_true_random=False))
def test_the_selector_and_the_model_agree_on_mutated_frames(
    base: bytes, link: str, mode: str, chance: random.Random
) -> None:
    kind, _, as_link = LINKS[link]
    frame = mutated(as_link(base), chance)
    verdict = model.judge(frame, selection_frames.FLOWS, MODES[mode], kind)
    assert Selector(selection_frames.FLOWS, MODES[mode]).judge(frame, kind) == verdict


def mutated(frame: bytes, chance: random.Random) -> bytes:
    """A few bytes, mostly of the headers, changed into such as mean something; sometimes its end is missing."""
    changed = bytearray(frame)
    for _ in range(chance.randrange(5) if frame else 0):
        octet = chance.choice([0, 1, 6, 8, 17, 43, 44, 51, 60, 0x45, 0x60, 0x81, 0x88, 0xA8, chance.randrange(256)])
        changed[chance.randrange(min(len(frame), 80))] = octet
    return bytes(changed[: chance.randrange(len(frame))]) if frame and chance.random() < 0.3 else bytes(changed)


@pytest.mark.parametrize("link", LINKS)
def test_what_is_selected_unparsed_is_unparsed_to_the_columns_too(link: str, everything: list[bytes]) -> None:
    kind, record_flags, as_link = LINKS[link]
    chance = random.Random(3)
    out = ffi.new("struct nt_frame *")
    judged = collections.Counter[bool]()
    for frame in everything:
        for made in (as_link(frame), mutated(as_link(frame), chance)):
            verdict = model.judge(made, (), model.UDP_ALL, kind)
            if verdict and verdict.unparsed:
                lib.nt_frame_parse(out, made, len(made), len(made) + chance.choice([0, 0, 100]), record_flags)
                assert out.flags & UNPARSED, made.hex()
            judged[bool(verdict and verdict.unparsed)] += 1
    assert min(judged.values()) > 2000


@pytest.fixture
def rig(holder_rig_on_right: holder_rig.Rig) -> holder_rig.Rig:
    """A holder's rig, without a service around it."""
    return holder_rig_on_right


@pytest.mark.root
@pytest.mark.parametrize("flows", FLOWS)
@pytest.mark.parametrize("mode", TAKING)
def test_the_xdp_program_and_the_model_agree_on_every_frame(
    mode: str, flows: str, everything: list[bytes], rig: holder_rig.Rig, namespace_pair: namespaces.NamespacePair
) -> None:
    chance = random.Random(4)
    wild = [mutated(frame, chance) for frame in everything[::5]]
    sent = [frame for frame in (*everything, *wild) if len(frame) >= 14]  # no packet socket sends less
    plan = Plan(FLOWS[flows], join=0, select=MODES[mode], descriptors=1 << 16)
    seen, counters = capture(rig, namespace_pair, plan, sent)
    verdicts = [(frame, model.judge(frame, FLOWS[flows], MODES[mode])) for frame in sent]
    assert_seen(seen, verdicts)
    selected = len(seen)
    assert (counters["seen"], counters["redirected"], counters["unmatched"]) == (
        len(sent),
        selected,
        len(sent) - selected,
    )
    assert [counters[name] for name in ("no_socket", "unstamped", "dropped", "ring_full", "occupancy")] == [0] * 5


def capture(
    rig: holder_rig.Rig, pair: namespaces.NamespacePair, plan: Plan, sent: list[bytes]
) -> tuple[list[holder_rig.Seen], dict[str, int]]:
    """Sends frames past a holder of this plan; returns what the borrower got, and the lane's counters."""
    rig.ready_holder(plan)
    borrower = rig.borrow(log := holder_rig.Log(rig.folder / "log", capacity=len(sent) + 1))
    holder_rig.send_frames(pair.left, sent)
    [counters] = borrower.finish()
    return list(log), counters


def assert_seen(seen: list[holder_rig.Seen], verdicts: list[tuple[bytes, Verdict | None]]) -> None:
    """The selected frames and no others, in order, each with its flow, numbered within it, flagged where unparsed."""
    last = collections.Counter[int]()
    wanted = []
    for frame, verdict in verdicts:
        if verdict:
            last[verdict.flow_id] += 1
            wanted.append((frame, verdict.flow_id, last[verdict.flow_id], UNPARSED if verdict.unparsed else 0))
    got = [(packet.frame, packet.flow_id, packet.flow_seq, packet.flags) for packet in seen]
    for mine, theirs in zip(got, wanted, strict=False):
        assert mine == theirs, f"{mine[0].hex()} {mine[1:]}, expected {theirs[0].hex()} {theirs[1:]}"
    assert len(got) == len(wanted)


def mac_of(side: namespaces.Side) -> bytes:
    return bytes.fromhex(side.run("cat", f"/sys/class/net/{side.interface}/address").stdout.replace(":", ""))


def traffic(right: namespaces.Side) -> list[bytes]:
    """Flow 1, strays, fragments, damage, and what the kernel of a host needs."""
    host, group = mac_of(right), frames.ETHERNET[:6]

    def frame(inner: bytes, *tags: tuple[int, int], to: bytes = group, kind: int | None = None) -> bytes:
        return (to + frames.ethernet(inner, *tags, kind=kind)[6:]).ljust(60, b"\0")

    def datagram(dst: str, port: int, **options: int) -> bytes:
        return frames.ipv4(frames.udp(b"payload!", dst_port=port), src="10.211.0.1", dst=dst, **options)  # type: ignore[arg-type]

    # A query of version 3: reports of version 2 would come back to this host, which counts them as received.
    igmp = bytes.fromhex("1101eefe0000000000000000")
    arp = bytes.fromhex("00010800060400010200000000010ad300010000000000000ad30002")
    return [
        *[frame(datagram("239.1.1.1", 15000))] * 7,
        *[frame(datagram(STRAY_GROUP, STRAY_PORT))] * 6,
        *[frame(datagram(STRAY_GROUP, STRAY_PORT), (0x8100, 7))] * 2,
        *[frame(datagram(STRAY_GROUP, STRAY_PORT, fragment=1))] * 3,
        frame(frames.ipv6(frames.udp(b"payload!"), dst="ff15::1")),
        *[frame(datagram(PTP_GROUP, PTP_PORT))] * 5,
        frame(datagram(PTP_GROUP, 320)),
        *[frame(datagram(right.address, STRAY_PORT), to=host)] * 4,
        *[frame(arp, kind=0x0806, to=b"\xff" * 6)] * 3,
        *[frame(frames.ipv4(igmp, src="10.211.0.1", dst="224.0.0.1", protocol=2))] * 2,
        frame(frames.ipv6(bytes(24), dst="ff02::16", following=58)),
        frame(bytes(44), kind=0x88F7),
        frame(bytes(44), kind=0x88CC),
        frame(frames.ipv4(bytes(20), src="10.211.0.1", dst=right.address, protocol=6), to=host),
        frame(datagram(STRAY_GROUP, STRAY_PORT))[:37],  # cut within UDP
    ]


SNMP = """
lines = [line.split() for line in open("/proc/net/snmp")]
for names, numbers in zip(lines[::2], lines[1::2]):
    for name, number in zip(names[1:], numbers[1:]):
        print(names[0] + name, number)
"""


def kernel_counters(side: namespaces.Side) -> dict[str, int]:
    """The counters of IP and UDP, as `Udp:InDatagrams`."""
    lines = side.run(sys.executable, "-c", SNMP).stdout.splitlines()
    return {name: int(number) for name, number in map(str.split, lines)}


@pytest.mark.root
@pytest.mark.parametrize("mode", TAKING)
def test_what_a_host_needs_reaches_its_kernel_and_the_kernels_counters_agree(
    mode: str, rig: holder_rig.Rig, namespace_pair: namespaces.NamespacePair
) -> None:
    right = namespace_pair.right
    sent = traffic(right)
    plan = Plan(join=0, select=MODES[mode], steal=1)
    verdicts = [(frame, model.judge(frame, plan.flows, MODES[mode])) for frame in sent]
    with (
        udp_reader(right, Socket(bind=PTP_GROUP, port=PTP_PORT, join=PTP_GROUP)) as clock,
        udp_reader(right, Socket(bind=right.address, port=STRAY_PORT, join=None)) as unicast,
        kernel_listener(right) as kernel,
    ):
        before = kernel_counters(right)
        seen, counters = capture(rig, namespace_pair, plan, sent)
        got = {"clock": clock.finish(), "host": unicast.finish()}
        after = kernel_counters(right)  # a datagram counts once it is read
        left_alone = [frame for frame, verdict in verdicts if verdict is None]
        assert kernel.finish() == [untagged(frame) for frame in left_alone]
    assert_seen(seen, verdicts)
    assert (counters["seen"], counters["unmatched"]) == (len(sent), len(left_alone))
    other = sum(packet.flow_id == 0 for packet in seen)
    assert (len(seen) - other, other) == (7, {"channels": 0, "multicast": 13, "udp": 17}[mode])
    assert got == {"clock": 5, "host": 0 if mode == "udp" else 4}
    grown = {name: after[name] - before[name] for name in ("Ip:InReceives", "Udp:InDatagrams")}
    assert grown["Udp:InDatagrams"] == got["clock"] + got["host"]
    # Nobody on this host is in the VLAN.
    assert grown["Ip:InReceives"] == sum(frame[12:14] == b"\x08\x00" for frame in left_alone)


def untagged(frame: bytes) -> bytes:
    """As a packet socket sees it: the kernel has taken the tag out."""
    return frame[:12] + frame[16:] if frame[12:14] == b"\x81\x00" else frame


CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], 9), timeout=10)
except ConnectionRefusedError:
    print("refused")
"""


@pytest.mark.root
def test_a_host_all_of_whose_udp_is_taken_still_answers_arp_and_tcp(
    rig: holder_rig.Rig, namespace_pair: namespaces.NamespacePair
) -> None:
    rig.ready_holder(Plan(join=0, select=model.UDP_ALL))
    borrower = rig.borrow(log := holder_rig.Log(rig.folder / "log"))
    left, right = namespace_pair.left, namespace_pair.right
    left.run("ip", "neigh", "flush", "dev", left.interface)
    assert left.run(sys.executable, "-c", CONNECT, right.address).stdout == "refused\n"
    borrower.finish()
    assert len(log) == 0


@pytest.mark.root
def test_what_is_selected_beside_the_flows_cannot_be_everything(rig: holder_rig.Rig) -> None:
    """Else ARP and IGMP would not reach the kernel."""
    assert "select" in rig.refused(Plan(select=model.ALL))


HOLDER_CAPABILITIES = ("net_admin", "net_raw", "bpf", "perfmon", "ipc_lock")


@pytest.mark.root
@pytest.mark.parametrize("mode", TAKING)
def test_the_verifier_takes_the_whole_program_from_a_holder_without_more_than_its_capabilities(
    mode: str, rig: holder_rig.Rig
) -> None:
    bounding = ",".join(["-all", *(f"+{name}" for name in HOLDER_CAPABILITIES)])
    plan = Plan(selection_frames.FLOWS, join=0, select=MODES[mode], capture_uid=0)
    holder = rig.holder(plan, prefix=("setpriv", f"--bounding-set={bounding}"))
    assert holder.stdout
    assert holder.stderr
    assert holder.stdout.readline() == "ready\n", holder.stderr.read()
