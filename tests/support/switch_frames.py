"""Frames as switches would send them on, put together by hand from the layouts of FEEDS.md."""

from __future__ import annotations

import struct
import zlib

from frames import ethernet, ipv4, market_data

S = 10**9
TS = 1_700_000_000_123_456_789
"""As `ring_batch` stamps rows."""
BASE = market_data(b"x" * 100)


def with_fcs(frame: bytes) -> bytes:
    """The frame as a NIC delivers it that keeps the FCS."""
    return frame + struct.pack("<I", zlib.crc32(frame))


def extension(tag: int, data: int, words: int = 0, last: bool = False) -> bytes:
    """The header word of an Arista 7130 extension; its further words stand before it."""
    return struct.pack(">I", data << 8 | words << 6 | last << 5 | tag)


def metamako(seconds: int, ns: int, extensions: bytes = b"", device: int = 1, port: int = 2, flags: int = 1) -> bytes:
    """The trailer of an Arista 7130, or without extensions of a cPacket."""
    flags |= 2 if extensions else 0
    return b"ofcs" + extensions + struct.pack(">IIBHB", seconds, ns, flags, device, port)


def hpt(seconds: int, fraction: int, device: int = 3, port: int = 4) -> bytes:
    """The trailer of a Nexus 3550-F; the fraction in 2^-40 s."""
    return b"ofcs" + struct.pack(">BBI", device, port, seconds) + fraction.to_bytes(5, "big") + b"\0"


def ixia(seconds: int, ns: int, kind: int = 6) -> bytes:
    """The trailer of an Ixia packet broker."""
    return struct.pack(">BBIIBHH", kind, 8, seconds, ns, 10, 0xAF12, 0xBEEF)


def switch_header(frame: bytes, version: int, seconds: int, ns: int) -> bytes:
    """The frame with an Arista 7280's header behind its source address."""
    wide = version >> 4 & 15 == 1
    stamp = struct.pack(">II", seconds, ns) if wide else struct.pack(">HI", seconds & 0xFFFF, ns)
    return frame[:12] + struct.pack(">HHH", 0xD28B, 1, version) + stamp + frame[12:]


def exalink_keyframe(
    utc_ns: int, counter: int, hz: int = 350_000_000, by_ip: bool = False, head: bytes = b"EXKF\1"
) -> bytes:
    """What an ExaLINK Fusion sends each second; its older firmware begins it with the number 1."""
    content = head.ljust(8, b"\0") + struct.pack(">QQQQ", utc_ns, counter, hz, counter)
    if by_ip:
        return ethernet(ipv4(content, src="0.0.0.0", dst="255.255.255.255", protocol=253))
    return ethernet(content.ljust(64, b"\0"), kind=0x88B5)


def arista_keyframe(utc_ns: int, counter: int, device: int = 1, skew: bool = True) -> bytes:
    """What an Arista 7150 sends, of 62 bytes, or of 46 without the skew."""
    content = struct.pack(">QQQ", counter, utc_ns, counter)
    content += struct.pack(">QQ", 1, 1) if skew else b""
    content += struct.pack(">QQHHBB", counter + 7, 0, device, 5, 1, 0)
    return ethernet(ipv4(content, dst="255.255.255.255", protocol=253))


def arista_tick(ticks: int) -> bytes:
    """31 bits of a counter as an Arista 7150 writes them: bit 7 is not one of them."""
    ticks &= 0x7FFFFFFF
    return struct.pack(">I", (ticks & 0x7FFFFF80) << 1 | ticks & 0x7F)
