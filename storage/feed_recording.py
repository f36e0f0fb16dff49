"""The feeds' part of a recorder: decodes what is to be written, follows what was, tells and saves what was found."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa

from nanotape.storage.archive import Archive
from nanotape.storage.clock import Clock
from nanotape.storage.errors import StorageError
from nanotape.storage.feed_findings import DecodedFeeds, FeedSource, Found
from nanotape.storage.feed_monitor import FeedMonitor
from nanotape.storage.feed_options import FeedOptions
from nanotape.storage.feed_state import FeedState, load_state, names, save_state
from nanotape.storage.feed_told import ToldBefore
from nanotape.storage.gap_blames import GapBlames
from nanotape.storage.journal import Journal
from nanotape.storage.line_skew import LineSkew
from nanotape.storage.line_told import LineKnowledge, line_facts, tell_lines
from nanotape.storage.log import Log
from nanotape.storage.packets import RingFacts
from nanotape.storage.untold import rows_after

_SAVE_NS = 5 * 10**9
_TICK_NS = 200_000_000
_LOOK_NS = 950_000_000  # about a second
_REPLAYED = (
    "ring_seq", "ts", "payload", "payload_len", "flags", "lost_before", "feed", "channel", "line", "ring_id"
)  # fmt: skip


class FeedRecording:
    """Of one recorder."""

    def __init__(
        self, source: FeedSource, options: FeedOptions, ring: RingFacts, journal: Journal, clock: Clock, log: Log
    ) -> None:
        """Reads the ring's flows, and hears from the journal what is counted and lost.

        Args:
            source: Decodes and follows.
            options: How.
            ring: Whose packets.
            journal: Where it is told.
            clock: For what has to wait.
            log: Takes a line for what cannot be resumed.
        """
        self._source, self._ring, self._journal, self._log, self._clock = source, ring, journal, log, clock
        self._monitor = FeedMonitor(source, ring, options, clock)
        self._options = options
        for channel, framing in source.unknown.items():
            log(f"channel {channel}: expected a known framing, found {framing}; not decoded: add [framing.{framing}]")
        journal.attribution = self._monitor.attribution
        self._saved_ns = clock.monotonic_ns()
        self._ticked_ns = self._looked_ns = 0
        self._has_complained = False
        self._skew, self._blames = LineSkew(), GapBlames()
        self._flows_known = -1
        self._is_caught_up = False

    def begin(self, archive: Archive, directory: Path, recorded_seq: int) -> None:
        """Goes on where the recorder before came to.

        Args:
            archive: What it recorded.
            directory: ARCHIVE/segments/RING, which keeps the state.
            recorded_seq: Last ring sequence in the archive.
        """
        state = load_state(directory, self._ring.ring_id, recorded_seq) if self._options.goes_on else None
        if state is None:
            return
        found = state.pending_of(self._ring)
        self._blames.restore(state.blamed)
        try:
            reached = self._source.restore(state.decoder, self._ring.ring_id)
            if reached is not None:
                self._monitor.told_before = ToldBefore(archive, self._ring, reached, recorded_seq)
                for rows in rows_after(archive, self._ring.ring_id, reached, _REPLAYED):
                    found += [Found.of(each) for each in self._source.replay(rows)]
        except (ValueError, StorageError) as error:
            self._log(f"{directory}: what was known of feeds cannot be used: {error}; sequences are followed anew")
            self._source.forget()  # what was recorded and cannot be read is no gap
        self._monitor.resume(found)

    def left_out(self, batch: pa.RecordBatch) -> None:
        """Takes a reader's batch of which only the packets of flows are to be written."""
        self._source.left_out(batch)

    def decode(self, batch: pa.RecordBatch) -> DecodedFeeds:
        """What the headers of packets say that are to be written."""
        return self._monitor.decode(batch)

    def recorded(self, decoded: DecodedFeeds, rows: pa.RecordBatch) -> None:
        """Follows packets that were written."""
        stamps = rows.column("ts").cast(pa.int64())
        self._monitor.recorded(decoded, stamps[-1].as_py())
        if len(self._monitor.flows) != self._flows_known:
            self._flows_known = len(self._monitor.flows)
            self._skew.set_flows(list(self._monitor.flows.values()))
        self._skew.take(decoded.flow_ids, stamps.to_numpy(), decoded.columns)

    def tick(self, directory: Path, recorded_seq: int, *, is_caught_up: bool) -> None:
        """Call it often: tells what is due, looks at each line once a second, and saves what is known now and then.

        Args:
            directory: ARCHIVE/segments/RING.
            recorded_seq: Last ring sequence in the archive.
            is_caught_up: All that the ring holds was read, written and followed.
        """
        now = self._clock.monotonic_ns()
        if now - self._ticked_ns < _TICK_NS:
            return
        self._ticked_ns, self._is_caught_up = now, is_caught_up
        self._monitor.tick(is_caught_up=is_caught_up)
        if now - self._looked_ns >= _LOOK_NS:
            self._looked_ns = now
            lines = self._source.lines()
            self._monitor.look(lines, is_caught_up=is_caught_up)
            self._look_at_links()
            self._publish(lines)
            self._complain()
        self._tell()
        if now - self._saved_ns >= _SAVE_NS:
            self._save(directory, recorded_seq)

    def finish(self, directory: Path, recorded_seq: int, *, goes_on: bool) -> None:
        """Tells what waits, as well as it is known now, and saves what a successor goes on with.

        Args:
            directory: ARCHIVE/segments/RING.
            recorded_seq: Last ring sequence in the archive.
            goes_on: The ring is still there.
        """
        self._monitor.finish(goes_on=goes_on and self._options.goes_on)
        self._look_at_links()  # an outage that is over by now would stand as one that goes on
        self._tell()
        self._save(directory, recorded_seq)
        self._publish(self._source.lines())

    def _look_at_links(self) -> None:
        if self._options.links:
            self._journal.tell_links(self._options.links())

    def _complain(self) -> None:
        """Once: more than there is room for comes of a framing that does not fit, and goes on."""
        if self._source.untracked and not self._has_complained:
            self._has_complained = True
            self._log(
                f"ring {self._ring.name}: expected at most 65,536 sessions and keys, 16,384 of a line, found more; "
                "gaps in the others are not told: see that each channel has the framing of its feed"
            )

    def _tell(self) -> None:
        self._journal.tell(self._monitor.take_events())
        settled = self._monitor.take_settled()
        self._journal.gaps(settled)
        if blamed := settled + self._monitor.take_told_again():
            self._blames.take(blamed, names(self._ring))

    def _save(self, directory: Path, recorded_seq: int) -> None:
        """Not before all is told that it takes for told."""
        self._saved_ns = self._clock.monotonic_ns()
        if not self._options.goes_on or not self._journal.is_all_told():
            return
        saved = self._source.save(self._ring.ring_id, recorded_seq)
        with suppress(OSError):  # then the state before does, and more has to be read again
            pending = tuple(self._monitor.pending)
            state = FeedState(self._ring.ring_id, recorded_seq, pending, names(self._ring), saved, self._blames.saved())
            save_state(directory, state)

    def _publish(self, lines: Sequence[Any]) -> None:
        path = self._options.facts_path
        if path is None:
            return
        at_ns, traffic = self._clock.utc_ns(), self._journal.traffic
        rates = traffic.rates.tell(at_ns, is_caught_up=self._is_caught_up)
        framings = {flow_id: flow.framing for flow_id, flow in self._monitor.flows.items()}
        now_ns = at_ns if self._is_caught_up else None
        known = LineKnowledge(rates, traffic.names, self._skew, self._blames, framings, now_ns)
        tell_lines(path, at_ns, line_facts(lines, known), rates.of_ring(), self._source.switches())
