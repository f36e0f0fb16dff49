"""Bounds the error of a clock against UTC, from what was measured of it lately. The model is in docs/clock.md.

A sum of named terms, so that whoever reads a bound can see what it is made of. Unknown is None, never 0.
"""

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from nanotape.capture.clock.observation import Observation

WINDOW_NS = 60 * 10**9
"""How long ago measurements count for the spread."""
MEASUREMENTS_MIN = 3
"""Fewer have no spread to speak of."""


@dataclass(frozen=True, slots=True)
class ErrorBudget:
    """What a bound is made of, in nanoseconds; terms that do not apply are 0."""

    offset: float
    """|clock minus master|, as measured last."""
    offset_spread: float = 0.0
    """Largest minus smallest offset in the window: what the clock does between two looks."""
    delay_spread: float = 0.0
    """Half of largest minus smallest path delay in the window: a delay that changes in one direction alone moves the
    offset by half of it."""
    phc_sys: float = 0.0
    """|PHC minus system| and its spread, where the system clock follows a PHC."""
    grandmaster: float = 0.0
    """Accuracy that the grandmaster announces of itself."""
    asymmetry: float = 0.0
    """As configured."""
    source: float = 0.0
    """What the source bounds itself, instead of all the above: NTP's root distance, the kernel's maxerror."""
    holdover: float = 0.0
    """Drift since the master was last heard."""

    @property
    def total_ns(self) -> int:
        """The bound, rounded up."""
        terms = (
            self.offset, self.offset_spread, self.delay_spread, self.phc_sys, self.grandmaster, self.asymmetry,
            self.source, self.holdover,
        )  # fmt: skip
        return math.ceil(math.fsum(terms))


@dataclass(frozen=True, slots=True)
class _Measurement:
    at_ns: int
    offset_ns: float
    path_delay_ns: float | None
    phc_sys_ns: float | None


class ErrorBound:
    """Of one clock; remembers what was measured in the window."""

    def __init__(self, asymmetry_ns: int) -> None:
        """Remembers nothing yet."""
        self._asymmetry_ns = asymmetry_ns
        self._window: deque[_Measurement] = deque()

    def forget(self) -> None:
        """What was measured before does not count any more: the clock was stepped, or follows another."""
        self._window.clear()

    def measured(self, seen: Observation, monotonic_ns: int) -> ErrorBudget | None:
        """The bound after a measurement; None: there were too few to say.

        Args:
            seen: With an offset, or with a bound of the source's own.
            monotonic_ns: When.
        """
        if seen.bound_ns is not None:
            return ErrorBudget(0.0, source=seen.bound_ns, asymmetry=self._asymmetry_ns)
        if seen.offset_ns is None:
            return None
        self._window.append(_Measurement(monotonic_ns, seen.offset_ns, seen.path_delay_ns, seen.phc_sys_ns))
        while self._window[0].at_ns < monotonic_ns - WINDOW_NS:
            self._window.popleft()
        if len(self._window) < MEASUREMENTS_MIN:
            return None
        phc_sys = 0.0
        if seen.phc_sys_ns is not None:
            phc_sys = abs(seen.phc_sys_ns) + _spread(each.phc_sys_ns for each in self._window)
        return ErrorBudget(
            offset=abs(seen.offset_ns),
            offset_spread=_spread(each.offset_ns for each in self._window),
            delay_spread=_spread(each.path_delay_ns for each in self._window) / 2,
            phc_sys=phc_sys,
            grandmaster=seen.gm_accuracy_ns or 0.0,
            asymmetry=self._asymmetry_ns,
        )


def _spread(values: Iterable[float | None]) -> float:
    known = [each for each in values if each is not None]
    return max(known) - min(known) if known else 0.0
