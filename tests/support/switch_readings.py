"""Whole stamps of switches as FEEDS.md lays them out, read in plain Python: part of the oracle `switch_model`."""

from __future__ import annotations

from dataclasses import dataclass

from switch_layers import number

DEGRADED, DUPLICATE, IMPLAUSIBLE = 1 << 11, 1 << 12, 1 << 13
S = 10**9


@dataclass
class Stamp:
    """What a switch says, as it says it."""

    ns: int
    device: int | None = None
    port: int | None = None
    flags: int = 0
    is_utc: bool = False
    valid: bool = True
    sub_ns: int = 0
    sequence: int | None = None


def seconds(at: bytes) -> Stamp:
    """Seconds 4, nanoseconds 4."""
    ns = number(at[4:8])
    return Stamp(number(at[:4]) * S + ns, valid=ns < S)


def read_cpacket(tail: bytes) -> Stamp | None:
    if len(tail) < 16:
        return None
    stamp = seconds(tail[-12:-4])
    stamp.device, stamp.port = number(tail[-3:-1]), tail[-1]
    return stamp


def read_7130(tail: bytes) -> Stamp | None:
    stamp = read_cpacket(tail)
    if stamp is None:
        return None
    flags = tail[-4]
    stamp.flags = (DEGRADED if flags & 0x10 else 0) | (DUPLICATE if flags & 0x04 else 0)
    rest = tail[:-12]
    last = not flags & 0x02
    while not last:
        word = number(rest[-4:])
        words = ((word >> 6) & 0x3FF) + 1 if word & 0x1F == 0x1F else (word >> 6) & 3
        if len(rest) < 4 * (words + 1):
            stamp.valid = False
            return stamp
        if word & 0x1F == 0:
            stamp.sequence = word >> 8 & 0xFFFF
        if word & 0x1F == 1:
            stamp.sub_ns = word >> 8
        rest = rest[: len(rest) - 4 * (words + 1)]
        last = bool(word & 0x20)
    stamp.valid = stamp.valid and len(rest) >= 4
    return stamp


def read_hpt(tail: bytes) -> Stamp | None:
    if len(tail) < 16:
        return None
    at = tail[-16:]
    picoseconds = number(at[10:15]) * 10**12 >> 40
    return Stamp(number(at[6:10]) * S + picoseconds // 1000, at[4], at[5])


def read_ixia(tail: bytes) -> Stamp | None:
    at = tail[-15:]
    if len(at) < 15 or not 3 <= at[0] <= 7 or at[1] != 8 or at[10] != 10 or at[11:13] != b"\xaf\x12":
        return None
    return seconds(at[2:10])


def read_7280(at: bytes, near_ns: int) -> Stamp | None:
    if len(at) < 10 or at[:2] != b"\0\1" or at[2] > 1:
        return None
    stamp = None
    if at[3] >> 4 == 1 and len(at) >= 12:
        stamp = seconds(at[4:12])
    elif at[3] >> 4 == 2:
        near = max(0, near_ns) // S
        candidates = [(near & ~0xFFFF) + number(at[4:6]) + around for around in (0, -0x10000, 0x10000)]
        best = max(0, min(candidates, key=lambda each: abs(each - near)))
        stamp = Stamp(best * S + number(at[6:10]), valid=number(at[6:10]) < S)
    if stamp:
        stamp.is_utc = at[2] == 1
    return stamp


TRAILERS = {
    "arista-7130": (read_7130, 16),
    "cpacket": (read_cpacket, 16),
    "exablaze-hpt": (read_hpt, 16),
    "ixia": (read_ixia, 15),
}
