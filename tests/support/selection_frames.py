"""Frames that put every question to the selection, and flows to which some belong; selection_model has the answers."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator, Sequence

import frames
from frames import ipv4, udp
from holder_rig import NO_VLAN, Flow
from selection_model import (
    ANY_VLAN,
    AUTHENTICATION,
    DESTINATION,
    EXTENSIONS,
    FRAGMENT,
    HOP_BY_HOP,
    ROUTING,
    UDP,
)

V4, V6 = "239.1.1.{}", "ff15::{}"
HOST = "10.211.0.2"
NAMED = "10.0.0.7"
FLOWS = (
    Flow(1, V4.format(1)),
    Flow(2, V4.format(1), vlan=7),
    Flow(3, V4.format(1), vlan=ANY_VLAN),
    Flow(4, V4.format(2)),
    Flow(5, V4.format(2), port=15001),
    Flow(6, V4.format(3), vlan=ANY_VLAN),
    Flow(7, V4.format(3), port=15001, vlan=7),
    Flow(8, V4.format(4), source=NAMED),
    Flow(9, V4.format(4)),
    Flow(10, V4.format(5), vlan=ANY_VLAN, source=NAMED),
    Flow(11, V4.format(5), port=15001, vlan=7),
    Flow(12, V4.format(6), port=319),
    Flow(13, HOST),
    Flow(14, V6.format(1)),
    Flow(15, V6.format(1), vlan=ANY_VLAN),
    Flow(16, V6.format(2), source="fe80::7"),
    Flow(17, V6.format(3), port=15001, vlan=7),
    Flow(18, V4.format(7), vlan=0),
)
PLAIN_FLOWS = (Flow(1, V4.format(1)), Flow(2, V4.format(2)), Flow(3, V6.format(1), port=15001, vlan=NO_VLAN))
"""Of these neither source nor VLAN is looked for."""

Q, AD, OLD = 0x8100, 0x88A8, 0x9100
TAGS: tuple[tuple[tuple[int, int], ...], ...] = (
    (),
    ((Q, 7),),
    ((Q, 0),),
    ((Q, 8),),
    ((AD, 0xE007),),
    ((OLD, 7),),
    ((AD, 7), (Q, 9)),
    ((Q, 7), (Q, 9)),
    ((OLD, 0), (AD, 7)),
    ((AD, 7), (Q, 8), (Q, 9)),
    ((Q, 7), (Q, 8), (Q, 9), (Q, 10)),
)
OTHER_TYPES = (0x0806, 0x88F7, 0x88CC, 0x8847, 0x0026, 0x0000, 0xFFFF)
"""ARP, PTP, LLDP, MPLS, the length of an LLC frame."""
PAYLOAD = b"payload!" * 3


def everything() -> list[bytes]:
    """All of them, each with its own source address in Ethernet as far as it has one."""
    made = [*_whole(), *_cut()]
    return [_numbered(frame, number) for number, frame in enumerate(made)]


def _numbered(frame: bytes, number: int) -> bytes:
    return (frame[:6] + struct.pack(">HI", 0x0200, number) + frame[12:])[: len(frame)]


def _whole() -> Iterator[bytes]:
    for (_, inner), tags in itertools.product(_datagrams(), TAGS):
        frame = frames.ethernet(inner, *tags)
        yield frame
        yield b"\x02" + frame[1:]  # to a host
    for kind, tags in itertools.product(OTHER_TYPES, TAGS):
        yield frames.ethernet(bytes(46), *tags, kind=kind)


def _cut() -> Iterator[bytes]:
    """Cut at every byte of the headers."""
    deep = [inner for cut, inner in _datagrams() if cut]
    for inner, tags in itertools.product(deep, (TAGS[0], TAGS[1], TAGS[6], TAGS[9])):
        frame = frames.ethernet(inner, *tags)
        yield from (frame[:length] for length in range(len(frame)))
    yield from (b"\x02" + frames.ethernet(deep[0])[1:length] for length in range(1, 50))
    yield from (frames.ethernet(bytes(46), *TAGS[6], kind=0x0806)[:length] for length in range(30))


def _datagrams() -> list[tuple[bool, bytes]]:
    """IP datagrams; True with those that are to be cut at every byte."""
    many = [(False, inner) for inner in (*_ipv4_flows(), *_ipv6_flows(), *_ipv4_broken(), *_other_protocols())]
    return [*many, *((True, inner) for inner in (*_ipv4_shapes(), *_ipv6_shapes())), *_long_chains()]


def _ipv4_flows() -> Iterator[bytes]:
    groups = [V4.format(last) for last in range(1, 8)] + ["239.9.9.9", "224.0.1.129", "223.1.1.1", "240.1.1.1"]
    groups += [HOST, "10.211.0.3", "255.255.255.255"]
    sources = ("10.0.0.1", NAMED, "0.0.0.0")
    for group, port, source in itertools.product(groups, (15000, 15001, 319, 320, 0), sources):
        yield ipv4(udp(PAYLOAD, dst_port=port), dst=group, src=source)
    for group, fragment, source in itertools.product(groups, (0x2000, 0x2001, 1, 0x1FFF, 0x4000, 0x8000), sources):
        yield ipv4(udp(PAYLOAD), dst=group, src=source, fragment=fragment)


def _ipv4_shapes() -> list[bytes]:
    """Each shape of headers once."""
    group = V4.format(1)
    return [
        ipv4(udp(PAYLOAD), dst=group),
        ipv4(udp(PAYLOAD), dst="239.9.9.9"),
        ipv4(udp(PAYLOAD), dst=group, options=bytes([7, 7, 4, 0, 0, 0, 0, 0])),
        ipv4(udp(PAYLOAD), dst=group, options=bytes(40)),
        ipv4(udp(PAYLOAD), dst=group, fragment=0x2000),
        ipv4(udp(PAYLOAD), dst=group, fragment=0x2001),
        ipv4(udp(PAYLOAD), dst=group, fragment=1, options=bytes(8)),
        ipv4(bytes(20), dst=HOST, protocol=6),
        ipv4(bytes(8), dst="224.0.0.22", protocol=2, options=bytes([0x94, 4, 0, 0])),  # IGMP
    ]


def _ipv4_broken() -> Iterator[bytes]:
    whole = ipv4(udp(PAYLOAD), dst=V4.format(1))
    igmp = ipv4(bytes(8), dst="224.0.0.22", protocol=2)
    for first in (0x40, 0x44, 0x35, 0x55, 0x65, 0x05, 0x4F):
        yield bytes([first]) + whole[1:]
        yield bytes([first]) + igmp[1:]
    yield ipv4(udp(PAYLOAD), dst=V4.format(1), checksum_error=1)
    yield ipv4(udp(PAYLOAD), dst=V4.format(1), total=9000)
    yield ipv4(udp(PAYLOAD, length=2), dst=V4.format(1))
    yield ipv4(b"", dst=V4.format(1))
    yield ipv4(b"", dst=V4.format(1), fragment=0x2000)


def _other_protocols() -> Iterator[bytes]:
    for protocol in (0, 1, 2, 4, 6, 41, 43, 44, 47, 50, 51, 58, 60, 89, 255):
        yield ipv4(bytes(40), dst="224.0.0.22", protocol=protocol)
        yield ipv4(bytes(40), dst=V4.format(1), protocol=protocol, fragment=1)
    for protocol in (4, 6, 41, 50, 58, 59, 89, 135, 139, 140, 255):
        yield frames.ipv6(bytes(40), dst="ff02::16", following=protocol)
        yield chain(HOP_BY_HOP, last=protocol)
        yield chain(FRAGMENT, last=protocol, bits=8)


def chain(
    *headers: int, last: int = UDP, bits: int = 0, units: int = 0, port: int = 15000, dst: str = V6.format(1)
) -> bytes:
    """IPv6 with extension headers of `units` units beyond the least; `bits` are the fragment header's."""
    inner, following = udp(PAYLOAD, dst_port=port), last
    for kind in reversed(headers):
        if kind == FRAGMENT:
            header = struct.pack(">BBHI", following, 0xFF, bits, 77)  # no length, whatever stands there
        elif kind == AUTHENTICATION:
            header = bytes([following, units + 1]) + bytes(10 + 4 * units)
        else:
            header = bytes([following, units]) + bytes(6 + 8 * units)
        inner, following = header + inner, kind
    return frames.ipv6(inner, dst=dst, following=following)


def _ipv6_flows() -> Iterator[bytes]:
    for group, port, source in itertools.product(
        (V6.format(1), V6.format(2), V6.format(3), "ff02::1", "fe00::1", "2001:db8::7"),
        (15000, 15001, 320, 0),
        ("fe80::1", "fe80::7", "::"),
    ):
        yield frames.ipv6(udp(PAYLOAD, dst_port=port), dst=group, src=source)
    for group, bits in itertools.product((V6.format(1), V6.format(2), V6.format(3), "fe80::9"), (0, 1, 6, 8, 0xFFF8)):
        yield chain(FRAGMENT, bits=bits, dst=group)


def _ipv6_shapes() -> list[bytes]:
    """Each extension header alone, some of them together, fragments."""
    alone = [chain(kind, units=units) for kind, units in itertools.product(EXTENSIONS, (0, 2))]
    together = [
        chain(HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION, units=1),
        chain(AUTHENTICATION, AUTHENTICATION, HOP_BY_HOP),
        chain(DESTINATION, FRAGMENT, bits=8),
        chain(DESTINATION, FRAGMENT, bits=1),
        chain(FRAGMENT, DESTINATION, bits=8),
        chain(FRAGMENT, DESTINATION, bits=1),
        chain(HOP_BY_HOP, last=58, dst="ff02::16"),  # MLD
    ]
    broken = bytes([0x40]) + frames.ipv6(udp(PAYLOAD), dst=V6.format(1))[1:]
    return [frames.ipv6(udp(PAYLOAD), dst=V6.format(1)), broken, *alone, *together]


def _long_chains() -> list[tuple[bool, bytes]]:
    """Seven to ten extension headers."""
    made = []
    for count, kind in itertools.product((7, 8, 9, 10), (DESTINATION, AUTHENTICATION, FRAGMENT)):
        made += [(False, chain(*[kind] * count)), (False, chain(*[kind] * count, last=6))]
        made.append((False, chain(*[DESTINATION] * (count - 1), FRAGMENT, bits=8)))
        made.append((False, chain(*[DESTINATION] * (count - 1), FRAGMENT, bits=1)))
    return [*made, (False, chain(*[DESTINATION] * 8, units=20)), (False, chain(HOP_BY_HOP, units=255)[:1300])]


def packed(flows: Sequence[Flow], interface: str) -> bytes:
    """The flows as an array of struct nt_flow."""
    return b"".join(flow.pack(interface) for flow in flows)
