"""The plan: a checked configuration in the binary layout that holder and capture process read (native/plan/plan.h).

Flow ids come from the ring's own table where the ring exists, so that an id never changes its meaning within a ring.
"""

import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from nanotape.capture.accounts import Accounts
from nanotape.capture.counters import CLOCK_DOMAINS, FAMILY_IPV6, SOURCE_KINDS, VLAN_ANY, VLAN_NONE
from nanotape.capture.errors import NothingToCapture, PlaceUnusable, RingError
from nanotape.capture.places import Places
from nanotape.capture.readers import status_path
from nanotape.capture.ring import Ring
from nanotape.config import Flow, Settings, flows, interfaces
from nanotape.native import ffi, lib

FAMILY_IPV4 = 4
_TRI_STATES = {"off": 0, "prefer": 1, "require": 2}
_JOINS = {"none": 0, "igmp": 1}
_SELECTIONS = {"channels": 0, "multicast": 1, "udp": 2, "all": 3}
_SECCOMP = {"off": 0, "count": 1, "kill": 2}
_VLANS: dict[int | str | None, int] = {None: VLAN_NONE, "any": VLAN_ANY}
_KINDS = {name: number for number, name in SOURCE_KINDS.items()}
_DOMAINS = {name: number for number, name in CLOCK_DOMAINS.items()}
_OFFSET_OF_KERNEL = -1


@dataclass(frozen=True, slots=True)
class NicClock:
    """What was measured of the clock by which a NIC stamps packets."""

    domain: Literal["utc", "tai", "free", "unknown"] = "unknown"
    """`free`: a counter that nobody set; of it and of `unknown` no UTC is made."""
    tai_offset_s: int | None = None
    """Of one in `tai`: TAI minus UTC, as PTP says; None: the kernel's, at the moment of each poll."""


def write_plan(
    settings: Settings,
    where: Places,
    owners: Accounts,
    *,
    records: bool,
    nic_clocks: Mapping[str, NicClock] = MappingProxyType({}),
) -> list[str]:
    """Writes the plan file, whole or not at all.

    Args:
        settings: The configuration.
        where: Paths; `where.plan` is replaced.
        owners: Who may borrow from the holder, and the readers' group.
        records: Whether there is a recorder, for which a file can wait.
        nic_clocks: By interface; of others nothing is known.

    Returns:
        The interfaces that are captured, in order.

    Raises:
        PlaceUnusable: The file cannot be written.
        NothingToCapture: No channel is configured, nothing else is selected, and the source makes nothing of its own.
    """
    planned, captured = flows(settings), interfaces(settings)
    if not captured:
        raise NothingToCapture(
            f"{settings.source.kind}: expected at least one [[channel]] with a [[channel.line]] to capture, "
            "found none; add one (config/examples has some), or set source.select to take more than channels"
        )
    header = _header(settings, where, owners, len(captured), len(planned))
    sources = ffi.new("struct nt_plan_source[]", len(captured))
    for entry, interface in zip(sources, captured, strict=True):
        _fill_source(entry, settings, interface, nic_clocks.get(interface, NicClock()))
        if records and settings.source.effective_kind == "pcap":
            readers = where.folder.parent, settings.ring.name, settings.recorder.name
            _text(entry.follow, str(status_path(*readers)))
    entries = ffi.new("struct nt_flow[]", len(planned))
    for index, (flow, number) in enumerate(zip(planned, flow_ids(planned, _known_flows(settings, where)), strict=True)):
        _fill_flow(entries[index], flow, number)
    parts = [bytes(ffi.buffer(part)) for part in (header, sources, entries)]
    write_owned(where.plan, b"".join(parts), owners)
    return captured


def write_owned(path: Path, content: bytes, owners: Accounts) -> None:
    """Replaces a file of the run directory, whole or not at all; the ring's group may read it.

    Raises:
        PlaceUnusable: It cannot be written.
    """
    draft = path.with_name(path.name + ".new")
    try:
        draft.unlink(missing_ok=True)
        # Exclusively, following no link: root writes this.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(draft, flags, 0o640), "wb") as file:
            file.write(content)
            if owners.switches:
                os.fchown(file.fileno(), 0, owners.ring_gid)
            os.fchmod(file.fileno(), 0o640)
        draft.replace(path)
    except OSError as error:
        raise PlaceUnusable(f"{path}: cannot be written: {error.strerror}; check paths.run_dir") from None


def flow_ids(planned: Sequence[Flow], known: Sequence[Any]) -> list[int]:
    """An id for each flow: that of the same flow in the ring's table, else the next that was never used.

    Args:
        planned: Flows of the configuration.
        known: Flows of the ring's table (`nanotape.capture.counters.Flow`), in order.
    """
    taken = {_identity(flow): flow.id for flow in known}
    following = max(taken.values(), default=0) + 1
    ids = []
    for flow in planned:
        identity = _identity(flow)
        if identity not in taken:
            taken[identity] = following
            following += 1
        ids.append(taken[identity])
    return ids


def _identity(flow: Any) -> tuple[Any, ...]:
    """All that a flow says: one that differs in any name is another flow."""
    where = (flow.interface, flow.vlan, flow.group, flow.port, flow.source)
    return (*where, flow.feed or "", flow.channel, flow.line, flow.framing or "", flow.role)


def _known_flows(settings: Settings, where: Places) -> Sequence[Any]:
    try:
        with Ring.open(settings.ring.name, where.shm) as ring:
            return ring.flows()
    except RingError:
        return ()  # not there yet; or of another layout, which the capture process refuses and says why


def _header(settings: Settings, where: Places, owners: Accounts, sources: int, flow_count: int) -> Any:
    header = ffi.new("struct nt_plan_header *")
    header.magic, header.version = lib.NT_PLAN_MAGIC, lib.NT_PLAN_VERSION
    header.source_count, header.flow_count = sources, flow_count
    loop = settings.loop
    header.core = -1 if loop.core is None else loop.core
    header.realtime = loop.realtime
    header.idle = lib.NT_IDLE_SPIN if loop.spins else lib.NT_IDLE_SLEEP
    header.seccomp = _SECCOMP[loop.seccomp]
    header.batch, header.prefetch = loop.batch, loop.prefetch
    header.stamp_bound_ns = settings.clock.stamp_bound
    header.capture_uid, header.ring_gid = owners.capture_uid, owners.ring_gid
    if settings.source.effective_kind in ("afxdp", "packet"):
        _text(header.holder_socket, str(where.holder_socket))
    ring = header.ring
    _text(ring.name, settings.ring.name)
    _text(ring.shm_directory, str(where.shm))
    _text(ring.hugepage_directory, str(where.hugepages or ""))
    ring.capacity = settings.ring.capacity_bytes
    ring.hugepages = _TRI_STATES[settings.ring.hugepages]
    ring.page_bytes_log2 = settings.ring.page_bytes_log2
    ring.group = owners.ring_gid
    ring.lock_memory = 1
    return header


def _fill_source(entry: Any, settings: Settings, interface: str, nic: NicClock) -> None:
    source = settings.source
    entry.kind = _KINDS[source.effective_kind]
    _text(entry.interface, interface)
    entry.join = _JOINS[source.join]
    entry.native_xdp = _TRI_STATES[source.native_xdp]
    entry.zero_copy = _TRI_STATES[source.zerocopy]
    entry.descriptors = source.descriptors
    entry.frame_bytes = source.frame_size
    entry.umem_hugepages = _TRI_STATES[source.umem_hugepages]
    entry.receive_buffer_bytes = source.receive_buffer
    entry.synthetic_frame_bytes = source.synthetic_frame_size
    entry.synthetic_count = source.synthetic_count
    entry.synthetic_rate_pps = source.synthetic_rate
    entry.select = _SELECTIONS[source.selection]
    entry.promiscuous = source.promiscuous
    entry.steal = source.delivery == "steal"
    entry.fanout = source.fanout
    entry.pace_ppm = source.speed
    entry.nic_domain = _DOMAINS[nic.domain]
    entry.nic_tai_offset_s = _OFFSET_OF_KERNEL if nic.tai_offset_s is None else nic.tai_offset_s
    _text(entry.file, source.file or "")


def _fill_flow(entry: Any, flow: Flow, number: int) -> None:
    entry.id = number
    entry.family, group = _address(flow.group)
    ffi.memmove(entry.group, group, len(group))
    if flow.source:
        source = _address(flow.source)[1]
        ffi.memmove(entry.source, source, len(source))
    entry.port = flow.port
    entry.vlan = _VLANS.get(flow.vlan, flow.vlan)
    for name in ("interface", "feed", "channel", "line", "framing", "role"):
        _text(getattr(entry, name), getattr(flow, name) or "")


def _address(text: str) -> tuple[int, bytes]:
    if ":" in text:
        return FAMILY_IPV6, socket.inet_pton(socket.AF_INET6, text)
    return FAMILY_IPV4, socket.inet_pton(socket.AF_INET, text)


def _text(field: Any, value: str) -> None:
    """Into a C character array that keeps room for its NUL; lengths were checked by the configuration."""
    raw = value.encode()
    if len(raw) >= ffi.sizeof(field):
        raise PlaceUnusable(f"{value}: expected at most {ffi.sizeof(field) - 1} bytes; choose a shorter one")
    ffi.memmove(field, raw, len(raw))
