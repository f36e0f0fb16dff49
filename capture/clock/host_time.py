"""The host's clocks as the clock service reads them, and the moments at which somebody set one of them.

CLOCK_MONOTONIC is slewed as CLOCK_REALTIME is, and never set: their difference changes when REALTIME is stepped, and
at a leap second, and never else.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

_READS = 5
STEP_NS = 100_000
"""A smaller change may be the time between two reads."""


@dataclass(frozen=True, slots=True)
class HostTime:
    """What is read of the host's clocks; a test has others."""

    utc_ns: Callable[[], int] = time.time_ns
    monotonic_ns: Callable[[], int] = time.monotonic_ns


class StepWatch:
    """Notices that CLOCK_REALTIME was set."""

    def __init__(self, host: HostTime) -> None:
        """Looks once."""
        self._host = host
        self._difference_ns, self._uncertainty_ns = self._read()

    def look(self) -> int | None:
        """By how many nanoseconds it was stepped since the last look; positive: forward. None: it was not."""
        difference_ns, uncertainty_ns = self._read()
        step_ns = difference_ns - self._difference_ns
        if abs(step_ns) < STEP_NS + uncertainty_ns + self._uncertainty_ns:
            if uncertainty_ns < self._uncertainty_ns:
                self._difference_ns, self._uncertainty_ns = difference_ns, uncertainty_ns
            return None
        self._difference_ns, self._uncertainty_ns = difference_ns, uncertainty_ns
        return step_ns

    def _read(self) -> tuple[int, int]:
        """UTC minus monotonic, and how wrong that may be: of some reads the one that took least."""
        best: tuple[int, int] | None = None
        for _ in range(_READS):
            before = self._host.monotonic_ns()
            utc = self._host.utc_ns()
            took = self._host.monotonic_ns() - before
            if best is None or took < best[1]:
                best = utc - before - took // 2, took
        assert best is not None  # noqa: S101 - there were reads
        return best
