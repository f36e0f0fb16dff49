"""Bounds the error of a clock against UTC, from what was measured of it lately. The model is in docs/clock.md.

A sum of named terms, so that whoever reads a bound can see what it is made of. Unknown is None, never 0.
"""

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median

from nanotape.capture.clock.observation import SYSTEM, Observation

WINDOW_NS = 60 * 10**9
"""How long ago measurements count for the spread."""
MEASUREMENTS_MIN = 3
"""Fewer have no spread to speak of."""
_OVERDUE = 1.5
"""Of the time that lies between two measurements: a look now and then falls between two."""


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
    """|PHC minus system|, its spread, and how exactly it can be read, where the system clock follows a PHC."""
    grandmaster: float = 0.0
    """Accuracy that the grandmaster announces of itself, or is known to have."""
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

    def drifted(self, drift_ns: float) -> "ErrorBudget":
        """The same after a time without a master, in which the clock has drifted by so much at the worst."""
        return replace(self, holdover=drift_ns)


@dataclass(frozen=True, slots=True)
class _Measurement:
    at_ns: int
    offset_ns: float
    path_delay_ns: float | None
    phc_sys_ns: float | None
    is_worst_of_many: bool

    @property
    def offsets_ns(self) -> tuple[float, ...]:
        """What it may have been: of a worst without a sign both."""
        return (-self.offset_ns, self.offset_ns) if self.is_worst_of_many else (self.offset_ns,)


class ErrorBound:
    """Of one clock; remembers what was measured in the window."""

    def __init__(self, asymmetry_ns: int, drift_ppb: int, gm_accuracy_ns: int | None = None) -> None:
        """Remembers nothing yet."""
        self._asymmetry_ns, self._drift_ppb, self._gm_accuracy_ns = asymmetry_ns, drift_ppb, gm_accuracy_ns
        self._window: deque[_Measurement] = deque()
        self._last: ErrorBudget | None = None

    def forget(self) -> None:
        """What was measured before does not count any more: the clock was stepped, or follows another."""
        self._window.clear()
        self._last = None

    def awaited(self, monotonic_ns: int) -> ErrorBudget | None:
        """The bound while a measurement is awaited; once that is overdue, the clock may drift. None: there is none.

        Args:
            monotonic_ns: When.
        """
        if self._last is None or len(self._window) < MEASUREMENTS_MIN:
            return self._last
        age_ns = monotonic_ns - self._window[-1].at_ns
        between_ns = median(later.at_ns - earlier.at_ns for earlier, later in pairwise(self._window))
        return self._last if age_ns <= _OVERDUE * between_ns else self._last.drifted(self._drift_ppb * age_ns / 1e9)

    def measured(self, seen: Observation, monotonic_ns: int) -> ErrorBudget | None:
        """The bound after a measurement that was not there at the last look; None: there were too few to say.

        Args:
            seen: With an offset, or with a bound of the source's own.
            monotonic_ns: When.
        """
        self._last = self._made_of(seen, monotonic_ns)
        return self._last

    def _made_of(self, seen: Observation, monotonic_ns: int) -> ErrorBudget | None:
        if seen.bound_ns is not None:
            return ErrorBudget(0.0, source=seen.bound_ns, asymmetry=self._asymmetry_ns)
        if seen.offset_ns is None:
            return None
        self._window.append(
            _Measurement(monotonic_ns, seen.offset_ns, seen.path_delay_ns, seen.phc_sys_ns, seen.is_worst_of_many)
        )
        while self._window[0].at_ns < monotonic_ns - WINDOW_NS:
            self._window.popleft()
        accuracy_ns = self._accuracy_ns(seen)
        if len(self._window) < MEASUREMENTS_MIN or accuracy_ns is None:
            return None
        phc_sys = 0.0
        if seen.clock == SYSTEM and seen.phc_sys_ns is not None:  # a PHC is no worse for who follows it
            phc_sys = abs(seen.phc_sys_ns) + _spread(each.phc_sys_ns for each in self._window)
            phc_sys += seen.phc_sys_within_ns or 0.0
        return ErrorBudget(
            offset=abs(seen.offset_ns),
            offset_spread=_spread(offset for each in self._window for offset in each.offsets_ns),
            delay_spread=_spread(each.path_delay_ns for each in self._window) / 2,
            phc_sys=phc_sys,
            grandmaster=accuracy_ns,
            asymmetry=self._asymmetry_ns,
        )

    def _accuracy_ns(self, seen: Observation) -> int | None:
        """How far the source is from UTC. What the kernel's own loop has left to do says nothing of that."""
        if seen.gm_accuracy_ns is not None or seen.source == "kernel":
            return seen.gm_accuracy_ns
        return self._gm_accuracy_ns


def _spread(values: Iterable[float | None]) -> float:
    known = [each for each in values if each is not None]
    return max(known) - min(known) if known else 0.0
