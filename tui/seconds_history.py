"""The largest of something in each of the last seconds, as bars. Pure; a second that nobody looked at stays empty."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

_BARS = "▁▂▃▄▅▆▇█"
KEPT_S = 120


class SecondsHistory:
    """Of one figure."""

    def __init__(self, kept_s: int = KEPT_S) -> None:
        """Knows nothing yet.

        Args:
            kept_s: How far back it remembers.
        """
        self._kept_s = kept_s
        self._seconds: deque[tuple[int, float]] = deque()

    def add(self, at_ns: int, value: float | None) -> None:
        """Takes in a figure; None is none. However often it is looked, one a second is kept."""
        second = at_ns // 10**9
        if value is None:
            return
        if self._seconds and self._seconds[-1][0] >= second:
            self._seconds[-1] = (self._seconds[-1][0], max(self._seconds[-1][1], value))
        else:
            self._seconds.append((second, value))
        while self._seconds[0][0] <= self._seconds[-1][0] - self._kept_s:
            self._seconds.popleft()

    @property
    def most(self) -> float | None:
        """The largest of all; None: nothing is known."""
        return max((value for _, value in self._seconds), default=None)

    def columns(self, now_ns: int, columns: int) -> list[float | None]:
        """The largest of each of so many seconds up to now; None: nobody looked then."""
        last = now_ns // 10**9
        found: list[float | None] = [None] * columns
        for second, value in self._seconds:
            place = columns - 1 - (last - second)
            if 0 <= place < columns:
                found[place] = value
        return found


def bars(values: Sequence[float | None], top: float) -> str:
    """A character each, as high as it is beside the top; a blank where it is unknown."""
    return "".join(" " if value is None else _bar(value / top if top > 0 else 0.0) for value in values)


def _bar(share: float) -> str:
    return _BARS[min(len(_BARS) - 1, max(0, round(share * (len(_BARS) - 1))))]
