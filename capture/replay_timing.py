"""How exact a replay was: the distribution of sent minus due, in bounded memory.

Percentiles are exact to about a sixteenth of their value.
"""

from array import array
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_HELD_MOST = 1 << 20
_STEPS = 16  # to a doubling
_BUCKETS = 64 * _STEPS


@dataclass(frozen=True, slots=True)
class Timing:
    """What sent minus due was; all in nanoseconds, None: nothing was sent."""

    p50_ns: int | None
    p90_ns: int | None
    p99_ns: int | None
    p999_ns: int | None
    max_ns: int | None


class TimingErrors:
    """Gathers sent minus due. Nothing is ever sent before it is due."""

    def __init__(self) -> None:
        """Of nothing yet."""
        self._held = array("q")
        self._counts: npt.NDArray[np.int64] = np.zeros(_BUCKETS, np.int64)
        self._max_ns: int | None = None
        self.add = self._held.append
        """Takes one error in nanoseconds; as fast as can be."""

    @property
    def is_full(self) -> bool:
        """Whether it is time to `fold`, even when there is none."""
        return len(self._held) >= _HELD_MOST

    def fold(self) -> None:
        """Sums up what was gathered: some milliseconds at worst, so call it when there is time."""
        if not self._held:
            return
        errors = np.maximum(np.array(self._held, np.int64), 0)
        self._max_ns = max(self._max_ns or 0, int(errors.max()))
        places = np.log2(np.maximum(errors, 1)) * _STEPS
        self._counts += np.bincount(places.astype(np.int64), minlength=_BUCKETS)
        del self._held[:]

    def timing(self) -> Timing:
        """The distribution so far."""
        self.fold()
        p50, p90, p99, p999 = map(self._percentile, (0.5, 0.9, 0.99, 0.999))
        return Timing(p50, p90, p99, p999, self._max_ns)

    def _percentile(self, share: float) -> int | None:
        """The upper bound of the bucket that it lies in, but never more than the largest."""
        if self._max_ns is None:
            return None
        reached = np.cumsum(self._counts)
        place = int(np.searchsorted(reached, share * reached[-1], "left"))
        return min(self._max_ns, int(2 ** ((place + 1) / _STEPS)))
