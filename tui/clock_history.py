"""The last minutes of each clock, from what the clock service has told: its journal first, then each new status.

Pure but for `read_samples`, which reads the end of the journal. What is unknown is a gap, never bridged.
"""

from __future__ import annotations

import json
import os
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nanotape.capture.clock.journal import FOLDER, JOURNAL_NAME, OLD_JOURNAL_NAME
from nanotape.capture.clock.status import ClockStatus

KEPT_NS = 600 * 10**9
_READ_BYTES = 1 << 20
"""Of a journal's end: ten minutes of two clocks are half of it."""
_BLOCKS = " ▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True, order=True)
class ClockPoint:
    """One clock in one second."""

    at_ns: int
    """UTC."""
    offset_ns: int | None
    error_ns: int | None
    state: str


class ClockHistory:
    """Of all clocks of this host."""

    def __init__(self, kept_ns: int = KEPT_NS) -> None:
        """Knows nothing yet.

        Args:
            kept_ns: How far back it remembers.
        """
        self._kept_ns = kept_ns
        self._points: dict[str, list[ClockPoint]] = {}

    def add(self, samples: Iterable[Mapping[str, Any]]) -> None:
        """Takes samples in, each once, in any order: rows of the journal, or clocks of a status."""
        for each in samples:
            with suppress(KeyError, TypeError, ValueError):
                point = ClockPoint(
                    int(each["at_ns"]), _whole(each["offset_ns"]), _whole(each["error_ns"]), str(each["state"])
                )
                self._take(str(each["clock"]), point)

    def add_status(self, status: ClockStatus) -> None:
        """Takes in what a clock service told last."""
        self.add(status.clocks)

    def points(self, clock: str, now_ns: int) -> Sequence[ClockPoint]:
        """Of the minutes before now, the oldest first."""
        return [each for each in self._points.get(clock, ()) if now_ns - self._kept_ns < each.at_ns <= now_ns]

    def _take(self, clock: str, point: ClockPoint) -> None:
        points = self._points.setdefault(clock, [])
        place = bisect_left(points, point.at_ns, key=lambda each: each.at_ns)
        if place == len(points) or points[place].at_ns != point.at_ns:
            points.insert(place, point)
        oldest_ns = points[-1].at_ns - self._kept_ns
        while points[0].at_ns < oldest_ns:
            points.pop(0)


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)


def read_samples(run_directory: Path) -> list[Mapping[str, Any]]:
    """Samples of the last minutes that the clock service wrote down; none where it has not, or we may not read it."""
    found: list[Mapping[str, Any]] = []
    for name in (OLD_JOURNAL_NAME, JOURNAL_NAME):
        with suppress(OSError):
            found += _samples(_end_of(run_directory / FOLDER / name))
    return found


def _end_of(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        size = os.fstat(descriptor).st_size
        file.seek(max(0, size - _READ_BYTES))
        return file.read(_READ_BYTES)


def _samples(text: bytes) -> Iterator[Mapping[str, Any]]:
    for line in text.splitlines():
        with suppress(ValueError, RecursionError):  # the first may be cut in two
            row = json.loads(line)
            if isinstance(row, dict) and row.get("type") == "sample":
                yield row


def in_columns(points: Sequence[ClockPoint], now_ns: int, window_ns: int, columns: int) -> list[int | None]:
    """The offset that is furthest from zero in each of so many parts of the time before now; None: none is known."""
    found: list[int | None] = [None] * columns
    for each in points:
        place = columns - 1 - int((now_ns - each.at_ns) * columns / window_ns)
        if each.offset_ns is None or not 0 <= place < columns:
            continue
        before = found[place]
        if before is None or abs(each.offset_ns) > abs(before):
            found[place] = each.offset_ns
    return found


def plot(values: Sequence[int | None], height: int) -> list[str]:
    """Offsets as rows of characters, above and below a line at zero; a column whose offset is unknown stays empty.

    Args:
        values: One a column.
        height: Rows; the middle one is the line, so an odd number.
    """
    half = height // 2
    most = max((abs(value) for value in values if value is not None), default=0)
    rows = [[" "] * len(values) for _ in range(2 * half + 1)]
    for column, value in enumerate(values):
        if value is None:
            continue
        rows[half][column] = "─"
        eighths = round(abs(value) / most * half * 8) if most else 0
        for step in range(half):
            fill = min(8, eighths - 8 * step)
            if fill <= 0:
                break
            if value > 0:
                rows[half - 1 - step][column] = _BLOCKS[fill]
            else:  # there are no blocks that hang from above: half a cell is the finest
                rows[half + 1 + step][column] = "█" if fill > 4 else "▀"
    return ["".join(row) for row in rows]
