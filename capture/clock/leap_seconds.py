"""TAI minus UTC at a moment, from the file of leap seconds that tzdata and the IERS publish.

Its lines are seconds since 1900 and the difference from then on; `#@` says until when it can be trusted.
"""

from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path

from nanotape.capture.errors import LeapSecondsUnusable

LEAP_SECONDS = Path("/usr/share/zoneinfo/leap-seconds.list")
SOURCE = "leap-seconds.list"
"""As an observation's `utc_offset_source`."""
_NTP_EPOCH_S = 2_208_988_800
"""1970 in seconds since 1900."""


@dataclass(frozen=True, slots=True)
class LeapSeconds:
    """The file."""

    begins_ns: tuple[int, ...]
    """UTC moments from which on each difference holds, rising."""
    offsets_s: tuple[int, ...]
    expires_ns: int | None
    """UTC; None: the file does not say."""

    def tai_minus_utc_s(self, at_ns: int) -> int | None:
        """Seconds; None: before 1972, when the two did not differ by whole ones."""
        at = bisect_right(self.begins_ns, at_ns)
        return self.offsets_s[at - 1] if at else None

    def is_expired(self, at_ns: int) -> bool:
        """Whether a leap second may have been announced that this file does not know."""
        return self.expires_ns is None or at_ns >= self.expires_ns

    def leap(self, at_ns: int) -> int:
        """Seconds that this UTC day's end brings: -1, 0 or 1."""
        midnight = (at_ns // _DAY_NS + 1) * _DAY_NS
        if midnight not in self.begins_ns:
            return 0
        at = self.begins_ns.index(midnight)
        return self.offsets_s[at] - self.offsets_s[at - 1] if at else 0


def read_leap_seconds(path: Path = LEAP_SECONDS) -> LeapSeconds:
    """Reads the file.

    Raises:
        LeapSecondsUnusable: It cannot be read, or is none.
    """
    try:
        return parse_leap_seconds(path.read_text(encoding="utf-8"))
    except OSError as error:
        found = error.strerror
    except ValueError as error:
        found = str(error)
    raise LeapSecondsUnusable(f"{path}: a list of leap seconds expected, found: {found}; install tzdata")


def parse_leap_seconds(text: str) -> LeapSeconds:
    """Of its text.

    Raises:
        ValueError: It is no such list.
    """
    entries: list[tuple[int, int]] = []
    expires = None
    for line in text.splitlines():
        if line.startswith("#@"):
            expires = _utc_ns(line[2:].strip())
        elif line.strip() and not line.startswith("#"):
            begin, offset = line.split("#")[0].split()[:2]
            entries.append((_utc_ns(begin), int(offset)))
    if not entries or entries != sorted(entries):
        raise ValueError("no lines of leap seconds, or not in order")
    return LeapSeconds(tuple(begin for begin, _ in entries), tuple(offset for _, offset in entries), expires)


def _utc_ns(text: str) -> int:
    return (int(text) - _NTP_EPOCH_S) * 10**9


_DAY_NS = 86_400 * 10**9
