"""What a recorder tells beside the packets: losses and faults as events, traffic by second, the books, the flows.

A loss is told before the row that comes after it is written; all else follows the packets, and what a dead recorder
had not come to is told by the next one. It never stops a recorder: what cannot be written waits.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nanotape.storage.archive import Archive
from nanotape.storage.books import Occasion, Reading, RingReadings, channel_rows, counter_rows, flows_hash
from nanotape.storage.clock import Clock
from nanotape.storage.errors import StorageError
from nanotape.storage.events import RECORDER_WRITE, Event, Severity, event_batch
from nanotape.storage.log import Log
from nanotape.storage.packets import RingFacts
from nanotape.storage.parquet_facts import read_parquet
from nanotape.storage.segment_facts import read_segment
from nanotape.storage.settlement import Loss
from nanotape.storage.side_tables import SideTables
from nanotape.storage.table_schemas import table_schema
from nanotape.storage.traffic_stats import SOURCE_COLUMNS, Belonging, TrafficStats

_SECOND_NS = 10**9
_QUIET_NS = 2 * _SECOND_NS

ReadRing = Callable[[], RingReadings]
"""Reads the counters of a ring's sources."""
ReadRecorder = Callable[[], Sequence[Reading]]
"""The recorder's own counters."""


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
        self._archive, self._ring, self._tables, self._clock = archive, ring, tables, clock
        self._log, self._read_recorder = log, read_recorder
        self._belonging = Belonging(ring.host, ring.name, ring.ring_id)
        self._stats = TrafficStats(self._belonging)
        self._recorded_seq = 0
        self._told_seq = 0
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
            for batch in self._not_summed_up():
                self._sum_up(batch)
        except StorageError as error:
            self._log(f"{error}; what an earlier recorder did not sum up may be missing in stats and channels")
        self._tell_books("start")
        self._tables.write_all()

    def lost(self, losses: Sequence[Loss], rows: pa.RecordBatch) -> None:
        """Tells losses, each before one of the rows of packets, which are about to be written."""
        sequences = rows.column("ring_seq").to_numpy()
        stamps = rows.column("ts").cast(pa.int64()).to_numpy()
        events = []
        for loss in losses:
            after = int(np.searchsorted(sequences, loss.last_seq))
            before_ns = self._last_ts_ns if not after else int(stamps[after - 1])
            after_ns = int(stamps[min(after, len(stamps) - 1)])
            start_ns = after_ns if before_ns is None else min(before_ns, after_ns)
            events.append(self._loss_event(loss, start_ns, after_ns, int(sequences[-1])))
        self._told_seq = max(self._told_seq, int(sequences[-1]))
        self._tables.add("events", event_batch(events))
        self._tables.write("events")  # or it waits

    def recorded(self, rows: pa.RecordBatch) -> None:
        """Sums up packets that are in the archive now."""
        self._recorded_seq = rows.column("ring_seq")[-1].as_py()
        self._last_ts_ns = rows.column("ts").cast(pa.int64())[-1].as_py()
        self._last_packet_ns = self._clock.monotonic_ns()
        self._sum_up(rows)

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

    def gone(self, why: str) -> None:
        """Tells that what was recorded is gone from the disk; the losses are told by themselves."""
        self._event("disk", self._clock.utc_ns(), severity="error", stage="archive", detail=why)

    def tick(self) -> None:
        """Call it about once a second."""
        now = self._clock.monotonic_ns()
        if self._stats.pending_rows and now - self._last_packet_ns >= _QUIET_NS:
            self._add_stats(self._stats.flush())
        if now - self._read_ns >= _SECOND_NS * 9 // 10:
            self._tell_books(None)
        self._tables.tick()

    def finish(self, told: str) -> None:
        """Tells that the recorder ends in order, and writes all that waits."""
        self._add_stats(self._stats.flush())
        self._tell_books("stop")
        self._event("restart", self._clock.utc_ns(), detail=told)
        self._tables.finish()

    def let_go(self) -> None:
        """Ends all use of the files."""
        self._tables.let_go()

    def _event(
        self,
        kind: str,
        start_ns: int,
        end_ns: int | None = None,
        severity: Severity = "info",
        stage: str | None = None,
        detail: str | None = None,
    ) -> None:
        event = Event(
            kind,
            start_ns,
            end_ns,
            severity,
            *(self._ring.host, self._ring.name, self._ring.ring_id),
            ring_seq=max(self._recorded_seq, self._told_seq),
            stage=stage,
            detail=detail,
        )
        self._tables.add("events", event_batch([event]))

    def _loss_event(self, loss: Loss, start_ns: int, end_ns: int, ring_seq: int) -> Event:
        return Event(
            "capture_loss",
            start_ns,
            max(start_ns, end_ns),
            "error",
            *(self._ring.host, self._ring.name, self._ring.ring_id),
            ring_seq=ring_seq,
            stage=loss.stage,
            cause="ours",
            seq_kind="ring",
            seq_first=loss.first_seq,
            seq_last=loss.last_seq,
            packets_lost=loss.packets,
        )

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
                self._tell_flows()
        self._writer = writer
        readings += ring.readings
        if readings:
            rows = counter_rows(self._belonging, self._recorded_seq, at_ns, ring.epoch, readings, occasion)
            self._tables.add("counters", rows)

    def _sum_up(self, rows: pa.RecordBatch) -> None:
        self._add_stats(self._stats.add(rows.select(SOURCE_COLUMNS)))

    def _add_stats(self, rows: pa.RecordBatch | None) -> None:
        if rows is not None:
            self._tables.add("stats", rows)

    def _not_summed_up(self) -> Iterator[pa.RecordBatch]:
        """What is recorded and in no row of `stats` yet: a few seconds' packets, after a recorder that died."""
        ring_id = self._ring.ring_id
        after = self._archive.visible("stats").ends.get(ring_id, 0)
        visible, schema = self._archive.visible(), table_schema("packets")
        wanted = pa.schema([schema.field(name) for name in (*SOURCE_COLUMNS, "ring_id")])
        for file in visible.parquet:
            held = file.entry.rings.get(ring_id)
            if held and held.last_seq > after:
                rows = pa.Table.from_batches(read_parquet(file, wanted), wanted)
                yield from _later(rows.sort_by("ring_seq"), ring_id, after)
        for facts in visible.segments:
            if facts.ring_id == ring_id and facts.last_seq > after:
                for batch in read_segment(facts, wanted):
                    yield from _later(pa.Table.from_batches([batch]), ring_id, after)


def _later(rows: pa.Table, ring_id: str, after: int) -> Iterator[pa.RecordBatch]:
    chosen = rows.filter((pc.field("ring_seq") > after) & (pc.field("ring_id") == ring_id))
    if chosen.num_rows:
        yield from chosen.unify_dictionaries().combine_chunks().to_batches()
