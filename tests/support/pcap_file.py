"""Reads and writes pcap files, for tests only: the classic format, either byte order, micro- and nanoseconds."""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ETHERNET = 1

_MAGICS = {0xA1B2C3D4: 1000, 0xA1B23C4D: 1}


@dataclass(frozen=True)
class CapturedFrame:
    """One packet of a file."""

    frame: bytes
    wire_length: int
    ts_ns: int


@dataclass(frozen=True)
class PcapFile:
    """All packets of a file."""

    link_type: int
    frames: tuple[CapturedFrame, ...]


def read_pcap(path: Path) -> PcapFile:
    """Reads a whole file."""
    data = path.read_bytes()
    order = next(order for order in "<>" if struct.unpack_from(f"{order}I", data)[0] in _MAGICS)
    nanoseconds = _MAGICS[struct.unpack_from(f"{order}I", data)[0]]
    link_type = struct.unpack_from(f"{order}I", data, 20)[0] & 0xFFFF
    frames = []
    at = 24
    while at < len(data):
        seconds, fraction, captured, wire = struct.unpack_from(f"{order}IIII", data, at)
        at += 16
        frames.append(CapturedFrame(data[at : at + captured], wire, seconds * 10**9 + fraction * nanoseconds))
        at += captured
    return PcapFile(link_type, tuple(frames))


def write_pcap(path: Path, frames: Iterable[CapturedFrame]) -> None:
    """Writes an Ethernet capture with nanoseconds."""
    parts = [struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 1 << 18, ETHERNET)]
    for captured in frames:
        seconds, nanoseconds = divmod(captured.ts_ns, 10**9)
        parts.append(struct.pack("<IIII", seconds, nanoseconds, len(captured.frame), captured.wire_length))
        parts.append(captured.frame)
    path.write_bytes(b"".join(parts))


def ethernet_captures(folder: Path) -> list[Path]:
    """The Ethernet captures below a folder."""
    return [path for path in sorted(folder.rglob("*.pcap")) if read_pcap(path).link_type == ETHERNET]
