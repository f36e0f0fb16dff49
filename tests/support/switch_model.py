"""The decoders of native/feeds/switch*.c once more, in plain Python, from the whole frame: the oracle of their tests.

Written from the table of switch timestamps in FEEDS.md: slow, and short.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

REBUILT_HEADER, LINUX_SLL, LINUX_SLL2, RAW_IP = 1 << 2, 1 << 8, 1 << 9, 1 << 10
DEGRADED, DUPLICATE, IMPLAUSIBLE = 1 << 11, 1 << 12, 1 << 13
S = 10**9
TAI_NS = 37 * S
TICK_HZ = 350_000_000
WHOLE_FORMS = ("arista-7280", "arista-7130", "exablaze-hpt", "ixia", "cpacket")
"""In the order in which `auto` tries them."""
TICK_FORMS = ("exalink", "arista-7150")


def number(octets: bytes) -> int:
    return int.from_bytes(octets, "big")


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


@dataclass
class Row:
    """What the columns say of one frame."""

    ts_ns: int | None = None
    device: int | None = None
    port: int | None = None
    flags: int = 0


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


@dataclass
class Keyframe:
    utc_ns: int
    counter: int
    hz: int
    captured_ns: int


@dataclass
class SwitchModel:
    """The stamps of one interface, frame after frame."""

    form: str
    tai_ns: int = 0
    plausible_ns: int = S
    hits: dict[str, int] = field(default_factory=dict)
    keyframes: dict[tuple[str, int | bytes], Keyframe] = field(default_factory=dict)
    votes: list[bool] = field(default_factory=list)
    stamped: int = 0
    implausible: int = 0
    without_keyframe: int = 0
    tai_like: int = 0

    def take(self, frame: bytes, ts_ns: int, wire_length: int | None = None, flags: int = 0) -> Row:
        if flags & REBUILT_HEADER:
            return Row(flags=flags)
        seen = layers(frame, len(frame) if wire_length is None else wire_length, flags)
        if self.form == "auto":
            outcome, stamp = self._detect(seen, ts_ns)
        elif self.form in TICK_FORMS:
            outcome, stamp = self._tick(frame, seen, ts_ns)
        else:
            outcome, stamp = self._whole(self.form, seen, ts_ns)
        if outcome == "stamped" and stamp:
            self.stamped += 1
            return Row(self._utc(stamp), stamp.device, stamp.port, flags | stamp.flags)
        if outcome == "implausible":
            self.implausible += 1
            self.tai_like += stamp is not None and self._is_tai_like(stamp, ts_ns)
            return Row(flags=flags | IMPLAUSIBLE)
        self.without_keyframe += outcome == "without keyframe"
        return Row(flags=flags)

    def _utc(self, stamp: Stamp) -> int:
        return stamp.ns - (0 if stamp.is_utc else self.tai_ns)

    def _is_plausible(self, stamp: Stamp, ts_ns: int) -> bool:
        return stamp.valid and abs(self._utc(stamp) - ts_ns) <= self.plausible_ns

    def _is_tai_like(self, stamp: Stamp, ts_ns: int) -> bool:
        offset = abs(self._utc(stamp) - ts_ns)
        return stamp.valid and not self._is_plausible(stamp, ts_ns) and abs(offset - TAI_NS) <= S

    def _whole(self, form: str, seen: Layers, ts_ns: int) -> tuple[str, Stamp | None]:
        if form == "arista-7280":
            is_utc = seen.stamp[2:3] == b"\1"
            stamp = read_7280(seen.stamp, ts_ns + (0 if is_utc else self.tai_ns))
            if stamp is None:
                return "absent", None
            return ("stamped" if self._is_plausible(stamp, ts_ns) else "implausible"), stamp
        read, size = TRAILERS[form]
        tail = seen.tail or b""
        found = [stamp for stamp in (read(each) for each in _without_fcs(tail)) if stamp]
        for stamp in found:
            if self._is_plausible(stamp, ts_ns):
                return "stamped", stamp
        like = [stamp for stamp in found if self._is_tai_like(stamp, ts_ns)]
        if like:
            return "implausible", like[0]
        if found and seen.ip_bytes and len(tail) - seen.padding >= size:
            return "implausible", found[0]
        return "absent", None

    def _detect(self, seen: Layers, ts_ns: int) -> tuple[str, Stamp | None]:
        for form in TICK_FORMS:
            if self._take_keyframe(form, seen, ts_ns):
                self._hit(form, 4)
                return "absent", None
        for form in WHOLE_FORMS:
            outcome, stamp = self._whole(form, seen, ts_ns)
            if outcome == "stamped" or (stamp and outcome == "implausible" and self._is_tai_like(stamp, ts_ns)):
                self._hit(form, 1)
                return outcome, stamp
        return "absent", None

    def _hit(self, form: str, hits: int) -> None:
        self.hits[form] = self.hits.get(form, 0) + hits
        if self.hits[form] >= 8:
            self.form = form

    def _take_keyframe(self, form: str, seen: Layers, ts_ns: int) -> bool:
        by_ip = seen.ip_bytes != 0 and seen.protocol == 253 and seen.ip_bytes <= len(seen.network)
        content = seen.network[seen.ip_header : seen.ip_bytes] if by_ip else seen.network
        if form == "exalink":
            is_old = by_ip and len(content) == 40 and content[:5] == b"\1\0\0\0\0"
            is_new = (by_ip or seen.kind == 0x88B5) and len(content) >= 40 and content[:5] == b"EXKF\1"
            if not is_old and not is_new:
                return False
            device: int | bytes = seen.mac
            utc, counter, hz = (number(content[at : at + 8]) for at in (8, 16, 24))
        else:
            if not by_ip or len(content) not in (46, 62):
                return False
            device = number(content[-6:-4])
            counter, utc, hz = number(content[:8]), number(content[8:16]), TICK_HZ
        if utc < 1 << 62 and 10**6 <= hz <= 10**10:
            self.keyframes[form, device] = Keyframe(utc, counter, hz, ts_ns)
        return True

    def _tick(self, frame: bytes, seen: Layers, ts_ns: int) -> tuple[str, Stamp | None]:
        tail = seen.tail
        if self._take_keyframe(self.form, seen, ts_ns) or tail is None or len(tail) < 4:
            return "absent", None
        has_fcs = sum(self.votes) * 2 > len(self.votes)
        if len(self.votes) < 16:
            has_fcs = zlib.crc32(frame[:-4]) == int.from_bytes(frame[-4:], "little")
            self.votes.append(has_fcs)
        tail = tail[:-4] if has_fcs else tail
        if len(tail) < 4 or seen.padding >= len(tail):
            return "absent", None
        stamp = min(
            self._times(number(tail[-4:]), ts_ns), key=lambda each: abs(each.ns - ts_ns - self.tai_ns), default=None
        )
        if stamp is None:
            return ("without keyframe" if seen.ip_bytes else "absent"), None
        if self._is_plausible(stamp, ts_ns):
            return "stamped", stamp
        return ("implausible" if seen.ip_bytes else "absent"), stamp

    def _times(self, raw: int, ts_ns: int) -> Iterator[Stamp]:
        is_arista = self.form == "arista-7150"
        tick = ((raw & 0xFFFFFF00) >> 1) | (raw & 0x7F) if is_arista else raw
        wrap = 1 << (31 if is_arista else 32)
        for (form, device), keyframe in self.keyframes.items():
            if form != self.form or abs(ts_ns - keyframe.captured_ns) > wrap * S // keyframe.hz:
                continue
            since = (tick - keyframe.counter) % wrap
            for ns in (since * S // keyframe.hz, -((wrap - since) * S // keyframe.hz)):
                yield Stamp(keyframe.utc_ns + ns, int(device) if isinstance(device, int) else None)


def _without_fcs(tail: bytes) -> Iterator[bytes]:
    yield tail
    if len(tail) >= 4:
        yield tail[:-4]
