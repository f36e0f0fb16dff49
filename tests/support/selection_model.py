"""The selection (native/xdp/classify.h, judge.h) once more, in Python: oracle of the XDP program and the C selector."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Protocol

CHANNELS, MULTICAST, UDP_ALL, ALL = range(4)
"""enum nt_select"""
ETHERNET, LINUX_SLL, LINUX_SLL2, RAW_IP = range(4)
"""enum nt_link"""
NO_VLAN, ANY_VLAN, OTHER = 0xFFFF, 0xFFFE, 0

LINK_HEADERS = {ETHERNET: (14, 12), LINUX_SLL: (16, 14), LINUX_SLL2: (20, 0)}
"""How long it is, and where in it the type of what follows stands."""
TAGS = (0x8100, 0x88A8, 0x9100)
ARISTA = 0xD28B
"""A stamp of an Arista 7280 stands behind it, then the frame's own type."""
HOP_BY_HOP, UDP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION = 0, 17, 43, 44, 51, 60
EXTENSIONS = (HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION)
PTP_PORTS = (319, 320)

Address = IPv4Address | IPv6Address


class Foreign(Exception):
    """Raised for what is certainly not UDP over IP."""


class Unparsed(Exception):
    """Raised for what claims to be UDP over IP, or tagged, and cannot be read."""


@dataclasses.dataclass(frozen=True, slots=True)
class Packet:
    """A UDP packet; a later fragment has no port."""

    vlan: int
    source: Address
    group: Address
    port: int | None


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """Of a selected frame."""

    flow_id: int
    unparsed: bool = False


class Flow(Protocol):
    """What a flow of the plan says; `source` None is any."""

    @property
    def id(self) -> int: ...
    @property
    def group(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def vlan(self) -> int: ...
    @property
    def source(self) -> str | None: ...


def judge(frame: bytes, flows: Sequence[Flow], select: int = CHANNELS, link: int = ETHERNET) -> Verdict | None:
    """Whose the frame is, or None where it is not selected."""
    try:
        packet = read(frame, link)
    except Foreign:
        return Verdict(OTHER) if select == ALL else None
    except Unparsed:
        return _judge_unparsed(frame, select, link)
    flow_id = _flow_of(packet, flows)
    if flow_id is not None:
        return Verdict(flow_id)
    if select == ALL:
        return Verdict(OTHER)
    wanted = select == UDP_ALL or (select == MULTICAST and packet.group.is_multicast)
    return Verdict(OTHER) if wanted and packet.port not in PTP_PORTS else None


def _judge_unparsed(frame: bytes, select: int, link: int) -> Verdict | None:
    to_group = link != ETHERNET or bool(frame and frame[0] & 1)
    return Verdict(OTHER, unparsed=True) if select >= UDP_ALL or (select == MULTICAST and to_group) else None


def _flow_of(packet: Packet, flows: Sequence[Flow]) -> int | None:
    """The flow of the port: exact VLAN before any, then named source before any; a fragment's only one, else other."""
    fits = [flow for flow in flows if _fits(packet, flow)]
    if packet.port is None:
        return None if not fits else fits[0].id if len(fits) == 1 else OTHER
    fits = [flow for flow in fits if packet.port == flow.port]
    return min(fits, key=lambda flow: (flow.vlan == ANY_VLAN, flow.source is None)).id if fits else None


def _fits(packet: Packet, flow: Flow) -> bool:
    return (
        packet.group == ip_address(flow.group)
        and (flow.source is None or packet.source == ip_address(flow.source))
        and (flow.vlan == ANY_VLAN or packet.vlan == (flow.vlan or NO_VLAN))
    )


def read(frame: bytes, link: int = ETHERNET) -> Packet:
    """Takes the headers apart, or raises Foreign or Unparsed."""
    if link == RAW_IP:
        version = _take(frame, 0, 1)[0] >> 4
        if version not in (4, 6):
            raise Unparsed
        return _ipv4(frame, 0, NO_VLAN) if version == 4 else _ipv6(frame, 0, NO_VLAN)
    at, type_at = LINK_HEADERS[link]
    kind, vlan, tags = _number(_take(frame, 0, at)[type_at : type_at + 2]), NO_VLAN, 0
    if link == ETHERNET and kind == ARISTA:
        version = _take(frame, at, 4)
        if version[:2] == b"\0\1" and version[3] >> 4 in (1, 2):
            stamp = _take(frame, at, 14 if version[3] >> 4 == 1 else 12)
            kind, at = _number(stamp[-2:]), at + len(stamp)
    while kind in TAGS:
        if tags == 2:
            raise Unparsed
        tag = _take(frame, at, 4)
        if vlan == NO_VLAN:
            vlan = _number(tag[:2]) & 0xFFF or NO_VLAN  # 0 is a priority, no VLAN
        kind, at, tags = _number(tag[2:]), at + 4, tags + 1
    if kind == 0x0800:
        return _ipv4(frame, at, vlan)
    if kind == 0x86DD:
        return _ipv6(frame, at, vlan)
    raise Foreign


def _ipv4(frame: bytes, at: int, vlan: int) -> Packet:
    header = _take(frame, at, 20)
    length = (header[0] & 15) * 4
    if header[0] >> 4 != 4 or length < 20:
        raise Unparsed
    if header[9] != UDP:
        raise Foreign
    _take(frame, at, length)
    later = _number(header[6:8]) & 0x1FFF
    port = None if later else _port(frame, at + length)
    return Packet(vlan, ip_address(header[12:16]), ip_address(header[16:20]), port)


def _ipv6(frame: bytes, at: int, vlan: int) -> Packet:
    header = _take(frame, at, 40)
    if header[0] >> 4 != 6:
        raise Unparsed
    kind, at = header[6], at + 40
    source, group = ip_address(header[8:24]), ip_address(header[24:40])
    for extensions in itertools.count():
        if kind == UDP:
            return Packet(vlan, source, group, _port(frame, at))
        if kind not in EXTENSIONS:
            raise Foreign
        if extensions == 8:
            raise Unparsed
        extension = _take(frame, at, 8)
        if kind == FRAGMENT and _number(extension[2:4]) & 0xFFF8:
            if extension[0] == UDP:
                return Packet(vlan, source, group, None)
            raise Unparsed if extension[0] in EXTENSIONS else Foreign
        at += _extension_bytes(kind, extension[1])
        kind = extension[0]
    raise AssertionError


def _extension_bytes(kind: int, length: int) -> int:
    if kind == FRAGMENT:
        return 8
    return (length + 2) * 4 if kind == AUTHENTICATION else (length + 1) * 8


def _port(frame: bytes, at: int) -> int:
    return _number(_take(frame, at, 8)[2:4])


def _take(frame: bytes, at: int, count: int) -> bytes:
    if at + count > len(frame):
        raise Unparsed
    return frame[at : at + count]


def _number(octets: bytes) -> int:
    return int.from_bytes(octets, "big")


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Target:
    """Where a UDP packet goes; a later fragment has port 0."""

    group: str
    port: int
    vlan: int | None


def target_of(frame: bytes) -> Target | None:
    """Where the frame goes, or None where no flow can have it."""
    try:
        packet = read(frame)
    except (Foreign, Unparsed):
        return None
    vlan = None if packet.vlan == NO_VLAN else packet.vlan
    return None if packet.port == 0 else Target(str(packet.group), packet.port or 0, vlan)


def multicast_targets(frames: Iterable[bytes]) -> list[Target]:
    """The multicast groups, ports and VLANs that a configuration of these frames names, in order."""
    found = {target for target in map(target_of, frames) if target is not None and target.port}
    return sorted(target for target in found if ip_address(target.group).is_multicast)


def is_selected(frame: bytes, flows: Iterable[Target]) -> bool:
    """Whether the frame belongs to one of the flows; a later fragment to any of its group and VLAN."""
    target = target_of(frame)
    if target is None:
        return False
    if target.port:
        return target in flows
    return any((flow.group, flow.vlan) == (target.group, target.vlan) for flow in flows)
