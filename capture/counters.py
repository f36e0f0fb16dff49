"""What a ring says about itself, copied out of shared memory: flows, sources with their counters, epochs.

Frozen facts of one moment. A counter that cannot be read on this machine is None, never 0.
"""

from dataclasses import asdict, dataclass
from socket import AF_INET, AF_INET6, inet_ntop
from typing import Any

from nanotape.native import ffi, lib

COUNT_UNKNOWN = 2**64 - 1

SOURCE_KINDS = {1: "synthetic", 2: "socket", 3: "afxdp", 4: "packet", 5: "pcap"}
MEMORY_KINDS = {0: "shm", 1: "huge_2m", 2: "huge_1g"}
CLOCK_DOMAINS = {0: "unknown", 1: "utc", 2: "tai", 3: "monotonic", 4: "free"}
STAMP_KINDS = {1: "nic", 2: "xdp", 3: "kernel", 4: "user", 5: "file"}
"""`enum nt_ts_kind`, and 1: 0 is not known."""
_WITHOUT_UTC = ("unknown", "free")
VLAN_NONE, VLAN_ANY = 0xFFFF, 0xFFFE
SECCOMP_MODES = {1: "count", 2: "kill"}
FAMILY_IPV6 = 6


def text(field: Any) -> str:
    """A C character array as text, up to its NUL."""
    return bytes(ffi.buffer(field)).split(b"\0", 1)[0].decode("utf-8", "replace")


def count(value: int) -> int | None:
    """A counter, None where it is unknown."""
    return None if value == COUNT_UNKNOWN else value


def as_json(fact: Any) -> dict[str, Any]:
    """A fact as what `json.dumps` takes."""
    return asdict(fact)


@dataclass(frozen=True, slots=True)
class Flow:
    """One entry of the ring's flow table: what a `flow_id` stands for."""

    id: int
    """From 1; never reused within a ring. 0 belongs to no flow."""
    feed: str
    channel: str
    line: str
    framing: str
    role: str
    interface: str
    group: str
    """Multicast address."""
    source: str | None
    """Source address; None: any."""
    port: int
    """UDP destination port."""
    vlan: int | str | None
    """Outermost 802.1Q id; "any": whatever tags; None: untagged."""


@dataclass(frozen=True, slots=True)
class SourceStats:
    """What lies before the loop, since the ring was made. None: this kind of source does not have it."""

    xdp_seen: int | None
    xdp_passed_unmatched: int | None
    xdp_passed_no_socket: int | None
    xdp_redirected: int | None
    xdp_unstamped: int | None
    rx_dropped: int | None
    """No free frame, or it did not fit."""
    rx_ring_full: int | None
    """The loop was too slow."""
    rx_fill_empty: int | None
    """Advisory: in copy mode each also counts in `rx_dropped`."""
    rx_invalid: int | None
    rx_occupancy: int | None
    """Descriptors that wait in the RX ring now."""
    socket_drops: int | None
    offered: int | None
    """synthetic: made; packet: passed the kernel's filter, drops included; pcap: read."""
    lost_with_holder: int | None
    """Were in the RX ring of a holder that died."""
    wakeups: int | None
    """System calls made to wake the driver."""
    updated_ns: int | None
    """UTC; None: never."""


@dataclass(frozen=True, slots=True)
class LoopCounters:
    """What the capture loop did with one source's packets, since the ring was made."""

    packets: int
    """Records put into the ring."""
    bytes: int
    oversize: int
    """Frames larger than the ring's largest record: not in the ring."""
    repeated: int
    """Seen again after a hand-over and left out: no loss."""
    unstamped: int
    backwards: int
    batches: int
    polls_busy: int
    polls_idle: int
    delay_max_ns: int
    last_packet_ns: int | None
    """UTC stamp of the newest record; None: there was none yet."""
    unselected: int
    """Judged by the source in the capture process, and left out: not selected."""
    other: int
    """In the ring, of no configured flow."""
    unparsed: int
    """Of these, those whose headers could not be read when they were selected."""
    bad_stamps: int
    """In the ring, with a stamp that cannot be right."""
    batch_histogram: tuple[int, ...]
    """Bucket b: batches of 2^b to 2^(b+1) - 1 packets, the last open-ended."""
    delay_histogram: tuple[int, ...]
    """Bucket 0: below 1 ns; bucket b: 2^(b-1) to 2^b - 1 ns; the last open-ended."""


@dataclass(frozen=True, slots=True)
class SourceCounters:
    """One source: an interface's queue, a set of sockets, a generator."""

    slot: int
    """The `source` column of its records."""
    name: str
    interface: str
    kind: str
    queue: int
    zero_copy: bool
    skb_mode: bool
    loop: LoopCounters
    stats: SourceStats
    stamp_kind: str | None = None
    """What stamped its newest packet, or will stamp the first, as `ts_kind`; None: not known."""
    stamp_domain: str = "unknown"
    """Clock of these stamps: `utc`, `tai`, `monotonic`, `free` (a counter that nobody set), `unknown`; of a NIC what
    was measured of it."""
    stamp_offset_ns: int | None = None
    """That clock minus UTC, as it is taken off now; None: no UTC can be made of it."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """One writer's time with the ring."""

    epoch: int
    first_seq: int
    """Ring sequence of the first record that this writer may publish."""
    attached_ns: int
    """UTC."""
    holder_id: int | None
    """Flow sequences restart with it; None: no holder."""
    writer_pid: int
    clock_domain: str
    tai_offset_ns: int


@dataclass(frozen=True, slots=True)
class SystemCalls:
    """What is known of system calls that the capture loop makes, and must not: each is a defect."""

    seccomp: str | None
    """What one is to the present loop, or was to the last: `count`, or `kill`: its end; None: nobody looks."""
    made: int | None
    """Since the ring was made, by loops that were counted; None: unknown."""
    last: str | None
    """Name of the newest; None: there was none, or none is known."""
    reason: str | None
    """Why nobody looks, where that is this host's doing; None: somebody does, or was not asked to, or the loop may
    make system calls as it is configured."""


@dataclass(frozen=True, slots=True)
class LoopGaps:
    """Times at which the loop came late to its sources, since the ring was made: it had no core, or one took long."""

    threshold_ns: int
    """From which on a round counts as late."""
    count: int
    longest_ns: int
    total_ns: int
    histogram: tuple[int, ...]
    """Bucket b: 2^(b-1) to 2^b - 1 ns; the last open-ended."""


def address_text(family: int, raw: bytes) -> str:
    """A group or source in the usual notation."""
    return inet_ntop(AF_INET6, raw[:16]) if family == FAMILY_IPV6 else inet_ntop(AF_INET, raw[:4])


def read_flow(flow: Any) -> Flow:
    """From a `struct nt_flow`."""
    source = bytes(ffi.buffer(flow.source))
    return Flow(
        id=flow.id,
        feed=text(flow.feed),
        channel=text(flow.channel),
        line=text(flow.line),
        framing=text(flow.framing),
        role=text(flow.role),
        interface=text(flow.interface),
        group=address_text(flow.family, bytes(ffi.buffer(flow.group))),
        source=address_text(flow.family, source) if any(source) else None,
        port=flow.port,
        vlan={VLAN_NONE: None, VLAN_ANY: "any"}.get(flow.vlan, flow.vlan),
    )


def read_source(ring: Any, slot: int) -> SourceCounters:
    """From the ring's table of sources; counters of the loop are read before those upstream of it."""
    entry = ffi.new("struct nt_source_counters *")
    if lib.nt_ring_source_read(ring, slot, entry) != 0:
        raise IndexError(f"source {slot}: the ring names no such source")
    loop, stats = entry.loop, entry.stats
    upstream = (name for name in SourceStats.__slots__ if name != "updated_ns")
    domain = CLOCK_DOMAINS.get(entry.stamp_domain, str(entry.stamp_domain))
    plain = (
        name for name in LoopCounters.__slots__ if name not in ("last_packet_ns", "batch_histogram", "delay_histogram")
    )
    return SourceCounters(
        slot=slot,
        name=text(entry.name),
        interface=text(entry.interface),
        kind=SOURCE_KINDS.get(entry.kind, str(entry.kind)),
        queue=entry.queue,
        zero_copy=bool(entry.zero_copy),
        skb_mode=bool(entry.skb_mode),
        loop=LoopCounters(
            **{name: getattr(loop, name) for name in plain},
            batch_histogram=tuple(loop.batch_histogram),
            delay_histogram=tuple(loop.delay_histogram),
            last_packet_ns=loop.last_packet_ns or None,
        ),
        stats=SourceStats(
            **{name: count(getattr(stats, name)) for name in upstream}, updated_ns=stats.updated_ns or None
        ),
        stamp_kind=STAMP_KINDS.get(entry.stamp_kind),
        stamp_domain=domain,
        stamp_offset_ns=None if domain in _WITHOUT_UTC else entry.stamp_offset_ns,
    )


def read_system_calls(descriptor: Any) -> SystemCalls:
    """From a `struct nt_ring_descriptor`."""
    seccomp = SECCOMP_MODES.get(descriptor.seccomp)
    made, last = descriptor.system_calls, descriptor.last_system_call
    return SystemCalls(
        seccomp=seccomp,
        made=made if made or seccomp == "count" else None,
        last=_system_call(last - 1) if last else None,
        reason=text(descriptor.seccomp_reason) or None,
    )


def read_gaps(descriptor: Any) -> LoopGaps | None:
    """From a `struct nt_ring_descriptor`; None: nobody measures, as in a loop that may sleep, or in an older ring."""
    threshold_ns = int(descriptor.gap_threshold_ns)
    if not threshold_ns:
        return None
    histogram = tuple(descriptor.gap_histogram)
    return LoopGaps(threshold_ns, sum(histogram), descriptor.gap_max_ns, descriptor.gaps_ns, histogram)


def _system_call(number: int) -> str:
    name = ffi.new("char[64]")
    lib.nt_system_call_name(number, name, len(name))
    return text(name)


def read_epoch(ring: Any, epoch: int) -> Epoch | None:
    """From the ring's history of writers; None when it no longer holds that one."""
    entry = ffi.new("struct nt_ring_epoch *")
    if lib.nt_ring_epoch_read(ring, epoch, entry) != 0:
        return None
    return Epoch(
        epoch=entry.epoch,
        first_seq=entry.first_seq,
        attached_ns=entry.attached_ns,
        holder_id=entry.holder_id or None,
        writer_pid=entry.writer_pid,
        clock_domain=CLOCK_DOMAINS.get(entry.clock_domain, str(entry.clock_domain)),
        tai_offset_ns=entry.tai_offset_ns,
    )
