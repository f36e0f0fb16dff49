"""The decoders of native/feeds/switch*.c once more, in plain Python, from the whole frame: the oracle of their tests.

Written from the table of switch timestamps in FEEDS.md: slow, and short.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from switch_layers import Layers, layers, number
from switch_readings import IMPLAUSIBLE, TRAILERS, S, Stamp, read_7280

REBUILT_HEADER = 1 << 2
TAI_NS = 37 * S
TICK_HZ = 350_000_000
WHOLE_FORMS = ("arista-7280", "arista-7130", "exablaze-hpt", "ixia", "cpacket")
"""In the order in which `auto` tries them."""
TICK_FORMS = ("exalink", "arista-7150")


@dataclass
class Row:
    """What the columns say of one frame."""

    ts_ns: int | None = None
    device: int | None = None
    port: int | None = None
    flags: int = 0


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
