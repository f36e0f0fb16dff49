"""The frame decoder of native/columns/parse.c once more, in plain Python: slow, short, and the oracle of its tests."""

import socket
import struct
from dataclasses import dataclass
from ipaddress import ip_address

REBUILT_HEADER, FRAGMENT, BAD_CHECKSUM, UNPARSED = 1 << 2, 1 << 4, 1 << 5, 1 << 6
LINUX_SLL, LINUX_SLL2, RAW_IP = 1 << 8, 1 << 9, 1 << 10

LINK_HEADERS = {0: (14, 12), LINUX_SLL: (16, 14), LINUX_SLL2: (20, 0)}
"""By flag: bytes of the link's header, and where in it the type of what follows stands."""

TAGS = {0x8100, 0x88A8, 0x9100}
EXTENSIONS = {0: 8, 43: 8, 60: 8, 51: 4}  # unit of the length; 51 counts from two units, the others from one


@dataclass
class Decoded:
    """What the columns say of one frame."""

    header: bytes = b""
    payload: bytes = b""
    trailer: bytes = b""
    payload_len: int = 0
    flags: int = 0
    vlan: int | None = None
    src_ip: str | None = None
    dst_ip: str | None = None
    src_port: int | None = None
    dst_port: int | None = None


class NotParsed(Exception):
    """The frame is not UDP over IP, or not enough of it is there."""


def take(frame: bytes, at: int, count: int) -> bytes:
    if at + count > len(frame):
        raise NotParsed
    return frame[at : at + count]


def number(octets: bytes) -> int:
    return int.from_bytes(octets, "big")


def checksum_is_right(header: bytes) -> bool:
    total: int = sum(struct.unpack(f">{len(header) // 2}H", header))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total == 0xFFFF


def decode(frame: bytes, wire_length: int | None = None, record_flags: int = 0) -> Decoded:
    """Takes a captured frame apart.

    `wire_length` is more than its length when the capture was cut short; `record_flags` say what it begins with, and
    whether its headers were rebuilt.
    """
    wire = max(wire_length or 0, len(frame))
    out = Decoded()
    spans = _Spans(0)
    try:
        begin, end = _decode(frame, wire, record_flags, out, spans)
    except NotParsed:
        out.flags |= UNPARSED
        out.src_port = out.dst_port = None
        begin, end = spans.link, wire
    out.header, out.payload, out.trailer = frame[:begin], frame[begin:end], frame[end:]
    out.payload_len = end - begin
    return out


@dataclass
class _Spans:
    link: int


def _link(frame: bytes, record_flags: int, out: Decoded, spans: _Spans) -> int:
    """The type of what follows the link's header and its tags, which `spans` then covers."""
    if record_flags & RAW_IP:
        return {4: 0x0800, 6: 0x86DD}.get(take(frame, 0, 1)[0] >> 4, 0)
    size, type_at = LINK_HEADERS[record_flags & (LINUX_SLL | LINUX_SLL2)]
    spans.link = min(size, len(frame))
    ether_type = number(take(frame, 0, size)[type_at : type_at + 2])
    if ether_type == 0xD28B and not record_flags & (LINUX_SLL | LINUX_SLL2):
        version = take(frame, size, 4)
        if version[:2] == b"\0\1" and version[3] >> 4 in (1, 2):
            stamp = take(frame, size, 14 if version[3] >> 4 == 1 else 12)
            ether_type, spans.link = number(stamp[-2:]), size + len(stamp)
    for _ in range(2):
        if ether_type not in TAGS:
            break
        tag = take(frame, spans.link, 4)
        out.vlan = number(tag[:2]) & 0xFFF
        ether_type = number(tag[2:])
        spans.link += 4
    return ether_type


def _decode(frame: bytes, wire: int, record_flags: int, out: Decoded, spans: _Spans) -> tuple[int, int]:
    ether_type = _link(frame, record_flags, out, spans)
    if ether_type == 0x0800:
        begin, end, protocol, fragment = _ipv4(frame, wire, not record_flags & REBUILT_HEADER, out, spans.link)
    elif ether_type == 0x86DD:
        begin, end, protocol, fragment = _ipv6(frame, wire, out, spans.link)
    else:
        raise NotParsed
    if fragment is not None:
        out.flags |= FRAGMENT
    if protocol != 17:
        raise NotParsed
    datagram = frame[begin:end]
    if fragment is not None:
        if fragment == 0:
            out.src_port, out.dst_port = struct.unpack(">HH", take(datagram, 0, 8)[:4])
        return begin, end
    out.src_port, out.dst_port, length, _ = struct.unpack(">HHHH", take(datagram, 0, 8))
    if not 8 <= length <= end - begin:
        raise NotParsed
    return begin + 8, begin + length


def _ipv4(frame: bytes, wire: int, verify: bool, out: Decoded, base: int) -> tuple[int, int, int, int | None]:
    fixed = take(frame, base, 20)
    header_bytes = (fixed[0] & 15) * 4
    if fixed[0] >> 4 != 4 or header_bytes < 20:
        raise NotParsed
    header = take(frame, base, header_bytes)
    out.src_ip, out.dst_ip = str(ip_address(header[12:16])), str(ip_address(header[16:20]))
    if verify and not checksum_is_right(header):
        out.flags |= BAD_CHECKSUM
    total, bits = number(header[2:4]), number(header[6:8])
    fragment = (bits & 0x1FFF) * 8 if bits & 0x3FFF else None
    if fragment is not None:
        out.flags |= FRAGMENT
    if not header_bytes <= total <= wire - base:
        raise NotParsed
    return base + header_bytes, base + total, header[9], fragment


def _ipv6(frame: bytes, wire: int, out: Decoded, base: int) -> tuple[int, int, int, int | None]:
    header = take(frame, base, 40)
    if header[0] >> 4 != 6:
        raise NotParsed
    # Addresses as the socket library spells them: IPv4-mapped ones have dots.
    out.src_ip, out.dst_ip = _ipv6_text(header[8:24]), _ipv6_text(header[24:40])
    length, at, protocol = number(header[4:6]), base + 40, header[6]
    end = at + length
    if length == 0 or end > wire:
        raise NotParsed
    inside = frame[:end]
    for extensions in range(9):
        if protocol == 17:
            return at, end, protocol, None
        if extensions == 8:
            raise NotParsed
        extension = take(inside, at, 8)
        following = extension[0]
        if protocol == 44:
            at += 8
            bits = number(extension[2:4])
            if bits & 0xFFF9:
                if following != 17:
                    out.flags |= FRAGMENT
                    raise NotParsed
                return at, end, following, bits & 0xFFF8
        elif protocol in EXTENSIONS:
            unit = EXTENSIONS[protocol]
            size = (extension[1] + (2 if unit == 4 else 1)) * unit
            take(inside, at, size)
            at += size
        else:
            raise NotParsed
        protocol = following
    raise NotParsed


def _ipv6_text(raw: bytes) -> str:
    return socket.inet_ntop(socket.AF_INET6, raw)
