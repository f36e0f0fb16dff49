"""Re-sends the packets of chosen channels to other destinations, payload by payload, in the order of the ring.

A reader like any other: it never delays the writer, and knows what it lost. It never sends to what is captured here.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from nanotape.capture.columns import FLAG_BITS
from nanotape.capture.counters import Epoch, Flow, SourceCounters
from nanotape.capture.errors import RelayLooped
from nanotape.capture.flow_table import FlowTable
from nanotape.capture.reader import Stop
from nanotape.capture.relay_books import Era, FlowBook, FlowReport, RelayReport, TargetReport
from nanotape.capture.relay_outlet import Outlet
from nanotape.capture.relay_rows import headed, payloads_of, senders_of
from nanotape.capture.relay_target import Routes, Target
from nanotape.capture.waiting import Waiting

MAX_ROWS = 4096
GUARD_S = 1.0
"""How soon a destination that somebody begins to capture is noticed; on the relay's own ring it is at once."""

_UNREADABLE = FLAG_BITS["unparsed"] | FLAG_BITS["bad_checksum"]

Mask = npt.NDArray[np.bool_]


class HasTables(Protocol):
    """What is needed of `nanotape.capture.Ring`."""

    @property
    def name(self) -> str:
        """As configured."""

    def flows(self) -> Sequence[Flow]:
        """The flow table."""

    def sources(self) -> Sequence[SourceCounters]:
        """The sources."""

    def epoch_entry(self, epoch: int) -> Epoch | None:
        """One writer's entry in the history."""


class Reading(Protocol):
    """What is needed of `RingReader`."""

    @property
    def lost(self) -> int:
        """Records lost."""

    @property
    def loss_events(self) -> int:
        """Losses with a record between them."""

    @property
    def lag_bytes(self) -> int:
        """Bytes published and not read."""

    def batches(self, *, wait: Waiting, max_rows: int, stop: Stop) -> Iterator[pa.RecordBatch]:
        """As they come, for ever."""


class Guard(Protocol):
    """What is needed of `CapturedFlows`."""

    def conflict(self, targets: Sequence[Target]) -> str | None:
        """Why one of the destinations must not be sent to."""


@dataclass(frozen=True, slots=True)
class RelayOptions:
    """How to relay."""

    keep_source: bool = False
    """Datagrams go out from the address and port that they came from."""
    ttl: int | None = None
    """Hops that they may go; None: 1 for a group, the host's default for others."""
    interval_s: float = 10.0
    """Between two reports; 0: none but the last."""
    count: int | None = None
    """Ends after so many packets; None: goes on."""


class Relay:
    """One relay from a ring."""

    def __init__(
        self,
        ring: HasTables,
        reader: Reading,
        routes: Routes,
        outlets: Sequence[Outlet],
        guard: Guard,
        options: RelayOptions | None = None,
        *,
        reader_name: str | None = None,
        clock: Callable[[], float] = time.monotonic,
        utc_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """Sends nothing yet.

        Args:
            ring: The ring.
            reader: Of it; stands where to begin.
            routes: What goes where.
            outlets: One for each of the routes' targets, in their order.
            guard: Knows what is captured here.
            options: None: the defaults.
            reader_name: Under which others see the reader; None: they do not.
            clock: Seconds.
            utc_ns: UTC, for delays.
        """
        self._ring, self._reader, self._routes, self._outlets = ring, reader, routes, outlets
        self._guard, self._options, self._reader_name = guard, options or RelayOptions(), reader_name
        self._clock, self._utc_ns = clock, utc_ns
        self._flows = FlowTable(ring)
        self._books: dict[int, FlowBook] = {}
        self._ways: list[Mask] = []
        self._eras: dict[int, Era] = {}
        self._packets = self._packets_told = 0
        self._began = self._told = self._guarded = clock()
        self._delay_max_ns: int | None = None
        self._read_flows()

    def run(self, stop: Stop, waiting: Waiting, tell: Callable[[RelayReport], object]) -> None:
        """Relays until the stop, or the count is reached.

        Args:
            stop: Asked before each read.
            waiting: What to do while nothing comes; `tick` is to be called now and then.
            tell: Takes a report at each interval.

        Raises:
            RelayLooped: Somebody captures a destination now.
            RingReplaced: All is relayed, and the ring was removed or made anew.
            RingCorrupt: It holds what no writer could have written.
        """
        self._tell = tell
        for batch in self._reader.batches(wait=_Ticking(waiting, self.tick), max_rows=MAX_ROWS, stop=stop):
            self.take(batch)
            self.tick()
            if self._options.count is not None and self._packets >= self._options.count:
                return

    def tick(self) -> None:
        """Does what is due: looks for captured destinations, and reports."""
        now = self._clock()
        if now - self._guarded >= GUARD_S:
            self._guarded = now
            self._check()
            for outlet in self._outlets:
                outlet.mend()
        if self._options.interval_s and now - self._told >= self._options.interval_s:
            self._tell(self.report())

    def take(self, batch: pa.RecordBatch) -> None:
        """Relays a batch of the ring.

        Raises:
            RelayLooped: It came with a new flow, which is a destination; nothing of it was sent.
        """
        flow_ids = batch.column("flow_id").to_numpy()
        if self._flows.refresh(np.unique(flow_ids).tolist()):
            self._read_flows()
            self._check()
        flow_ids = np.where(flow_ids < len(self._ways[0]), flow_ids, 0)
        routed = np.logical_or.reduce([way[flow_ids] for way in self._ways])
        if not routed.any():
            return
        good = routed & self._count(batch, flow_ids, routed)
        good = self._cut(good)
        for outlet, way in zip(self._outlets, self._ways, strict=True):
            rows = np.flatnonzero(good & way[flow_ids])
            if len(rows):
                self._send(outlet, batch, rows)
        if good.any():
            self._packets += int(np.count_nonzero(good))
            oldest_ns = int(batch.column("ts").cast(pa.int64())[int(np.argmax(good))].as_py())
            self._delay_max_ns = max(self._delay_max_ns or 0, self._utc_ns() - oldest_ns)

    def report(self) -> RelayReport:
        """What came of it up to now."""
        now = self._clock()
        since_s = max(now - self._told, 1e-9)
        report = RelayReport(
            ring=self._ring.name,
            reader=self._reader_name,
            seconds=now - self._began,
            packets=self._packets,
            packets_s=(self._packets - self._packets_told) / since_s,
            ring_lost=self._reader.lost,
            loss_events=self._reader.loss_events,
            lag_bytes=self._reader.lag_bytes,
            delay_max_ns=self._delay_max_ns,
            flows=tuple(_of_flow(book) for _, book in sorted(self._books.items())),
            targets=tuple(_of_outlet(outlet) for outlet in self._outlets),
        )
        self._told, self._packets_told, self._delay_max_ns = now, self._packets, None
        return report

    def _read_flows(self) -> None:
        flows = self._flows.all()
        size = max((flow.id for flow in flows), default=0) + 1
        self._ways = [np.zeros(size, np.bool_) for _ in self._outlets]
        for flow in flows:
            for place in self._routes.targets_of(flow):
                self._ways[place][flow.id] = True
                self._books.setdefault(flow.id, FlowBook(flow))

    def _check(self) -> None:
        found = self._guard.conflict(self._routes.targets)
        if found is not None:
            raise RelayLooped(f"relay ended: {found}")

    def _count(self, batch: pa.RecordBatch, flow_ids: npt.NDArray[np.uint32], routed: Mask) -> Mask:
        """Enters what is routed into the books; returns what of it can be sent."""
        flags = batch.column("flags").to_numpy()
        has_port = batch.column("dst_port").is_valid().to_numpy(zero_copy_only=False)
        fragment = flags & FLAG_BITS["fragment"] != 0
        truncated = ~fragment & (flags & FLAG_BITS["truncated"] != 0)
        unparsed = ~fragment & ~truncated & ((flags & _UNREADABLE != 0) | ~has_port)
        sequences = batch.column("flow_seq").to_numpy()
        epochs = batch.column("epoch").fill_null(0).to_numpy(zero_copy_only=False)
        for flow_id in np.unique(flow_ids[routed]).tolist():
            mine = flow_ids == flow_id
            book = self._books[flow_id]
            for epoch in np.unique(epochs[mine]).tolist():
                book.count(self._era(epoch), sequences[mine & (epochs == epoch)])
            for why, mask in (("truncated", truncated), ("fragment", fragment), ("unparsed", unparsed)):
                book.left_out[why] += int(np.count_nonzero(mine & mask))
        whole: Mask = ~(fragment | truncated | unparsed)
        return whole

    def _era(self, epoch: int) -> Era:
        """AF_XDP counts for as long as its holder lives, all else in each epoch anew."""
        if epoch not in self._eras:
            entry = self._ring.epoch_entry(epoch)
            is_held = any(source.kind == "afxdp" for source in self._ring.sources())
            holder = entry.holder_id if entry is not None and is_held else None
            self._eras[epoch] = ("epoch", epoch) if holder is None else ("holder", holder)
        return self._eras[epoch]

    def _cut(self, good: Mask) -> Mask:
        if self._options.count is not None:
            good &= np.cumsum(good) <= self._options.count - self._packets
        return good

    def _send(self, outlet: Outlet, batch: pa.RecordBatch, rows: npt.NDArray[np.int64]) -> None:
        if not self._options.keep_source:
            outlet.send(payloads_of(batch.column("payload"), rows))
            return
        fits, senders = senders_of(batch, rows, outlet.target.version)
        outlet.unfit += int(np.count_nonzero(~fits))
        if fits.any():
            ttl = self._options.ttl or (1 if outlet.target.is_multicast else 64)
            outlet.send(headed(batch, rows[fits], senders[fits], outlet.target, ttl))


class _Ticking:
    """Waits as another does, and ticks."""

    def __init__(self, waiting: Waiting, tick: Callable[[], None]) -> None:
        self._waiting, self._tick = waiting, tick

    def reset(self) -> None:
        self._waiting.reset()

    def wait(self) -> None:
        self._tick()
        self._waiting.wait()


def _of_flow(book: FlowBook) -> FlowReport:
    flow = book.flow
    return FlowReport(flow.channel, flow.line, flow.group, flow.port, book.packets, book.lost, dict(book.left_out))


def _of_outlet(outlet: Outlet) -> TargetReport:
    counts = (outlet.sent, outlet.bytes, outlet.failures, outlet.unfit, outlet.refused, outlet.last_error)
    return TargetReport(str(outlet.target), *counts)
