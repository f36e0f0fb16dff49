"""Reads and writes capture files, for tests only: pcap in either byte order, micro- and nanoseconds; writes pcapng."""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ETHERNET, LINUX_SLL, LINUX_SLL2, RAW_IP = 1, 113, 276, 101

LINK_FLAGS = {ETHERNET: 0, LINUX_SLL: 1 << 8, LINUX_SLL2: 1 << 9, RAW_IP: 1 << 10, 228: 1 << 10, 229: 1 << 10}
"""The flag of a record that says what a frame of this link type begins with."""

MICRO, NANO = 0xA1B2C3D4, 0xA1B23C4D

_UNITS_NS = {MICRO: 1000, NANO: 1}


@dataclass(frozen=True)
class CapturedFrame:
    """One packet of a file."""

    frame: bytes
    wire_length: int
    ts_ns: int
    """Seconds and fraction, added up: a fraction of more than a second counts for what it says."""
    bad_stamp: bool = False
    """The fraction is a second or more."""


@dataclass(frozen=True)
class PcapFile:
    """All packets of a file."""

    link_type: int
    frames: tuple[CapturedFrame, ...]


def read_pcap(path: Path) -> PcapFile:
    """Reads a whole file."""
    data = path.read_bytes()
    order = next(order for order in "<>" if struct.unpack_from(f"{order}I", data)[0] in _UNITS_NS)
    unit_ns = _UNITS_NS[struct.unpack_from(f"{order}I", data)[0]]
    link_type = struct.unpack_from(f"{order}I", data, 20)[0] & 0xFFFF
    frames = []
    at = 24
    while at < len(data):
        seconds, fraction, captured, wire = struct.unpack_from(f"{order}IIII", data, at)
        at += 16
        ts_ns = seconds * 10**9 + fraction * unit_ns
        frames.append(CapturedFrame(data[at : at + captured], wire, ts_ns, fraction * unit_ns >= 10**9))
        at += captured
    return PcapFile(link_type, tuple(frames))


def pcap_bytes(
    frames: Iterable[CapturedFrame], link_type: int = ETHERNET, magic: int = NANO, order: str = "<"
) -> bytes:
    """A pcap file."""
    parts = [struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 1 << 18, link_type)]
    for captured in frames:
        seconds, fraction_ns = divmod(captured.ts_ns, 10**9)
        lengths = len(captured.frame), captured.wire_length
        parts.append(struct.pack(f"{order}IIII", seconds, fraction_ns // _UNITS_NS[magic], *lengths))
        parts.append(captured.frame)
    return b"".join(parts)


def write_pcap(path: Path, frames: Iterable[CapturedFrame], link_type: int = ETHERNET) -> None:
    """Writes a capture with nanoseconds."""
    path.write_bytes(pcap_bytes(frames, link_type))


def pcapng_bytes(
    frames: Iterable[tuple[int, CapturedFrame]], link_types: Iterable[int] = (ETHERNET,), order: str = "<"
) -> bytes:
    """A pcapng file with nanoseconds: packets with the interfaces, from 0, that they arrived on."""
    parts = [_block(order, 0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1))]
    for link_type in link_types:
        resolution = struct.pack(f"{order}HHB3xHH", 9, 1, 9, 0, 0)
        parts.append(_block(order, 1, struct.pack(f"{order}HHI", link_type, 0, 0) + resolution))
    for interface, captured in frames:
        high, low = divmod(captured.ts_ns, 1 << 32)
        lengths = len(captured.frame), captured.wire_length
        parts.append(_block(order, 6, struct.pack(f"{order}IIIII", interface, high, low, *lengths) + captured.frame))
    return b"".join(parts)


def _block(order: str, kind: int, body: bytes) -> bytes:
    padded = body.ljust((len(body) + 3) & ~3, b"\0")
    total = struct.pack(f"{order}I", len(padded) + 12)
    return struct.pack(f"{order}I", kind) + total + padded + total


def ethernet_captures(folder: Path) -> list[Path]:
    """The Ethernet captures below a folder."""
    return [path for path in sorted(folder.rglob("*.pcap")) if read_pcap(path).link_type == ETHERNET]
