"""Follows the feeds that a recorder records: fills in what their headers say, and tells what is missing, and why.

What is found waits a moment until it is known whether another line brought it, and what the counters say. All that is
known is saved beside the segments, so that the next recorder goes on as if nothing had happened.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from nanotape.storage.books import RingReadings
from nanotape.storage.clock import Clock
from nanotape.storage.events import Event
from nanotape.storage.feed_attribution import Attribution, Blame
from nanotape.storage.feed_events import FeedEvents
from nanotape.storage.feed_findings import LOST, DecodedFeeds, FeedSource, Found
from nanotape.storage.feed_options import FeedOptions
from nanotape.storage.feed_presence import FeedPresence
from nanotape.storage.feed_told import ToldBefore
from nanotape.storage.gap_stats import Settled
from nanotape.storage.packets import RingFacts
from nanotape.storage.settlement import Loss

_FILL_NS = 10**9  # the other line may lag that much
_COUNTED_NS = 250_000_000  # the capture's helper thread reads the counters that often
_UNCOUNTED_NS = 3 * 10**9  # then without them
_UNREAD_NS = 10**9  # what the capture has taken, of one queue more than of another, and not put into the ring yet


@dataclass(frozen=True, slots=True)
class Pending:
    """A gap, since when it is known, monotonic."""

    gap: Found
    since_ns: int
    filled_by: str | None = None
    """Line that had it when last asked: once it begins anew it cannot say."""


class FeedMonitor:
    """Of one recorder."""

    def __init__(self, source: FeedSource, ring: RingFacts, options: FeedOptions, clock: Clock) -> None:
        """Reads the ring's flows.

        Args:
            source: Decodes and follows.
            ring: Whose packets.
            options: How.
            clock: For what has to wait.
        """
        self.attribution = Attribution()
        """Takes counters and losses."""
        self.told_before: ToldBefore | None = None
        """What an earlier recorder told and we find again; None: there was none."""
        self.options = options
        self._source, self._ring, self._clock = source, ring, clock
        self._flows = {flow.id: flow for flow in ring.flows()}
        self._source.set_flows(list(self._flows.values()))
        self._events = FeedEvents(ring, self._flows)
        self._presence = FeedPresence(options, self._events, clock.utc_ns())
        self._pending: list[Pending] = []
        self._told: list[Event] = []
        self._settled: list[Settled] = []
        self._told_again: list[Settled] = []
        self._newest_ns: int | None = None
        self._complained: set[str] = set()

    def decode(self, batch: pa.RecordBatch) -> DecodedFeeds:
        """What the headers of a reader's batch say; nothing is followed yet."""
        newest = int(batch.column("flow_id").to_numpy().max()) if batch.num_rows else 0
        if newest not in self._flows and newest:
            self._flows.update({flow.id: flow for flow in self._ring.flows()})
            self._source.set_flows(list(self._flows.values()))
        return self._source.decode(batch)

    def recorded(self, decoded: DecodedFeeds, newest_ns: int) -> None:
        """Follows a batch that is in the archive now.

        Args:
            decoded: From `decode`.
            newest_ns: UTC, of its last packet.
        """
        self._newest_ns = max(newest_ns, self._newest_ns or newest_ns)
        self._take(self._source.track(decoded))
        if not self.options.is_live:  # hours may pass until the next tick
            self._take(self._source.expire(self._newest_ns))
            self._settle(is_last=False)

    def read(self, at_ns: int, readings: RingReadings) -> None:
        """Takes the ring's counters."""
        self.attribution.read(at_ns, readings)

    def lost(self, losses: Sequence[Loss]) -> None:
        """Takes losses of the ring's records."""
        self.attribution.lost(losses)

    def tick(self, *, is_caught_up: bool) -> None:
        """Call it a few times a second.

        Args:
            is_caught_up: All that the ring holds is followed. Else what is missing may still be in it, however late it
                is by the clock: only stamps say then.
        """
        now_ns = self._newest_ns or 0
        if self.options.is_live:
            now_ns = (self._clock.utc_ns() if is_caught_up else now_ns) - _UNREAD_NS
        self._take(self._source.expire(now_ns))
        self._settle(is_last=False)
        self._complain()

    def look(self, lines: Sequence[Any], *, is_caught_up: bool) -> None:
        """Looks at the facts of each line for one that is silent, as of the newest packet that was read."""
        now_ns = self._clock.utc_ns()
        if not is_caught_up and self._newest_ns is not None:
            now_ns = min(now_ns, self._newest_ns)
        if self.options.is_live:
            self._told += self._presence.look(lines, now_ns)

    def finish(self, *, goes_on: bool) -> None:
        """Settles what waits.

        Args:
            goes_on: A successor will know what we know: what another line may still bring is left to it. Else nothing
                more comes, and all is told as it is.
        """
        if not goes_on:
            self._take(self._source.expire(2**63 - 1))
        self._settle(is_last=True, leaves_open=goes_on)
        self._complain()

    def take_events(self) -> list[Event]:
        """What is to be told since the last call."""
        told, self._told = self._told, []
        return told

    def take_settled(self) -> list[Settled]:
        """Gaps whose cause was found since the last call."""
        settled, self._settled = self._settled, []
        return settled

    def take_told_again(self) -> list[Settled]:
        """Gaps found since the last call that an earlier recorder had told, and summed up: they are not to be again."""
        told_again, self._told_again = self._told_again, []
        return told_again

    @property
    def flows(self) -> Mapping[int, Any]:
        """Of the ring, by id."""
        return self._flows

    @property
    def pending(self) -> list[Found]:
        """Gaps that no event tells yet."""
        return [each.gap for each in self._pending]

    def resume(self, found: Iterable[Found]) -> None:
        """Goes on with what an earlier recorder had found, and what is found in packets that it did not come to."""
        self._take(found)

    def _take(self, findings: Iterable[object]) -> None:
        now = self._clock.monotonic_ns()
        for each in findings:
            found = each if isinstance(each, Found) else Found.of(each)
            told_as = self.told_before.cause_of(found) if self.told_before else None
            if told_as:
                self._told_again += [Settled(found, Blame(told_as))] if found.kind == LOST else []
                continue
            if found.kind == LOST:
                self._pending.append(Pending(found, now, self._source.covered_by(found)[0]))
            else:
                self._told.append(self._events.of(found))

    def _settle(self, *, is_last: bool, leaves_open: bool = True) -> None:
        now, waiting = self._clock.monotonic_ns(), []
        for each in self._pending:
            line, may_come = self._source.covered_by(each.gap)
            line = line or each.filled_by
            waited = now - each.since_ns
            is_counted = is_last or self._is_counted(each.gap, waited)
            if (leaves_open and may_come and not line and waited < _FILL_NS) or not is_counted:
                waiting.append(replace(each, filled_by=line))
                continue
            flow = self._flows.get(each.gap.flow_id)
            blame = self.attribution.blame(each.gap, flow.interface if flow else None)
            if not self.options.is_live and blame.cause == "upstream":
                blame = Blame("unknown")  # whoever made the file may have lost it
            self._told.append(self._events.gap(each.gap, blame, line))
            self._settled.append(Settled(each.gap, blame))
        self._pending = waiting

    def _complain(self) -> None:
        """Once for each interface: what is counted goes on in the archive's rows."""
        for interface, complaint in self._source.complaints().items():
            if interface not in self._complained:
                self._complained.add(interface)
                self._told.append(self._events.bad_stamps(self._clock.utc_ns(), complaint))

    def _is_counted(self, gap: Found, waited_ns: int) -> bool:
        """Whether counters were read since that must show it."""
        if not self.options.is_live or waited_ns >= _UNCOUNTED_NS:
            return True
        newest = self.attribution.newest_ns
        return newest is not None and newest >= gap.ts_ns + _COUNTED_NS
