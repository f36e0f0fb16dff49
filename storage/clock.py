"""The clock that storage is given.

Nothing in this package asks the time of anything else, so tests can pass it as they like.
"""

import time
from typing import Protocol


class Clock(Protocol):
    """Two readings and a wait."""

    def utc_ns(self) -> int:
        """Nanoseconds since 1970, UTC: for names."""

    def monotonic_ns(self) -> int:
        """Nanoseconds since any fixed moment: for intervals."""

    def sleep(self, seconds: float) -> None:
        """Waits."""


class SystemClock:
    """The host's clocks."""

    def utc_ns(self) -> int:
        """Nanoseconds since 1970, UTC."""
        return time.time_ns()

    def monotonic_ns(self) -> int:
        """Nanoseconds since boot or so."""
        return time.monotonic_ns()

    def sleep(self, seconds: float) -> None:
        """Waits."""
        time.sleep(seconds)
