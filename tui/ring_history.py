"""What is remembered of one ring from look to look: rates of the last minutes, and what was lost in the last one.

A ring made anew under the same name begins a new history.
"""

from collections import deque
from dataclasses import dataclass, replace

from nanotape.capture.health import STAGES, Look, RingHealth, ring_health
from nanotape.tui.picture import RateHistory

SECONDS_KEPT = 300
"""Of rates, for sparklines."""
_MINUTE_NS = 60 * 10**9
_SECOND_NS = 10**9
_COMPARED_NS = _SECOND_NS - 10**8
"""Rates are of about a second, however often is looked: of less they are noise."""
_PATIENCE_NS = 3 * _SECOND_NS
"""A loop that seems to stand still may just have been off its core: it does when it has for so long."""
_RESTART_TOLD_NS = 10 * _SECOND_NS
"""So long is told that there is another writer, or another ring."""


@dataclass(frozen=True, slots=True)
class _Counted:
    """The counts of one second's end."""

    monotonic_ns: int
    packets: int
    bytes: int
    lost: dict[str, int]


@dataclass(frozen=True, slots=True)
class Compared:
    """The newest look beside an earlier one."""

    health: RingHealth
    earlier: Look | None
    """About a second older; None: there is none yet."""
    is_assumed: bool
    """That it is capturing is only assumed: its loop has not gone round, and not for long enough to say that it stands
    still."""


class RingHistory:
    """One ring."""

    def __init__(self) -> None:
        """Has seen nothing yet."""
        self._restarted_ns: int | None = None
        self._begin()

    def _begin(self) -> None:
        self._recent: deque[Look] = deque()  # of the last seconds, the oldest first
        self._minute: deque[_Counted] = deque()  # one a second
        self._packets_s: deque[float] = deque(maxlen=SECONDS_KEPT)
        self._bits_s: deque[float] = deque(maxlen=SECONDS_KEPT)
        self._lost_s: deque[float] = deque(maxlen=SECONDS_KEPT)
        self._rates = RateHistory()

    def add(self, look: Look) -> Compared:
        """Takes the newest look."""
        before = self._recent[-1] if self._recent else None
        if before and _writer(before) != _writer(look):
            self._restarted_ns = look.monotonic_ns
        if before and before.facts.ring_id != look.facts.ring_id:
            self._begin()
        self._count(look)
        compared = self._compared(look)
        self._recent.append(look)
        while len(self._recent) > 1 and look.monotonic_ns - self._recent[1].monotonic_ns >= _PATIENCE_NS:
            self._recent.popleft()
        if self._restarted_ns is None or look.monotonic_ns - self._restarted_ns > _RESTART_TOLD_NS:
            return compared
        return replace(compared, health=replace(compared.health, restarted=True))

    def _compared(self, look: Look) -> Compared:
        earlier = self._earlier(look, _COMPARED_NS)
        health = ring_health(earlier or look, look)
        if health.capturing or not health.writer_alive:
            return Compared(health, earlier, is_assumed=False)
        earlier = self._earlier(look, _PATIENCE_NS)
        health = ring_health(earlier or look, look)
        if earlier and look.monotonic_ns - earlier.monotonic_ns >= _PATIENCE_NS:
            return Compared(health, earlier, is_assumed=False)
        return Compared(replace(health, capturing=True), earlier, is_assumed=not health.capturing)

    @property
    def rates(self) -> RateHistory:
        """Of each second so far."""
        return self._rates

    @property
    def lost_minute(self) -> tuple[dict[str, int], float]:
        """What was lost by stage before the ring in the last minute, only what is not 0; and how long that is."""
        if not self._minute:
            return {}, 0.0
        first, newest = self._minute[0], self._recent[-1]
        grown = {stage: count - first.lost[stage] for stage, count in _lost(newest).items()}
        length_s = (newest.monotonic_ns - first.monotonic_ns) / 1e9
        return {stage: count for stage, count in grown.items() if count > 0}, length_s

    def _earlier(self, look: Look, age_ns: int) -> Look | None:
        """The newest look that is so old; else the oldest."""
        old = [each for each in self._recent if look.monotonic_ns - each.monotonic_ns >= age_ns]
        return old[-1] if old else self._recent[0] if self._recent else None

    def _count(self, look: Look) -> None:
        """A look belongs to the minute when a second has gone since the one before that does."""
        before = self._minute[-1] if self._minute else None
        if before and look.monotonic_ns - before.monotonic_ns < _COMPARED_NS:
            return
        sources = look.facts.sources
        now = _Counted(look.monotonic_ns, look.facts.packets, sum(each.loop.bytes for each in sources), _lost(look))
        self._minute.append(now)
        while now.monotonic_ns - self._minute[0].monotonic_ns > _MINUTE_NS:
            self._minute.popleft()
        if before:
            self._rate(before, now)

    def _rate(self, before: _Counted, now: _Counted) -> None:
        length_s = (now.monotonic_ns - before.monotonic_ns) / 1e9
        self._packets_s.append((now.packets - before.packets) / length_s)
        self._bits_s.append(8 * (now.bytes - before.bytes) / length_s)
        self._lost_s.append((sum(now.lost.values()) - sum(before.lost.values())) / length_s)
        packets_s, bits_s = self._packets_s[-1], self._bits_s[-1]
        self._rates = RateHistory(
            tuple(self._packets_s),
            tuple(self._bits_s),
            tuple(self._lost_s),
            max(packets_s, self._rates.peak_packets_s or 0.0),
            max(bits_s, self._rates.peak_bits_s or 0.0),
        )


def _writer(look: Look) -> tuple[str, int]:
    return look.facts.ring_id, look.facts.epoch


def _lost(look: Look) -> dict[str, int]:
    return {stage: sum(getattr(books, stage) or 0 for books in look.books.sources) for stage in STAGES}
