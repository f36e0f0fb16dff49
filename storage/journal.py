"""What a recorder tells beside the packets: losses and faults as events, traffic by second, the books, the flows.

A loss is told before the row that comes after it is written; all else follows the packets, and what a dead recorder
had not come to is told by the next one. It never stops a recorder: what cannot be written waits.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pyarrow as pa

from nanotape.storage.archive import Archive
from nanotape.storage.bad_stamps import BadStamps
from nanotape.storage.books import Occasion, Reading, RingReadings, channel_rows, counter_rows, flows_hash, table_rows
from nanotape.storage.clock import Clock
from nanotape.storage.errors import StorageError
from nanotape.storage.events import ARCHIVE, RECORDER_WRITE, Event, Severity, event_batch
from nanotape.storage.feed_attribution import Attribution
from nanotape.storage.gap_stats import Settled, gap_rows
from nanotape.storage.log import Log
from nanotape.storage.packets import RingFacts
from nanotape.storage.ring_events import RingEvents
from nanotape.storage.settlement import Loss
from nanotape.storage.side_tables import SideTables
from nanotape.storage.traffic_stats import SOURCE_COLUMNS, Belonging, TrafficStats
from nanotape.storage.untold import UntoldLosses, rows_after, told_through

_SECOND_NS = 10**9
_QUIET_NS = 2 * _SECOND_NS

ReadRing = Callable[[], RingReadings]
"""Reads the counters of a ring's sources."""
ReadRecorder = Callable[[], Sequence[Reading]]
"""The recorder's own counters."""


_WRITERS: dict[Occasion, str] = {
    "handover": "with the holder of the one before",
    "epoch": "with another holder, or none",
}


class Journal:
    """Of one recorder."""

    def __init__(
        self,
        archive: Archive,
        ring: RingFacts,
        tables: SideTables,
        clock: Clock,
        log: Log,
        read_recorder: ReadRecorder,
    ) -> None:
        """Tells nothing yet.

        Args:
            archive: Where an earlier recorder's rows are found.
            ring: The ring's name, id and flows.
            tables: What is told goes there.
            clock: For stamps.
            log: Takes one line at a time.
            read_recorder: The recorder's counters; read before the ring's.
        """
        self.read_ring: ReadRing | None = None
        """None: the ring's own counters are not to be had here."""
        self.attribution: Attribution | None = None
        """Hears of counters and losses; None: nobody asks whose fault a gap is."""
        self.bad_stamps: BadStamps | None = None
        """Hears of counters; None: nobody tells of stamps."""
        self._archive, self._ring, self._tables, self._clock = archive, ring, tables, clock
        self._log, self._read_recorder = log, read_recorder
        self._belonging = Belonging(ring.host, ring.name, ring.ring_id)
        self._events = RingEvents(ring)
        self._stats = TrafficStats(self._belonging)
        self._recorded_seq = 0
        self._told_seq = 0
        self._summed_seq = 0  # stats say how far packets are summed up: no row may say more
        self._last_ts_ns: int | None = None
        self._last_packet_ns = 0
        self._read_ns = 0
        self._writer: tuple[int | None, int | None] | None = None
        self._refused_since_ns: int | None = None
        self._refused_why = ""

    def begin(self, recorded_seq: int, told: str) -> None:
        """Tells that a recorder begins, and what the one before it did not come to.

        Args:
            recorded_seq: Last ring sequence in the archive; 0: none.
            told: What there is to say of the beginning.
        """
        self._recorded_seq = self._told_seq = recorded_seq
        self._event("restart", self._clock.utc_ns(), detail=told)
        try:
            self._tell_flows()
            self._tell_for_the_dead()
        except StorageError as error:
            self._log(f"{error}; what an earlier recorder did not sum up may be missing in stats and channels")
        self._tell_books("start")
        self._tables.write_all()

    def lost(self, losses: Sequence[Loss], rows: pa.RecordBatch) -> None:
        """Tells losses, each before one of the rows of packets, which are about to be written."""
        through = rows.column("ring_seq")[-1].as_py()
        if self.attribution:
            self.attribution.lost(losses)
        events = [self._events.of_loss(loss, rows, self._last_ts_ns, through) for loss in losses]
        self._told_seq = max(self._told_seq, through)
        self._tables.add("events", event_batch(events))
        self._tables.write("events")  # or it waits

    def recorded(self, rows: pa.RecordBatch) -> None:
        """Takes packets that are in the archive now; `sum_up` them next."""
        self._recorded_seq = rows.column("ring_seq")[-1].as_py()
        self._last_ts_ns = rows.column("ts").cast(pa.int64())[-1].as_py()
        self._last_packet_ns = self._clock.monotonic_ns()

    def sum_up(self, rows: pa.RecordBatch, first: Any = None) -> None:
        """Sums up packets that are in the archive now.

        Args:
            rows: Of `packets`.
            first: A number for each: 1 its line was the first to bring it, 0 it was not, 2 unknown; None: unknown.
        """
        self._sum_up(rows, first)

    @property
    def traffic(self) -> TrafficStats:
        """Sums by second and line."""
        return self._stats

    def tell(self, events: Sequence[Event]) -> None:
        """Tells events that others have found; they belong to what is recorded now."""
        if events:
            ring_seq = max(self._recorded_seq, self._told_seq)
            self._tables.add("events", event_batch([replace(each, ring_seq=ring_seq) for each in events]))

    def tell_rows(self, table: str, columns: dict[str, list[Any]]) -> None:
        """Tells rows of a table that others have found; see `books.table_rows`. They belong to what is recorded now."""
        self._tables.add(table, table_rows(table, self._belonging, self._recorded_seq, columns))

    def gaps(self, settled: Sequence[Settled]) -> None:
        """Adds what is missing to the seconds that it is missing in."""
        if settled:
            flows = {flow.id: flow for flow in self._ring.flows()}
            self._add_stats(gap_rows(self._belonging, self._summed_seq, settled, flows))

    def tell_links(self, outages: Sequence[Any]) -> None:
        """Tells of what befell links: `nanotape.capture.link_outage.LinkOutage`."""
        self.tell([self._events.of_link(each) for each in outages])

    def is_all_told(self) -> bool:
        """Writes the events that wait; whether all of them are written."""
        return self._tables.write("events")

    @property
    def is_refused(self) -> bool:
        """Whether the disk takes nothing, as far as we were told."""
        return self._refused_since_ns is not None

    def refused(self, why: str) -> None:
        """Tells once that the disk takes nothing more."""
        if self._refused_since_ns is None:
            self._refused_since_ns, self._refused_why = self._clock.utc_ns(), why
            self._event("disk", self._refused_since_ns, severity="error", stage=RECORDER_WRITE, detail=why)
            self._tables.write("events")

    def accepted(self) -> None:
        """Tells that it does again, if it did not."""
        if self._refused_since_ns is not None:
            since_ns, self._refused_since_ns = self._refused_since_ns, None
            self._event(
                "disk",
                since_ns,
                self._clock.utc_ns(),
                "info",
                RECORDER_WRITE,
                f"writing again; was: {self._refused_why}",
            )

    def gone(self, what: str, recorded_seq: int, *, tell_flows: bool) -> None:
        """Tells that what was recorded is gone from the disk; the losses are told by themselves.

        Args:
            what: What is, in words.
            recorded_seq: Last ring sequence that is still there; 0: none.
            tell_flows: The flows are gone with it.
        """
        self._recorded_seq = self._told_seq = recorded_seq
        self._event("disk", self._clock.utc_ns(), severity="error", stage=ARCHIVE, detail=what)
        if tell_flows:
            with suppress(StorageError):
                self._tell_flows()

    def tick(self) -> None:
        """Call it about once a second."""
        now = self._clock.monotonic_ns()
        if self._stats.pending_rows and now - self._last_packet_ns >= _QUIET_NS:
            self._add_stats(self._stats.flush())
        if now - self._read_ns >= _SECOND_NS * 9 // 10:
            self._tell_books(None)
        self._tables.tick()

    def count_last(self) -> None:
        """Tells the books as they are at the end, before anybody asks whose fault something is."""
        self._tell_books("stop")

    def finish(self, told: str, *, is_sound: bool = True) -> None:
        """Tells how the recorder ends, and writes all that waits; after `count_last`."""
        self._add_stats(self._stats.flush())
        if self.bad_stamps:
            self.bad_stamps.finish()
        self._event("restart", self._clock.utc_ns(), severity="info" if is_sound else "error", detail=told)
        self._tables.finish()

    def _event(
        self,
        kind: str,
        start_ns: int,
        end_ns: int | None = None,
        severity: Severity = "info",
        stage: str | None = None,
        detail: str | None = None,
    ) -> None:
        ring_seq = max(self._recorded_seq, self._told_seq)
        event = self._events.of(kind, start_ns, end_ns, severity, ring_seq=ring_seq, stage=stage, detail=detail)
        self._tables.add("events", event_batch([event]))

    def _tell_flows(self) -> None:
        """The flows in force, if they are others than those that the archive knows of this ring."""
        flows = self._ring.flows()
        if not flows:
            return
        known = self._archive.rows("channels", ["ring_id", "ring_seq", "config_hash"]).to_pylist()
        mine = [each["config_hash"] for each in known if each["ring_id"] == self._ring.ring_id]
        if mine and mine[-1] == flows_hash(flows):
            return
        now = self._clock.utc_ns()
        self._tables.add("channels", channel_rows(self._belonging, self._recorded_seq, now, flows))
        what = f"{len(flows)} flows in force, hash {flows_hash(flows)[:16]}"
        self._event("config", now, detail=what if mine else f"first of this ring: {what}")

    def _tell_books(self, occasion: Occasion | None) -> None:
        """Reads all counters, downstream ones first; None: as the second or the writer of the ring has it."""
        self._read_ns, at_ns = self._clock.monotonic_ns(), self._clock.utc_ns()
        readings = [*self._read_recorder()]
        ring = self.read_ring() if self.read_ring else RingReadings(None, None, ())
        writer = (ring.epoch, ring.holder_id)
        if occasion is None:
            same_holder = self._writer is not None and self._writer[1] == writer[1] and writer[1] is not None
            occasion = "second" if writer == self._writer else "handover" if same_holder else "epoch"
            if occasion != "second":
                self._tell_writer(ring, _WRITERS[occasion])
                self._tell_flows()
        elif self._is_untold(ring):
            self._tell_writer(ring, "while its beginning was not looked at")
        self._writer = writer
        if self.attribution and self.read_ring:
            self.attribution.read(at_ns, ring)
        if self.bad_stamps:
            self.bad_stamps.read(at_ns, ring)
        readings += ring.readings
        if readings:
            rows = counter_rows(self._belonging, self._recorded_seq, at_ns, ring.epoch, readings, occasion)
            self._tables.add("counters", rows)

    def _is_untold(self, ring: RingReadings) -> bool:
        """Whether the writer began since the last look: of this recorder, or of one before it."""
        if self._writer is None:
            return (ring.epoch or 0) > 1 and ring.first_seq is not None and ring.first_seq > self._recorded_seq > 0
        return self._writer[0] != ring.epoch

    def _tell_writer(self, ring: RingReadings, how: str) -> None:
        """Another capture writes the ring."""
        if ring.epoch is not None:
            now_ns = self._clock.utc_ns()
            began_ns = now_ns if ring.attached_ns is None else min(ring.attached_ns, now_ns)
            detail = f"capture began anew, epoch {ring.epoch}, {how}"
            self._event("restart", began_ns, severity="warning", detail=detail)

    def stood_still(self, since_ns: int) -> None:
        """Tells that the recorder did nothing for a while, until now."""
        now_ns = self._clock.utc_ns()
        seconds = (self._clock.monotonic_ns() - since_ns) / 1e9
        detail = f"recorder stood still for {seconds:.1f} s: stopped, starved of its core, or its disk hung"
        self._event("restart", now_ns - round(seconds * 1e9), now_ns, "warning", detail=detail)

    def _tell_for_the_dead(self) -> None:
        """What an earlier recorder had recorded and was killed before it could tell."""
        after = self._summed_seq = told_through(self._archive, self._ring.ring_id)
        losses = UntoldLosses(self._archive, self._ring.ring_id, after)
        for rows in rows_after(self._archive, self._ring.ring_id, after):
            for loss in losses.look(rows):
                event = self._events.of_loss(loss, rows, self._last_ts_ns, self._recorded_seq)
                self._tables.add("events", event_batch([event]))
            self._sum_up(rows)

    def _sum_up(self, rows: pa.RecordBatch, first: Any = None) -> None:
        self._add_stats(self._stats.add(rows.select(SOURCE_COLUMNS), first))

    def _add_stats(self, rows: pa.RecordBatch | None) -> None:
        if rows is not None:
            self._summed_seq = rows.column("ring_seq")[-1].as_py()
            self._tables.add("stats", rows)
