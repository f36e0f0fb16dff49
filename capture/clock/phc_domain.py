"""Whether a NIC's clock reads UTC or TAI, or runs by itself: measured against the system's clock, never assumed.

Pure: readings and what is known of the offset go in, a verdict with its reason comes out. A verdict that is wrong by a
UTC offset is worse than none, so whatever fits nothing is `free` or `unknown`, and its stamps are not believed.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from nanotape.capture.clock.phc import PhcReading

Domain = Literal["utc", "tai", "free", "unknown"]

NEAR_NS = 100_000_000
"""How far a clock may be from where UTC or TAI would be. Both are clocks of their own until all is locked: an NTP
client lets the system's err by some ten milliseconds as it begins. The domains are 37 s apart, and the smallest error
that is worth telling from them, a leap second missed, is one: a tenth of that confuses nothing, and a clock that nobody
set is not so near by chance."""
DRIFT_NS = 1_000_000
"""A clock that moved farther than this, straight away from the system's, follows nobody: most drivers set a PHC by the
system's clock as they are loaded, so that a free one begins near UTC and leaves by some microseconds a second."""
_STRAIGHT = 0.1
"""Readings lie on a line that stray from it by less than this share of the way: a servo's do not."""
_READINGS_MAX = 60
"""One a minute: an hour, in which 0.3 parts per million become DRIFT_NS."""
_TOLD = {"utc": "UTC", "tai": "TAI", "free": "free-running", "unknown": "unknown"}


@dataclass(frozen=True, slots=True)
class OffsetKnowledge:
    """What is known when a PHC is read; None: not known."""

    ptp_s: int | None = None
    """currentUtcOffset that the grandmaster announces as valid."""
    kernel_s: int | None = None
    """TAI minus UTC as the kernel was told; None too where it reads 0."""
    listed_s: int | None = None
    """By the list of leap seconds, at this moment."""
    system_is_synchronised: bool | None = None
    """Whether the kernel says that the system's clock follows somebody."""
    expected: Literal["utc", "tai"] | None = None
    """What whoever disciplines the PHC makes of it: ptp4l TAI (`ptpTimescale`), sfptpd UTC."""

    @property
    def sources(self) -> tuple[tuple[str, int], ...]:
        """Who knows TAI minus UTC, and what it is; the best first."""
        each = (("ptp", self.ptp_s), ("kernel", self.kernel_s), ("leap-seconds.list", self.listed_s))
        return tuple((name, offset) for name, offset in each if offset)


@dataclass(frozen=True, slots=True)
class PhcVerdict:
    """What a PHC reads."""

    domain: Domain
    reason: str
    """One line: what was measured, and what it was held against."""
    phc_sys_ns: int | None = None
    """PHC minus system clock, with the UTC offset taken off; None: in no known domain."""
    utc_offset_s: int | None = None
    """TAI minus UTC that must be taken off its stamps; None: none, or not known."""
    utc_offset_source: str | None = None
    notes: tuple[str, ...] = ()
    """What an operator should know: assumptions that do not hold."""


def judge(readings: Sequence[PhcReading], known: OffsetKnowledge) -> PhcVerdict:
    """Of one PHC.

    Args:
        readings: The newest last; the earlier ones tell whether it drifts.
        known: Now.
    """
    if not readings:
        return PhcVerdict("unknown", "it was not read yet")
    newest = readings[-1]
    difference = f"it is {_seconds(newest.phc_sys_ns)} from the system's clock"
    if newest.uncertainty_ns > NEAR_NS:
        return PhcVerdict("unknown", f"reading it took {2 * newest.uncertainty_ns / 1e9:.1f} s: too long to judge by")
    found = _nearest(newest.phc_sys_ns, known, difference)
    moved = _drift_ns(readings)
    if moved is None or found.domain not in ("utc", "tai"):
        return found
    minutes = (newest.at_ns - readings[0].at_ns) / 60e9
    drifts = f"it moved by {moved / 1e6:+.1f} ms in {minutes:.0f} minutes, straight away from the system's clock"
    if known.system_is_synchronised:
        return PhcVerdict("free", f"{drifts}, which is synchronised", notes=found.notes)
    return PhcVerdict(
        found.domain,
        found.reason,
        found.phc_sys_ns,
        found.utc_offset_s,
        found.utc_offset_source,
        (*found.notes, f"{drifts}; one of the two runs free"),
    )


class PhcDomainWatch:
    """The domain of one PHC from its first reading on."""

    def __init__(self, device: str) -> None:
        """Of a PHC that was not read yet."""
        self.device = device
        self.verdict = judge((), OffsetKnowledge())
        self._readings: deque[PhcReading] = deque(maxlen=_READINGS_MAX)
        self._is_known = False

    @property
    def was_read(self) -> bool:
        """Whether the verdict rests on readings; False where it could not be read when it was time to."""
        return bool(self._readings)

    def look(self, reading: PhcReading, known: OffsetKnowledge) -> str | None:
        """Takes a reading in.

        Returns:
            What changed, in one line; None: nothing, or it is the first.
        """
        before, is_first, self._is_known = self.verdict, not self._is_known, True
        if self._readings and abs(reading.phc_sys_ns - self._readings[-1].phc_sys_ns) > NEAR_NS:
            self._readings.clear()  # it was set: where it was before says nothing of how it runs
        self._readings.append(reading)
        self.verdict = judge(self._readings, known)
        return None if is_first else self._changed(before)

    def fail(self, reason: str) -> str | None:
        """It cannot be read any more, for this reason; returns as `look`."""
        before, self.verdict, self._is_known = self.verdict, PhcVerdict("unknown", reason), True
        self._readings.clear()
        return self._changed(before)

    def _changed(self, before: PhcVerdict) -> str | None:
        now = self.verdict
        if now.domain != before.domain:
            return f"{self.device} was {_TOLD[before.domain]} and is {_TOLD[now.domain]}: {now.reason}"
        if now.utc_offset_s != before.utc_offset_s:
            return (
                f"{self.device}: its UTC offset was {before.utc_offset_s} s and is {now.utc_offset_s} s: {now.reason}"
            )
        return None


def _nearest(phc_sys_ns: int, known: OffsetKnowledge, difference: str) -> PhcVerdict:
    """By where it is alone."""
    notes = _disagreement(known)
    if abs(phc_sys_ns) <= NEAR_NS:
        return PhcVerdict("utc", difference, phc_sys_ns, notes=(*notes, *_unexpected("utc", known)))
    for source, offset in known.sources:
        rest = phc_sys_ns - offset * 10**9
        if abs(rest) <= NEAR_NS:
            reason = f"{difference}, and TAI is {offset} s from UTC, says {source}"
            return PhcVerdict("tai", reason, rest, offset, source, (*notes, *_unexpected("tai", known)))
    if known.system_is_synchronised is False:
        return PhcVerdict("unknown", f"{difference}, which is not synchronised itself", notes=notes)
    if not known.sources:
        return PhcVerdict("unknown", f"{difference}, and nobody says how far TAI is from UTC", notes=notes)
    return PhcVerdict("free", f"{difference}: neither UTC nor TAI", notes=(*notes, *_mistaken(phc_sys_ns, known)))


def _mistaken(phc_sys_ns: int, known: OffsetKnowledge) -> tuple[str, ...]:
    """Mistakes that others have made with the UTC offset, by where they leave a clock."""
    offset = known.sources[0][1]
    seconds = round(phc_sys_ns / 1e9)
    if abs(phc_sys_ns - seconds * 10**9) > NEAR_NS:
        return ()
    if seconds == 2 * offset:
        return (f"the UTC offset of {offset} s was put on twice",)
    if seconds == -offset:
        return (f"the UTC offset of {offset} s was taken off a clock that read UTC already",)
    if 10 <= seconds <= 60:
        return (f"somebody sets it with a UTC offset of {seconds} s, where {offset} s are right",)
    return ()


def _disagreement(known: OffsetKnowledge) -> tuple[str, ...]:
    if len({offset for _, offset in known.sources}) < 2:
        return ()
    told = ", ".join(f"{source} {offset} s" for source, offset in known.sources)
    return (f"TAI minus UTC is not agreed on: {told}",)


def _unexpected(found: Literal["utc", "tai"], known: OffsetKnowledge) -> tuple[str, ...]:
    if known.expected is None or known.expected == found:
        return ()
    told = f"whoever disciplines it makes it {_TOLD[known.expected]}, but it reads {_TOLD[found]}"
    if found == "utc":
        return (f"{told}: or the system's clock reads TAI itself",)
    return (told,)


def _drift_ns(readings: Sequence[PhcReading]) -> int | None:
    """How far it moved in a straight line; None: it did not, or it cannot be told yet."""
    if len(readings) < 3:
        return None
    first, last = readings[0], readings[-1]
    moved, passed = last.phc_sys_ns - first.phc_sys_ns, last.at_ns - first.at_ns
    if abs(moved) <= DRIFT_NS or passed <= 0:
        return None
    strays = (
        abs(each.phc_sys_ns - first.phc_sys_ns - moved * (each.at_ns - first.at_ns) / passed) for each in readings
    )
    return moved if max(strays) <= _STRAIGHT * abs(moved) else None


def _seconds(ns: int) -> str:
    return f"{'-' if ns < 0 else '+'}{abs(ns) // 10**9}.{abs(ns) % 10**9:09d} s"
