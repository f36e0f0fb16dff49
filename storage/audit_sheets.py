"""What an audit finds: sheets of sources, recorders, losses and channels, each with what its equation leaves over."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from nanotape.storage.audit_feeds import FeedSheet, GapSheet
from nanotape.storage.audit_stamps import StampSheet

LOST_BEFORE_RING = ("rx_dropped", "rx_ring_full", "socket_drops", "lost_with_holder", "oversize")


@dataclass(frozen=True, slots=True)
class SourceSheet:
    """One source of a ring: what came to it, and where that went."""

    host: str
    ring: str
    ring_id: str
    source: str
    interface: str | None
    counts: Mapping[str, int | None]
    """Packets by stage, in the range; None: unknown."""
    is_exact: bool
    """Nothing moved between the last two readings. Else packets were on their way between two stages."""

    @property
    def lost(self) -> int:
        """Packets that we lost before the ring."""
        return sum(self.counts.get(stage) or 0 for stage in LOST_BEFORE_RING)

    @property
    def unexplained(self) -> int | None:
        """What the equations leave over; None where it is not known what came."""
        count = self.counts.get
        offered, redirected = count("offered"), count("redirected")
        came_in = offered if redirected is None else redirected
        if came_in is None or offered is None:
            return None
        left = abs(came_in - _sum(count(stage) for stage in (*LOST_BEFORE_RING, "unselected", "waiting", "in_ring")))
        if redirected is not None:
            left += abs(offered - redirected - _sum(count(stage) for stage in ("passed_unmatched", "passed_no_socket")))
        return left


@dataclass(frozen=True, slots=True)
class RecorderSheet:
    """What a ring's recorders did with it, all that ran in the range together."""

    host: str
    ring: str
    ring_id: str
    runs: int
    in_ring: int | None
    """Records that they had to account for; None: no reading says."""
    recorded: int
    left_out: int
    overrun: int
    write_failures: int
    backlog: int | None
    """Left in the ring by the last one."""
    uncounted: int
    """Done by those that were killed, after their last reading: recorded, or one of the others."""
    taken_up: int
    """Counted by one, but not as recorded, and counted anew by the next: it began before what could not be written."""
    rows: int | None
    """In the archive now; None: not asked for, as for a part of the time."""
    told_lost: int
    """By the events of the archive."""
    deleted: int
    """By retention."""
    has_ended: bool
    """The last one ended in order: its last reading is its last word."""

    @property
    def unexplained(self) -> int | None:
        """What counters, or the rows themselves, leave over; None: no reading says."""
        if self.in_ring is None or self.backlog is None:
            return None
        done = self.recorded + self.left_out + self.overrun + self.write_failures
        by_counters = abs(self.in_ring - done - self.backlog - self.uncounted + self.taken_up)
        by_counters += max(0, self.taken_up - (done - self.recorded))
        if self.rows is None or (self.left_out and (self.uncounted or self.taken_up)):
            return by_counters  # how much of that was left out nobody knows
        by_rows = self.in_ring - self.rows - self.deleted - self.told_lost - self.left_out - self.backlog
        if not self.has_ended:
            by_rows = max(0, by_rows)  # it went on after its last reading, and is killed or still at work
        return max(by_counters, abs(by_rows))


@dataclass(frozen=True, slots=True)
class ChannelSheet:
    """What there is of a channel's line."""

    host: str
    feed: str | None
    channel: str
    line: str | None
    first_ns: int
    """Stamp of the first packet, UTC."""
    last_ns: int
    packets: int
    bytes: int
    seconds: int
    """Different seconds with a packet."""


@dataclass(frozen=True, slots=True)
class RingLoss:
    """What a ring's recorders lost, by stage, as the events tell."""

    ring: str
    ring_id: str
    stage: str | None
    events: int
    packets: int


@dataclass(slots=True)
class AuditReport:
    """The whole sheet."""

    sources: list[SourceSheet] = field(default_factory=list)
    recorders: list[RecorderSheet] = field(default_factory=list)
    losses: list[RingLoss] = field(default_factory=list)
    channels: list[ChannelSheet] = field(default_factory=list)
    feeds: list[FeedSheet] = field(default_factory=list)
    gaps: list[GapSheet] = field(default_factory=list)
    """In sequences of feeds, by line, cause and stage."""
    stamps: list[StampSheet] = field(default_factory=list)

    @property
    def unexplained(self) -> int:
        """Packets that nothing explains, as far as the readings are exact."""
        parts = [each.unexplained for each in self.sources if each.is_exact] + [
            each.unexplained for each in self.recorders
        ]
        return sum(part or 0 for part in parts)

    @property
    def lost(self) -> int:
        """Packets that we lost, at any stage."""
        return sum(each.lost for each in self.sources) + sum(each.packets for each in self.losses)

    @property
    def is_fine(self) -> bool:
        """Balanced, nothing lost by us, and no message missing on all lines but those that were lost before us."""
        return not self.unexplained and not self.lost and not any(each.is_wrong for each in self.gaps)


def _sum(parts: Iterable[int | None]) -> int:
    return sum(part or 0 for part in parts)
