"""A frame as far as a switch's stamp asks, taken apart in plain Python: part of the oracle `switch_model`."""

from __future__ import annotations

from dataclasses import dataclass

LINUX_SLL, LINUX_SLL2, RAW_IP = 1 << 8, 1 << 9, 1 << 10


def number(octets: bytes) -> int:
    return int.from_bytes(octets, "big")


@dataclass
class Layers:
    """A frame as far as a switch's stamp asks."""

    stamp: bytes = b""
    """Behind 0xD28B."""
    mac: bytes = b""
    kind: int = 0
    network: bytes = b""
    tail: bytes | None = None
    """Behind what IP says is its end; where no IP is, behind the link's header; None: not captured."""
    padding: int = 0
    """Zeros that the tail begins with, up to byte 60 of the frame."""
    ip_bytes: int = 0
    ip_header: int = 0
    protocol: int = 0


def layers(frame: bytes, wire_length: int, flags: int) -> Layers:
    out = Layers()
    begin = _link(frame, flags, out)
    if not out.kind:
        return out
    out.network = frame[begin:]
    ip = out.network
    if out.kind == 0x0800 and len(ip) >= 20 and ip[0] >> 4 == 4:
        header, total, out.protocol = (ip[0] & 15) * 4, number(ip[2:4]), ip[9]
        if 20 <= header <= total:
            out.ip_bytes, out.ip_header = total, header
    elif out.kind == 0x86DD and len(ip) >= 40 and ip[0] >> 4 == 6:
        out.protocol = ip[6]
        if number(ip[4:6]):
            out.ip_bytes, out.ip_header = 40 + number(ip[4:6]), 40
    end = begin + out.ip_bytes
    if wire_length <= len(frame) and end <= len(frame):
        out.tail = frame[end:]
        if out.ip_bytes:
            filled = out.tail[: max(0, 60 - end)]
            out.padding = len(filled) - len(filled.lstrip(b"\0"))
    return out


def _link(frame: bytes, flags: int, out: Layers) -> int:
    """Where the network begins; `kind` 0: the link is cut short."""
    if flags & RAW_IP:
        out.kind = 0 if not frame else 0x0800 if frame[0] >> 4 == 4 else 0x86DD
        return 0
    if flags & (LINUX_SLL | LINUX_SLL2):
        begin, at = (16, 14) if flags & LINUX_SLL else (20, 0)
        kind = number(frame[at : at + 2])
    else:
        kind, begin = _ethernet(frame, out)
    for _ in range(4):
        if kind not in (0x8100, 0x88A8, 0x9100):
            break
        kind = number(frame[begin + 2 : begin + 4])
        begin += 4
    out.kind = kind if len(frame) >= begin else 0
    return begin


def _ethernet(frame: bytes, out: Layers) -> tuple[int, int]:
    out.mac, kind, begin = frame[6:12], number(frame[12:14]), 14
    if kind == 0xD28B:
        size = 10 if frame[17:18] and frame[17] >> 4 == 2 else 12
        if len(frame) >= begin + size:
            out.stamp = frame[begin : begin + size]
        begin += size + 2
        kind = number(frame[begin - 2 : begin])
    return kind, begin
