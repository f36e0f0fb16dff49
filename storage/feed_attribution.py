"""Whose fault a gap in a feed is: by the flow's own sequence, the ring's, and the counters before the ring.

What came after XDP is exact for each channel, by `flow_seq`. Before that the counters of the source decide, as they
grew around the gap; a source that cannot count leaves the cause unknown.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from nanotape.storage.books import RingReadings
from nanotape.storage.events import Cause
from nanotape.storage.feed_findings import Found
from nanotape.storage.settlement import Loss

_BEFORE_RING = ("rx_dropped", "rx_ring_full", "socket_drops", "lost_with_holder", "oversize")
_AFTER_XDP = "redirected"
"""A source that counts this gives each packet its flow's sequence before it can lose it."""
AWAY = "not_running"
"""Stage: no capture ran, or no recorder while its ring went on."""
_READINGS_MAX = 180
_LOSSES_MAX = 1000


@dataclass(frozen=True, slots=True)
class Blame:
    """Of one gap."""

    cause: Cause
    stage: str | None = None
    packets: int | None = None
    """Packets of the flow that we lost; None: unknown."""
    detail: str | None = None


class Attribution:
    """Remembers the last few minutes of counters and losses of one ring."""

    def __init__(self) -> None:
        """Knows nothing yet."""
        self._readings: deque[tuple[int, RingReadings]] = deque(maxlen=_READINGS_MAX)
        self._losses: deque[Loss] = deque(maxlen=_LOSSES_MAX)
        self._grown: dict[tuple[int, int, str | None], dict[str, int]] = {}

    def read(self, at_ns: int, readings: RingReadings) -> None:
        """Takes the counters as they were at a moment, UTC: those before the ring may be of a little earlier."""
        self._grown.clear()  # while it is used, its readings live
        self._readings.append((at_ns if readings.counted_ns is None else readings.counted_ns, readings))

    def lost(self, losses: Sequence[Loss]) -> None:
        """Takes losses of the ring's records."""
        self._losses.extend(losses)

    @property
    def newest_ns(self) -> int | None:
        """Up to when all is counted; None: never."""
        return self._readings[-1][0] if self._readings else None

    def blame(self, gap: Found, interface: str | None) -> Blame:
        """Says whose fault a gap is.

        Args:
            gap: What is missing.
            interface: Of its flow; None: any.
        """
        before, after = self._around(gap)
        if not gap.ring_seq_before:
            return Blame("ours", AWAY, detail="the ring was made anew in between")
        grown = self._growth(before, after, interface)
        ring = self._lost_in(gap) if gap.ring_lost else {}
        if gap.flow_lost is None and before and after and before.epoch != after.epoch:
            return Blame("ours", AWAY, detail="the capture began anew in between")
        if gap.flow_lost is not None and gap.flow_lost > 0:
            return _ours(gap, gap.flow_lost, ring, grown)
        if gap.ring_lost and gap.flow_lost is None:
            return _ours(gap, None, ring, grown)
        counts_itself = any(stage == _AFTER_XDP for _, stage in _values(after, interface))
        if gap.flow_lost == 0 and counts_itself:
            return Blame("upstream")
        if grown:
            return _ours(gap, None, {}, grown)
        is_counted = after is not None and before is not None and _counts_drops(after, interface)
        return Blame("upstream") if is_counted and gap.flow_lost == 0 else Blame("unknown")

    def _around(self, gap: Found) -> tuple[RingReadings | None, RingReadings | None]:
        """From the newest on: an outage leaves thousands of gaps, all of them young."""
        if not self._readings:
            return None, None
        after = self._readings[-1][1]
        for at, each in reversed(self._readings):
            if at >= gap.ts_ns:
                after = each
            if at <= gap.ts_before_ns:
                return each, after
        return self._readings[0][1], after

    def _lost_in(self, gap: Found) -> dict[str, int]:
        ring: dict[str, int] = {}
        for loss in self._losses:
            if loss.stage is not None and _lies_in(loss, gap):
                ring[loss.stage] = ring.get(loss.stage, 0) + loss.packets
        return ring

    def _growth(self, before: RingReadings | None, after: RingReadings | None, interface: str | None) -> dict[str, int]:
        key = (id(before), id(after), interface)
        if key not in self._grown:
            self._grown[key] = _growth(before, after, interface)
        return self._grown[key]


def _ours(gap: Found, packets: int | None, ring: dict[str, int], grown: dict[str, int]) -> Blame:
    """Ours; where several stages lost something in between, that which lost most, and the others in words."""
    inside = {} if packets is not None and gap.ring_lost == 0 else ring
    outside = grown if packets is None or packets > sum(inside.values()) or not inside else {}
    stages = {**inside, **outside}
    if not stages and gap.ring_lost:
        stages = {"recorder_lapped": gap.ring_lost}
    stage = max(stages, key=lambda name: stages[name]) if stages else None
    told = ", ".join(f"{name} {count}" for name, count in stages.items())
    is_plain = packets is not None and len(stages) < 2
    return Blame("ours", stage, packets, None if is_plain else f"lost about then, of all channels: {told or 'unknown'}")


def _lies_in(loss: Loss, gap: Found) -> bool:
    return loss.last_seq > gap.ring_seq_before and loss.first_seq < gap.ring_seq


def _values(readings: RingReadings | None, interface: str | None) -> dict[tuple[str, str], int]:
    if readings is None:
        return {}
    mine = [each for each in readings.readings if interface is None or each.interface in (interface, None)]
    return {(each.source, each.stage): each.value for each in mine if each.value is not None}


def _growth(before: RingReadings | None, after: RingReadings | None, interface: str | None) -> dict[str, int]:
    earlier, later = _values(before, interface), _values(after, interface)
    grown: dict[str, int] = {}
    for (source, stage), value in later.items():
        more = value - earlier.get((source, stage), 0)
        if stage in _BEFORE_RING and more > 0:
            grown[stage] = grown.get(stage, 0) + more
    return grown


def _counts_drops(readings: RingReadings, interface: str | None) -> bool:
    return any(stage in ("socket_drops", "rx_dropped") for _, stage in _values(readings, interface))
