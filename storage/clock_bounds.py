"""How far a packet's stamp may be off: `ts_error_ns`, from the samples of the clock that made it (docs/clock.md).

A bound at a packet is that of the last sample before it, grown since, or of the next one if that is near and worse; and
what the kind of stamp cannot tell apart. Where any of it is unknown it is null. Never a look at single packets.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from nanotape.storage.clock_entries import SYSTEM, ClockSample

GRANULARITY_NS = {"nic": 8, "xdp": 1, "kernel": 1, "user": 1}
"""By ts_kind: the steps in which it counts. Of stamps of other kinds nothing is known."""
HOLDS_NS = 5 * 10**9
"""So long after a sample a bound can be made of it."""
NEAR_NS = 2 * 10**9
"""A later sample that is so near has its say too: what it found may have begun before it."""

_NIC = "nic"
_SECOND_NS = 10**9
_KEPT = 20_000  # samples of a clock: some hours, for packets that waited in the ring
_UNKNOWN = -1
_SLOT_BITS, _SLOT_MASK = 8, 0xFF

Longs = npt.NDArray[np.int64]
Known = npt.NDArray[np.bool_]


class _Track:
    """The samples of one clock, by time."""

    def __init__(self) -> None:
        self.at_ns = self._error_ns = self._growth_ppb = np.empty(0, np.int64)

    def extend(self, samples: Sequence[ClockSample]) -> None:
        """Takes newer ones. What was said of a time that a clock has gone back before is void."""
        lowest = min(each.at_ns for each in samples)
        kept: list[ClockSample] = []
        for each in samples:
            while kept and kept[-1].at_ns >= each.at_ns:
                kept.pop()
            kept.append(each)
        before = int(np.searchsorted(self.at_ns, lowest))
        rows = [(each.at_ns, _number(each.error_ns), _number(each.growth_ppb)) for each in kept]
        new = np.array(rows, np.int64).T
        old = (self.at_ns[:before], self._error_ns[:before], self._growth_ppb[:before])
        self.at_ns, self._error_ns, self._growth_ppb = (
            np.concatenate((one, other))[-_KEPT:] for one, other in zip(old, new, strict=True)
        )

    def bounds(self, ts: Longs) -> tuple[Longs, Known | None]:
        """Bounds without what the stamps cannot tell apart, and which of them are known; None: all are."""
        first, last = int(ts.min()), int(ts.max())
        begin, end = (int(at) - 1 for at in np.searchsorted(self.at_ns, (first, last), "right"))
        if begin == end and (found := self._line(begin, ts, first, last)) is not None:
            return found
        begin = max(begin, 0)
        at_ns, errors, growths = (each[begin : end + 2] for each in (self.at_ns, self._error_ns, self._growth_ppb))
        if not len(at_ns):
            return np.zeros(len(ts), np.int64), np.zeros(len(ts), np.bool_)
        after = np.searchsorted(at_ns, ts, "right")
        sample, later = np.maximum(after - 1, 0), np.minimum(after, len(at_ns) - 1)
        age = ts - at_ns[sample]
        known = (after > 0) & (age <= HOLDS_NS) & (errors[sample] >= 0) & (growths[sample] >= 0)
        near = (after < len(at_ns)) & (at_ns[later] - ts <= NEAR_NS)
        known &= ~near | (errors[later] >= 0)
        bound = _grown(errors[sample], growths[sample], np.clip(age, 0, HOLDS_NS))
        return np.where(near, np.maximum(bound, errors[later]), bound), known

    def _line(self, at: int, ts: Longs, first: int, last: int) -> tuple[Longs, Known | None] | None:
        """The same where one sample, and all or nothing of the next, holds for all stamps; None: it is not so."""
        if at < 0 or last - int(self.at_ns[at]) > HOLDS_NS:
            return None
        sample_ns, error, growth = (int(each[at]) for each in (self.at_ns, self._error_ns, self._growth_ppb))
        if error < 0 or growth < 0:
            return None
        worst = 0
        if at + 1 < len(self.at_ns):
            next_ns, worst = int(self.at_ns[at + 1]), int(self._error_ns[at + 1])
            if next_ns - last > NEAR_NS:
                worst = 0
            elif next_ns - first > NEAR_NS or worst < 0:
                return None
        bound = _grown(error, growth, ts - sample_ns)
        return (np.maximum(bound, worst, out=bound) if worst > error else bound), None


class ClockBounds:
    """Of all clocks of a host."""

    def __init__(self, phc_of: Callable[[str], str | None] = lambda _: None) -> None:
        """Knows of none.

        Args:
            phc_of: The clock of an interface that no sample names, since several interfaces share it; None: unknown.
        """
        self._phc_of = phc_of
        self._tracks: dict[str, _Track] = {}
        self._of_interface: dict[str, str] = {}

    def take(self, samples: Sequence[ClockSample]) -> None:
        """Takes samples, in the order in which they were written."""
        of_clock: dict[str, list[ClockSample]] = {}
        for each in samples:
            of_clock.setdefault(each.clock, []).append(each)
            if each.interface and each.clock != SYSTEM:
                self._of_interface[each.interface] = each.clock
        for clock, its in of_clock.items():
            self._tracks.setdefault(clock, _Track()).extend(its)

    def forget(self) -> None:
        """Knows of none again."""
        self._tracks.clear()
        self._of_interface.clear()

    def errors(self, batch: pa.RecordBatch, interface: Callable[[int], str | None]) -> pa.Array:
        """The column `ts_error_ns` of packets.

        Args:
            batch: Columns `ts`, `ts_kind`, `source`, as a reader of a ring has them.
            interface: Gives that of the source in a slot; None: none.
        """
        rows, kinds = batch.num_rows, batch.column("ts_kind")
        if not self._tracks or not rows:
            return pa.nulls(rows, pa.int64())
        names, codes = kinds.dictionary.to_pylist(), kinds.indices.to_numpy()
        ts = batch.column("ts").view(pa.int64()).to_numpy()
        makers = codes.astype(np.uint16)  # kind and, of a NIC's stamps, slot of the source
        makers <<= _SLOT_BITS
        if _NIC in names and (is_nic := codes == names.index(_NIC)).any():
            makers |= batch.column("source").to_numpy() * is_nic
        if (makers == makers[0]).all():
            return _column(*self._bounds(self._clock(names, int(makers[0]), interface), ts))
        bounds, known = np.zeros(rows, np.int64), np.zeros(rows, np.bool_)
        for maker in np.flatnonzero(np.bincount(makers)).tolist():
            chosen = np.flatnonzero(makers == maker)
            bounds[chosen], some = self._bounds(self._clock(names, maker, interface), ts[chosen])
            known[chosen] = True if some is None else some
        return _column(bounds, known)

    def _clock(
        self, names: Sequence[Any], maker: int, interface: Callable[[int], str | None]
    ) -> tuple[_Track | None, int]:
        """The clock that made a stamp, and the steps in which it counts then; None: unknown."""
        kind, slot = names[maker >> _SLOT_BITS], maker & _SLOT_MASK
        clock: str | None = SYSTEM
        if kind == _NIC:
            name = interface(slot)
            clock = (self._of_interface.get(name) or self._phc_of(name)) if name else None
        track = self._tracks.get(clock) if clock and kind in GRANULARITY_NS else None
        return track, GRANULARITY_NS.get(kind, 0)

    def _bounds(self, clock: tuple[_Track | None, int], ts: Longs) -> tuple[Longs, Known | None]:
        track, granularity = clock
        if track is None:
            return np.zeros(len(ts), np.int64), np.zeros(len(ts), np.bool_)
        bounds, known = track.bounds(ts)
        bounds += granularity
        return bounds, known


def _number(value: int | None) -> int:
    return _UNKNOWN if value is None else value


def _grown(error_ns: Any, growth_ppb: Any, age_ns: Longs) -> Longs:
    """Rounded up."""
    grown: Longs = age_ns * growth_ppb
    grown += _SECOND_NS - 1
    grown //= _SECOND_NS
    grown += error_ns
    return grown


def _column(bounds: Longs, known: Known | None) -> pa.Array:
    if known is None or known.all():
        return pa.Array.from_buffers(pa.int64(), len(bounds), [None, pa.py_buffer(bounds)])
    return pa.array(bounds, pa.int64(), mask=~known)
