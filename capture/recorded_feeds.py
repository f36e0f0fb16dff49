"""What a recorder tells of its lines each second: `RUN_DIR/RING/readers/RECORDER.feeds.json`, written by it alone."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nanotape.capture.foreign_file import read_foreign

_FRESH_NS = 10 * 10**9


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


@dataclass(frozen=True, slots=True)
class RecordedFeeds:
    """All lines of a ring."""

    at_ns: int
    """UTC: when it was told. Written each second; what is older is of a recorder that has ended."""
    lines: dict[tuple[str, str], RecordedLine]
    """By channel and line."""
    switches: tuple[str, ...] = ()
    """A line for each interface whose switch's stamps are read: counts, and what is wrong with them."""

    def is_fresh(self, now_ns: int) -> bool:
        """Whether the recorder that told it is still at it."""
        return now_ns - self.at_ns <= _FRESH_NS


def read_feeds(run_directory: Path, ring: str, recorder: str) -> RecordedFeeds | None:
    """What a ring's recorder told last; None: it has told nothing that can be read."""
    path = run_directory / ring / "readers" / f"{recorder}.feeds.json"
    try:
        told = json.loads(read_foreign(path))
        lines = {(str(each["channel"]), str(each["line"])): _line(each) for each in told["lines"]}
        switches = (str(each["complaint"] or each["summary"]) for each in told.get("switches", ()))
        return RecordedFeeds(int(told["at_ns"]), lines, tuple(switches))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError):
        return None


def _line(told: dict[str, Any]) -> RecordedLine:
    return RecordedLine(**{name: told.get(name) for name in RecordedLine.__slots__})
