"""What a recorder tells of its segments each second: `RUN_DIR/RING/readers/RECORDER.segments.json`, by it alone."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nanotape.capture.foreign_file import read_foreign

_FRESH_NS = 10 * 10**9


@dataclass(frozen=True, slots=True)
class RecordedSegments:
    """Of one ring, since its recorder began. None: not told, or there is none."""

    at_ns: int
    """UTC: when it was told. Written each second; what is older is of a recorder that has ended, or hangs."""
    open_name: str | None
    """Of the segment that grows; None: none is open, as before the first row and after a rotation."""
    open_bytes: int | None
    open_rows: int | None
    opened_ns: int | None
    """UTC."""
    ended: int | None
    """Segments that got their footer; one that a dead recorder left is among them."""
    ended_name: str | None
    """Of the newest of these."""
    ended_ns: int | None
    """UTC: when that was, as far as the recorder knows; the last rotation."""
    frame_bytes: int | None
    """Bytes of the recorded frames, as they were on the wire."""
    written_bytes: int | None
    """Bytes of messages that these became in segments."""

    @property
    def ratio(self) -> float | None:
        """How many bytes of frames a written byte holds: 4 is a quarter of the size; None: nothing is written."""
        return self.frame_bytes / self.written_bytes if self.frame_bytes and self.written_bytes else None

    def is_fresh(self, now_ns: int) -> bool:
        """Whether the recorder that told it is still at it."""
        return now_ns - self.at_ns <= _FRESH_NS


def segments_path(run_directory: Path, ring: str, recorder: str) -> Path:
    """Where a ring's recorder tells."""
    return run_directory / ring / "readers" / f"{recorder}.segments.json"


def read_segments(run_directory: Path, ring: str, recorder: str) -> RecordedSegments | None:
    """What a ring's recorder told last; None: it has told nothing that can be read."""
    try:
        told = json.loads(read_foreign(segments_path(run_directory, ring, recorder)))
        texts = {name: _text(told, name) for name in ("open_name", "ended_name")}
        numbers = {name: _number(told, name) for name in RecordedSegments.__slots__ if name not in (*texts, "at_ns")}
        return RecordedSegments(at_ns=int(told["at_ns"]), **texts, **numbers)  # type: ignore[arg-type]
    except (OSError, ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError):
        return None


def _text(told: dict[str, Any], name: str) -> str | None:
    found = told.get(name)
    return None if found is None else str(found)


def _number(told: dict[str, Any], name: str) -> int | None:
    found = told.get(name)
    return None if found is None else int(found)
