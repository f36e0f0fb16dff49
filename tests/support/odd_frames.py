"""The traffic of a bad day: tagged, double-tagged, IPv6, fragments, options, runts, other protocols, in order."""

from __future__ import annotations

import struct

import frames

GROUP, OTHER_GROUP, GROUP6 = "239.1.2.3", "239.9.9.9", "ff15::99"
PORT = 15000
Q, AD, OLD = 0x8100, 0x88A8, 0x9100
MORE = 0x2000
HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION, UDP = 0, 43, 44, 51, 60, 17


def traffic() -> list[bytes]:
    """All of them; each payload is its own, so that no two frames are the same."""
    made: list[bytes] = []
    for inner in (*_ipv4(), *_ipv6()):
        made.append(frames.ethernet(inner))
        made += [frames.ethernet(inner, *tags) for tags in _tags()]
    return [*made, *_stamped(), *_runts(), *_other_protocols()]


def _stamped() -> list[bytes]:
    """With what looks like an Arista 7280's header; of subtype 1 and forms 1 and 2 it is one."""
    plain = frames.ethernet(frames.ipv4(_udp(61), dst=GROUP))
    tagged = frames.ethernet(frames.ipv4(_udp(62), dst=GROUP), (AD, 7), (Q, 9))
    newer = frames.ethernet(frames.ipv6(_udp(63), dst=GROUP6))
    heads = [
        struct.pack(">HHH", 0xD28B, *head) for head in ((1, 0x10), (1, 0x120), (1, 0x30), (2, 0x10), (0x101, 0x20))
    ]
    made = [
        frame[:12] + head + bytes(6 if head[5] >> 4 == 2 else 8) + frame[12:]
        for frame in (plain, tagged, newer)
        for head in heads
    ]
    return [*made, made[0][:30], made[0][:27], made[1][:25], made[0][:17]]


def _tags() -> list[tuple[tuple[int, int], ...]]:
    return [
        ((Q, 7),),
        ((Q, 0xE007),),  # with a priority
        ((Q, 0),),  # in no VLAN
        ((AD, 7), (Q, 9)),
        ((Q, 7), (Q, 9)),
        ((OLD, 7), (Q, 9)),
        ((AD, 7), (Q, 8), (Q, 9)),  # one too many
    ]


def _udp(number: int, port: int = PORT) -> bytes:
    return frames.udp(b"payload %03d " % number + bytes(range(number % 40)), dst_port=port)


def _ipv4() -> list[bytes]:
    """To a flow, beside it, to another group, to a host; with all that an IPv4 header may have."""
    plain = [
        frames.ipv4(_udp(1), dst=GROUP),
        frames.ipv4(_udp(2, PORT + 1), dst=GROUP),
        frames.ipv4(_udp(3), dst=OTHER_GROUP),
        frames.ipv4(_udp(4), dst="10.211.0.77"),
        frames.ipv4(_udp(5), dst=GROUP, options=bytes([7, 7, 4, 0, 0, 0, 0, 0])),
        frames.ipv4(_udp(6), dst=GROUP, options=bytes(40)),
        frames.ipv4(_udp(7), dst=GROUP, fragment=MORE),
        frames.ipv4(b"the rest of it" * 4, dst=GROUP, fragment=3),
        frames.ipv4(b"of another one" * 4, dst=OTHER_GROUP, fragment=3),
        frames.ipv4(_udp(8), dst=GROUP, checksum_error=1),
        frames.ipv4(_udp(9), dst=GROUP) + b"\xd2\x8b a switch's trailer",
        frames.ipv4(frames.udp(b"a length that is a lie", dst_port=PORT, length=900), dst=GROUP),
        frames.ipv4(_udp(10, 319), dst="224.0.1.129"),  # PTP
    ]
    broken = frames.ipv4(_udp(11), dst=GROUP)
    return [*plain, b"\x43" + broken[1:], b"\x55" + broken[1:]]  # a header of 12 bytes; version 5


def _chain(*headers: int, number: int, offset: int = 0, port: int = PORT, dst: str = GROUP6) -> bytes:
    """IPv6 with these extension headers, of eight bytes each, before UDP."""
    inner, following = _udp(number, port), UDP
    for kind in reversed(headers):
        if kind == FRAGMENT:
            inner = struct.pack(">BBHI", following, 0, offset, 77) + inner
        elif kind == AUTHENTICATION:
            inner = struct.pack(">BBHIII", following, 2, 0, 1, 1, 0) + inner
        else:
            inner = bytes([following, 0, 1, 4, 0, 0, 0, 0]) + inner
        following = kind
    return frames.ipv6(inner, dst=dst, following=following)


def _ipv6() -> list[bytes]:
    return [
        _chain(number=20),
        _chain(number=21, port=PORT + 1),
        _chain(number=22, dst="ff15::1:1"),
        _chain(number=23, dst="2001:db8::7"),
        _chain(HOP_BY_HOP, number=24),
        _chain(HOP_BY_HOP, DESTINATION, number=25),
        _chain(ROUTING, number=26),
        _chain(AUTHENTICATION, number=27),
        _chain(FRAGMENT, number=28, offset=1),
        _chain(FRAGMENT, number=29, offset=80),
        _chain(HOP_BY_HOP, ROUTING, DESTINATION, DESTINATION, number=30),
    ]


def _runts() -> list[bytes]:
    """Cut short at every byte of the headers.

    Shorter than an Ethernet header is what no packet socket sends; and of a tagged frame the kernel drops what ends
    before the sixth byte behind that header, before any packet socket sees it.
    """
    plain, tagged, extended = (
        frames.ethernet(frames.ipv4(_udp(40), dst=GROUP)),
        frames.ethernet(frames.ipv4(_udp(41), dst=GROUP), (AD, 7), (Q, 9)),
        frames.ethernet(_chain(HOP_BY_HOP, number=42)),
    )
    least = {plain: 14, tagged: 20, extended: 14}
    return [frame[:length] for frame, first in least.items() for length in range(first, min(80, len(frame)))]


def _other_protocols() -> list[bytes]:
    return [
        frames.ethernet(bytes(28), kind=0x0806),  # ARP
        frames.ethernet(bytes(46), kind=0x88F7),  # PTP over Ethernet
        frames.ethernet(bytes(46), kind=0x88CC),  # LLDP
        frames.ethernet(frames.ipv4(bytes(8), dst="224.0.0.22", protocol=2)),  # IGMP
        frames.ethernet(frames.ipv4(bytes(20), dst="10.211.0.2", protocol=6)),  # TCP
    ]
