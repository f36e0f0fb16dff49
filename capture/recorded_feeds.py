"""What a recorder tells of its lines each second: `RUN_DIR/RING/readers/RECORDER.feeds.json`, written by it alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nanotape.capture.foreign_file import read_foreign

_FRESH_NS = 10 * 10**9
_INT_MAX = 2**63 - 1
_CLASSES_MAX = 64


@dataclass(frozen=True, slots=True)
class RecordedLine:
    """One line, as its recorder counted it. None: not told, or no framing is decoded."""

    last_ts_ns: int | None
    """UTC, of its newest packet; None: none came."""
    session: str | None
    key: str | None
    last_seq: int | None
    gaps: int | None
    missing: int | None
    """Messages that never came."""
    duplicates: int | None
    reordered: int | None
    bad: int | None
    """Packets that do not fit the framing."""
    packets: int | None = None
    """So far."""
    framing: str | None = None
    packets_per_s: int | None = None
    """In the newest whole second, as are the two that follow; None too: of that second only a part is known."""
    bits_per_s: int | None = None
    """Of frames, as they were on the wire."""
    messages_per_s: int | None = None
    peak_packets_per_s: int | None = None
    """The most in a second since the recorder began, as the three that follow; not always in the same second."""
    peak_bits_per_s: int | None = None
    peak_1ms_packets: int | None = None
    """In a millisecond."""
    peak_1ms_bits: int | None = None
    """In a millisecond, not by second."""
    gaps_ours: int | None = None
    """Of `gaps`, those that this host made; what is in neither count nobody knows the cause of yet."""
    gaps_theirs: int | None = None
    missing_ours: int | None = None
    """Messages, of those gaps."""
    missing_theirs: int | None = None
    first_share: float | None = None
    """Of the packets of ten seconds, those that this line was the first of its channel to bring; None: there were none,
    or no other line to compare with."""
    lead_p50_ns: int | None = None
    """Where it was the first in the last ten seconds: how much later another line had the same, half of the time."""
    skew_log2: tuple[int, ...] | None = None
    """The same since the recorder began, as counts: class 0 is of 0 ns, class c of those below 2^c ns. Of every n-th
    sequence where there are many."""


@dataclass(frozen=True, slots=True)
class RecordedTraffic:
    """All that a ring's recorder recorded, together. None: not told."""

    second_ns: int | None = None
    """UTC: the second that the rates are of."""
    packets_per_s: int | None = None
    bits_per_s: int | None = None
    peak_packets_per_s: int | None = None
    """Since the recorder began, as the three that follow."""
    peak_bits_per_s: int | None = None
    peak_1ms_packets: int | None = None
    peak_1ms_bits: int | None = None
    second_peak_1ms_packets: int | None = None
    """Of the busiest millisecond of the newest whole second."""
    second_peak_1ms_bits: int | None = None


@dataclass(frozen=True, slots=True)
class RecordedFeeds:
    """All lines of a ring."""

    at_ns: int
    """UTC: when it was told. Written each second; what is older is of a recorder that has ended."""
    lines: dict[tuple[str, str], RecordedLine]
    """By channel and line."""
    switches: tuple[str, ...] = ()
    """A line for each interface whose switch's stamps are read: counts, and what is wrong with them."""
    traffic: RecordedTraffic = RecordedTraffic()
    """Of all lines together."""

    def is_fresh(self, now_ns: int) -> bool:
        """Whether the recorder that told it is still at it."""
        return now_ns - self.at_ns <= _FRESH_NS


def read_feeds(run_directory: Path, ring: str, recorder: str) -> RecordedFeeds | None:
    """What a ring's recorder told last; None: it has told nothing that can be read."""
    return _read(_path(run_directory, ring, recorder))


class FeedsFile:
    """Of one recorder, for who looks more often than it tells: what has not changed is not read again."""

    def __init__(self, run_directory: Path, ring: str, recorder: str) -> None:
        """Reads nothing yet."""
        self._path = _path(run_directory, ring, recorder)
        self._seen: tuple[int, int, int] | None = None
        self._feeds: RecordedFeeds | None = None

    def read(self) -> RecordedFeeds | None:
        """As `read_feeds`; the same object as long as nothing new was told."""
        try:
            found = self._path.lstat()
        except OSError:
            self._seen = self._feeds = None
            return None
        seen = (found.st_ino, found.st_mtime_ns, found.st_size)  # each telling is a new file
        if seen != self._seen:
            self._seen, self._feeds = seen, _read(self._path)
        return self._feeds


def _path(run_directory: Path, ring: str, recorder: str) -> Path:
    return run_directory / ring / "readers" / f"{recorder}.feeds.json"


def _read(path: Path) -> RecordedFeeds | None:
    try:
        told = json.loads(read_foreign(path))
        lines = {(str(each["channel"]), str(each["line"])): _line(each) for each in told["lines"]}
        switches = (str(each["complaint"] or each["summary"]) for each in told.get("switches", ()))
        at_ns = _integer(told["at_ns"])
        return None if at_ns is None else RecordedFeeds(at_ns, lines, tuple(switches), _traffic(told.get("ring")))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError):
        return None


def _integer(told: object) -> int | None:
    """A number that a counter or a stamp can have; anything else is unknown: whoever reads goes on with it."""
    return told if type(told) is int and -_INT_MAX <= told <= _INT_MAX else None


def _share(told: object) -> float | None:
    return float(told) if type(told) in (int, float) and 0 <= told <= 1 else None  # type: ignore[operator,arg-type]


def _text(told: object) -> str | None:
    return told if isinstance(told, str) else None


def _counts(told: object) -> tuple[int, ...] | None:
    counts = tuple(map(_integer, told[:_CLASSES_MAX])) if isinstance(told, list) else (None,)
    return None if None in counts else counts  # type: ignore[return-value]


_OTHERS: dict[str, Callable[[object], Any]] = {
    "session": _text,
    "key": _text,
    "framing": _text,
    "first_share": _share,
    "skew_log2": _counts,
}
_READ = tuple((name, _OTHERS.get(name, _integer)) for name in RecordedLine.__slots__)


def _line(told: dict[str, Any]) -> RecordedLine:
    return RecordedLine(**{name: read(told.get(name)) for name, read in _READ})


def _traffic(told: object) -> RecordedTraffic:
    facts = told if isinstance(told, dict) else {}
    return RecordedTraffic(**{name: _integer(facts.get(name)) for name in RecordedTraffic.__slots__})
