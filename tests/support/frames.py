"""Frames for tests, put together by hand: links, tags, IPv4 with options and fragments, IPv6 with extensions, UDP."""

import struct
from ipaddress import ip_address

ETHERNET = bytes.fromhex("01005e010203") + bytes.fromhex("020000000001")


def udp(payload: bytes, src_port: int = 12345, dst_port: int = 15000, length: int | None = None) -> bytes:
    """A UDP datagram; `length` other than its own to tell a lie."""
    return struct.pack(">HHHH", src_port, dst_port, 8 + len(payload) if length is None else length, 0) + payload


def ipv4(
    inner: bytes,
    src: str = "10.0.0.1",
    dst: str = "239.1.2.3",
    protocol: int = 17,
    fragment: int = 0,
    options: bytes = b"",
    total: int | None = None,
    checksum_error: int = 0,
) -> bytes:
    """An IPv4 datagram; `fragment` is the whole 16-bit word of flags and offset."""
    size = 20 + len(options)
    total = size + len(inner) if total is None else total
    start = struct.pack(">BBHHHBB", 0x40 | size // 4, 0, total, 1, fragment, 16, protocol)
    end = ip_address(src).packed + ip_address(dst).packed + options
    words = struct.unpack(f">{size // 2}H", start + b"\0\0" + end)
    checksum = sum(words)
    while checksum > 0xFFFF:
        checksum = (checksum & 0xFFFF) + (checksum >> 16)
    return start + struct.pack(">H", (~checksum + checksum_error) & 0xFFFF) + end + inner


def ipv6(inner: bytes, src: str = "fe80::1", dst: str = "ff15::99", following: int = 17) -> bytes:
    """An IPv6 datagram; `following` is the protocol of what `inner` begins with."""
    return (
        struct.pack(">IHBB", 6 << 28, len(inner), following, 16)
        + ip_address(src).packed
        + ip_address(dst).packed
        + inner
    )


def ethernet(inner: bytes, *tags: tuple[int, int], kind: int | None = None) -> bytes:
    """A frame; `tags` are (type, VLAN id), outermost first; the kind follows from the first digit of `inner`."""
    if kind is None:
        kind = 0x0800 if inner[0] >> 4 == 4 else 0x86DD
    return ETHERNET + b"".join(struct.pack(">HH", *tag) for tag in tags) + struct.pack(">H", kind) + inner


def linux_sll(frame: bytes) -> bytes:
    """An Ethernet frame as a Linux cooked capture shows it: its type and the rest, behind 14 other bytes."""
    return struct.pack(">HHH8s", 2, 1, 6, frame[6:12]) + frame[12:]


def linux_sll2(frame: bytes) -> bytes:
    """The same, version 2: the type stands first."""
    return frame[12:14] + struct.pack(">HIHBB8s", 0, 3, 1, 2, 6, frame[6:12]) + frame[14:]


def raw_ip(frame: bytes) -> bytes:
    """The same, without a header of the link; the frame has no tags."""
    return frame[14:]


def market_data(payload: bytes, dst_port: int = 15000) -> bytes:
    """The ordinary frame: IPv4, UDP."""
    return ethernet(ipv4(udp(payload, dst_port=dst_port)))
