"""Sizes, durations, rates, factors, shares, what a ring must hold: text to whole numbers of the smallest unit and back.

Exact or refused: nothing is rounded. `parse_*` raises ValueError; `*_text` gives text that parses to the same number.
"""

import re
from dataclasses import dataclass
from decimal import Decimal

SIZE_UNITS = {
    "B": 1,
    "kB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 1 << 10,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
    "TiB": 1 << 40,
}
DURATION_UNITS = {
    "ns": 1,
    "us": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "min": 60 * 10**9,
    "h": 3600 * 10**9,
    "d": 86400 * 10**9,
}
RATE_UNITS = {"pps": 1, "kpps": 10**3, "Mpps": 10**6}
FACTOR_UNITS = {"x": 10**6}

RECORD_HEADER_BYTES = 48
"""What a ring puts before each frame; a contract test compares it with the native layout."""
RECORD_ALIGNMENT_BYTES = 8
HOLD_FRAME_BYTES = 242
"""Frame size assumed where `hold` does not say `of`."""

_NUMBER = r"[0-9]{1,15}(?:\.[0-9]{1,9})?"


def _pattern(units: dict[str, int]) -> str:
    return f"{_NUMBER} ?(?:{'|'.join(units)})"


SIZE_PATTERN = _pattern(SIZE_UNITS)
DURATION_PATTERN = _pattern(DURATION_UNITS)
RATE_PATTERN = _pattern(RATE_UNITS)
FACTOR_PATTERN = _pattern(FACTOR_UNITS)
HOLD_PATTERN = f"{DURATION_PATTERN} +at +{RATE_PATTERN}(?: +of +{SIZE_PATTERN})?"


PERCENT_PATTERN = f"{_NUMBER} ?%"
FREE_SPACE_PATTERN = f"(?:0|{PERCENT_PATTERN}|{SIZE_PATTERN})"
_PPM_OF_PERCENT = 10_000


@dataclass(frozen=True, slots=True)
class FreeSpace:
    """Room on a file system: a share of all of it, or a size; both 0: none."""

    share_ppm: int = 0
    """Millionths of the file system."""
    size_bytes: int = 0

    def of(self, total_bytes: int) -> int:
        """Bytes that it comes to on a file system of this size."""
        return max(self.size_bytes, total_bytes * self.share_ppm // 10**6)


@dataclass(frozen=True, slots=True)
class Hold:
    """What a ring must hold: so long at such a rate of frames of such a size."""

    duration_ns: int
    rate_pps: int
    frame_bytes: int | None = None
    """Bytes of an Ethernet frame; None: HOLD_FRAME_BYTES."""

    @property
    def ring_bytes(self) -> int:
        """Bytes of records: each frame with its header, rounded up to the ring's alignment."""
        frame_bytes = HOLD_FRAME_BYTES if self.frame_bytes is None else self.frame_bytes
        record = RECORD_HEADER_BYTES + frame_bytes
        record += -record % RECORD_ALIGNMENT_BYTES
        packets = -(-self.duration_ns * self.rate_pps // 10**9)
        return packets * record


def _parse(text: str, units: dict[str, int]) -> int:
    match = re.fullmatch(f"({_NUMBER}) ?({'|'.join(units)})", text.strip())
    if match is None:
        raise ValueError(text)
    number = Decimal(match[1]) * units[match[2]]
    if number != int(number):
        raise ValueError(text)
    return int(number)


def _text(number: int, units: dict[str, int], space: str = "") -> str:
    unit = max((name for name, scale in units.items() if number % scale == 0), key=units.__getitem__)
    return f"{number // units[unit]}{space}{unit}" if number else f"0{space}{min(units, key=units.__getitem__)}"


def parse_size(text: str) -> int:
    """Bytes of text such as `512 MiB`, `1.5 GiB` or `242B`."""
    return _parse(text, SIZE_UNITS)


def size_text(size_bytes: int) -> str:
    """Text in the largest unit that divides `size_bytes`, such as `512 MiB`."""
    return _text(size_bytes, SIZE_UNITS, " ")


def parse_duration(text: str) -> int:
    """Nanoseconds of text such as `1s`, `250ms` or `1 h`."""
    return _parse(text, DURATION_UNITS)


def duration_text(duration_ns: int) -> str:
    """Text in the largest unit that divides `duration_ns`, such as `250ms`."""
    return _text(duration_ns, DURATION_UNITS)


def parse_rate(text: str) -> int:
    """Packets a second of text such as `2Mpps` or `300kpps`."""
    return _parse(text, RATE_UNITS)


def rate_text(rate_pps: int) -> str:
    """Text in the largest unit that divides `rate_pps`, such as `2Mpps`."""
    return _text(rate_pps, RATE_UNITS)


def parse_factor(text: str) -> int:
    """Millionths of text such as `10x` or `0.5x`."""
    return _parse(text, FACTOR_UNITS)


def factor_text(ppm: int) -> str:
    """Text such as `0.5x` that `parse_factor` reads as `ppm`."""
    whole, rest = divmod(ppm, 10**6)
    return f"{whole}.{rest:06d}".rstrip("0").rstrip(".") + "x"


def parse_free_space(text: str) -> FreeSpace:
    """Text such as `10%`, `50 GiB`, a bare number of bytes, or `0`."""
    text = text.strip()
    if text.endswith("%"):
        return FreeSpace(share_ppm=_parse(text, {"%": _PPM_OF_PERCENT}))
    if re.fullmatch("[0-9]{1,19}", text):
        return FreeSpace(size_bytes=int(text))
    return FreeSpace(size_bytes=parse_size(text))


def free_space_text(free: FreeSpace) -> str:
    """Text that `parse_free_space` reads as `free`."""
    if free.size_bytes or not free.share_ppm:
        return size_text(free.size_bytes) if free.size_bytes else "0"
    whole, rest = divmod(free.share_ppm, _PPM_OF_PERCENT)
    return f"{whole}.{rest:04d}".rstrip("0").rstrip(".") + "%"


def parse_hold(text: str) -> Hold:
    """What text such as `10s at 2Mpps` or `10s at 2Mpps of 242B` asks a ring to hold."""
    text = text.strip()
    if re.fullmatch(HOLD_PATTERN, text) is None:
        raise ValueError(text)
    duration, rest = text.split(" at ", 1)
    rate, _, size = rest.partition(" of ")
    return Hold(parse_duration(duration), parse_rate(rate), parse_size(size) if size else None)


def hold_text(hold: Hold) -> str:
    """Text that `parse_hold` reads as `hold`."""
    size = "" if hold.frame_bytes is None else f" of {size_text(hold.frame_bytes)}"
    return f"{duration_text(hold.duration_ns)} at {rate_text(hold.rate_pps)}{size}"
