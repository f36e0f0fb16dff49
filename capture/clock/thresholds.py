"""From when on a clock counts as locked: the configuration, and what fits the kind of its master where it is silent."""

from dataclasses import dataclass
from typing import Self

from nanotape.capture.clock.observation import Observation
from nanotape.config.clock import ClockSettings

HARDWARE_NS, SOFTWARE_NS, NTP_NS = 1_000, 100_000, 1_000_000
_LOST_FACTOR = 10


@dataclass(frozen=True, slots=True)
class Thresholds:
    """All in nanoseconds."""

    locked_within_ns: int | None = None
    """None: as fits the source."""
    lost_beyond_ns: int | None = None
    """None: ten times as much."""
    locked_after_ns: int = 5 * 10**9
    master_timeout_ns: int = 5 * 10**9
    holdover_drift_ppb: int = 1000
    holdover_limit_ns: int = 3600 * 10**9
    asymmetry_ns: int = 0
    gm_accuracy_ns: int | None = None
    """Of a source of time that announces none; None: unknown."""

    @classmethod
    def of(cls, settings: ClockSettings) -> Self:
        """As configured."""
        return cls(
            settings.locked_within,
            settings.lost_beyond,
            settings.locked_after,
            settings.master_timeout,
            settings.holdover_drift,
            settings.holdover_limit,
            settings.asymmetry,
            settings.grandmaster_accuracy,
        )

    def within_ns(self, seen: Observation) -> int:
        """Up to which offset this source's clock is locked."""
        if self.locked_within_ns is not None:
            return self.locked_within_ns
        if seen.source in ("chrony", "kernel"):
            return NTP_NS
        return SOFTWARE_NS if seen.is_hardware is False else HARDWARE_NS

    def beyond_ns(self, seen: Observation) -> int:
        """Beyond which it is not any more."""
        return self.lost_beyond_ns if self.lost_beyond_ns is not None else _LOST_FACTOR * self.within_ns(seen)
