"""Several rings read as one, in the order of their stamps.

Every row of every ring comes out once, with its ring's own `ring_seq`, `epoch`, `flow_id`, `source` and `lost_before`;
what a row's ring is, the column `ring` says. Nothing here writes to a ring or delays its writer.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from nanotape.capture.columns import RING_SCHEMA, ts_kind_dictionary
from nanotape.capture.errors import RingError
from nanotape.capture.lane import AFTER_ALL, BEFORE_ALL, Addresses, Key, Lane, Part, Reader
from nanotape.capture.packet import Packet
from nanotape.capture.reader import MAX_BYTES, MAX_ROWS, Stop
from nanotape.capture.waiting import Waiting, waiting_of

HOLD_S = 10e-3
HELD_ROWS = 65_536
HELD_BYTES = 32 << 20
_HELD_BYTES_OF_ALL = 1 << 30  # far below what the offsets of one column can count

MERGED_SCHEMA = RING_SCHEMA.append(
    pa.field(
        "ring",
        pa.dictionary(pa.int32(), pa.string()),
        nullable=False,
        metadata={"note": "with ring_seq it names a row; epoch, flow_id and source are this ring's"},
    )
)
"""`RING_SCHEMA` and the ring of each row."""


@dataclass(frozen=True, slots=True)
class RingPacket(Packet):
    """One row of `MERGED_SCHEMA`."""

    ring: str


class MergedReader:
    """Merges what readers of several rings hand out. For one thread; the readers stay the caller's to close.

    Rows come in the order of `(ts, ring, ring_seq)`, rings in the order in which they were given, but for rows that
    are late. A row goes out

    - once every ring has shown a row that stands behind it, or
    - once it was read `hold_s` ago, all other rings were read to their ends since, and no such row was there.
      A ring that is quiet, or whose writer is dead, so delays the others by `hold_s` and no more.

    A row is late when one that stands behind it went out before it was read: it goes out at once, and `late` counts it.
    That takes a ring whose stamps go backwards from one read to the next (or lie ahead, which makes late what follows
    them, in any ring), or a row that another ring published more than `hold_s` after a row behind it had been read.
    Time is held from reading, not from the stamp: rows of files, whose stamps lie in the past, merge as well.
    Rows whose stamp cannot be right (flag `bad_stamp`) stand with the row before them in their ring.

    A ring that is far behind is waited for as long as it has rows to read; meanwhile no more of the others is read than
    can be held (`held_rows`, and `HELD_BYTES` or little more), and they wait in their rings. What a reader loses
    there is in `lost_before` of its ring's next row, as ever.
    """

    def __init__(
        self,
        readers: Mapping[str, Reader],
        hold_s: float = HOLD_S,
        held_rows: int = HELD_ROWS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Reads nothing yet.

        Args:
            readers: A reader of each ring, by the name that the column `ring` gives it.
            hold_s: How long a row waits for what may stand before it.
            held_rows: Of one ring so many wait at most.
            clock: Seconds.
        """
        if not readers:
            raise ValueError("readers: expected one at least, found none")
        self._addresses = Addresses()
        self._lanes = [Lane(name, order, each, self._addresses) for order, (name, each) in enumerate(readers.items())]
        self._names = pa.array(list(readers), pa.string())
        self._hold_s, self._held_rows, self._clock = hold_s, held_rows, clock
        self._held_bytes = min(HELD_BYTES, _HELD_BYTES_OF_ALL // len(readers))
        self._frontier = BEFORE_ALL
        self._ready: deque[pa.RecordBatch] = deque()

    @property
    def late(self) -> int:
        """Rows that came out behind one that they should stand before; all others are in order."""
        return sum(self.late_by_ring.values())

    @property
    def late_by_ring(self) -> dict[str, int]:
        """The same, for each ring."""
        return {lane.name: lane.late for lane in self._lanes}

    @property
    def held(self) -> int:
        """Rows read and not yet handed out."""
        return sum(lane.rows for lane in self._lanes) + sum(int(batch.num_rows) for batch in self._ready)

    def batches(
        self,
        wait: Literal["sleep", "spin"] | Waiting = "sleep",
        max_rows: int = MAX_ROWS,
        max_bytes: int = MAX_BYTES,
        stop: Stop | None = None,
        idle: float | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Batches of `MERGED_SCHEMA` as they come, for ever; dictionaries only grow.

        At its end all that was read has come out. If the caller leaves earlier, the next call goes on with the rest.

        Args:
            wait: What to do while nothing is there.
            max_rows: At most so many rows in a batch, and in a read of a ring.
            max_bytes: Ends the read of a ring: see `RingReader.read`.
            stop: Ends the iteration once it is true or set; looked at before each round of reads.
            idle: Ends the iteration after so many seconds without a record of any ring.

        Raises:
            RingReplaced: One of the rings was removed or made anew. It is read to its end by then, and so are the
                others, as far as they were written.
            RingCorrupt: The same for a ring that holds what no writer could have written.
        """
        waiting = waiting_of(wait)
        stopped = stop.is_set if isinstance(stop, threading.Event) else stop
        quiet_since: float | None = None
        error: RingError | None = None
        while error is None and not (stopped and stopped()):
            now = self._clock()
            came = self._read(now, max_rows, max_bytes)
            self._release(self._limit(now), max_rows)
            yield from self._handed()
            is_caught_up = all(lane.caught_up for lane in self._lanes)
            if is_caught_up:  # also while something comes: a busy ring would hide for ever that another has ended
                error = next((lane.error for lane in self._lanes if lane.error), None)
            if came:
                waiting.reset()
                quiet_since = None
                continue
            if is_caught_up:
                quiet_since = now if quiet_since is None else quiet_since
                if idle is not None and now - quiet_since >= idle:
                    break
            if error is None:
                waiting.wait()
        self._release(AFTER_ALL, max_rows)
        yield from self._handed()
        if error is not None:
            raise error

    def packets(self, **options: Any) -> Iterator[RingPacket]:
        """Single packets; takes what `batches` takes."""
        for batch in self.batches(**options):
            yield from ring_packets_of(batch)

    def _read(self, now: float, max_rows: int, max_bytes: int) -> bool:
        """Lets each ring that has room be read once; returns whether anything came."""
        came = False
        for lane in self._lanes:
            if lane.error is not None:
                continue
            rows, size = self._held_rows - lane.rows, self._held_bytes - int(lane.bytes)
            if rows <= 0 or size <= 0:
                lane.caught_up = False
                continue
            batch = lane.read(now, min(max_rows, rows), min(max_bytes, size))
            if batch is not None:
                lane.hold(batch, self._clock(), self._frontier)
                came = True
        return came

    def _limit(self, now: float) -> Key:
        """Up to where rows may go out.

        `now` lies before the last reads: a ring that was read to its end then has shown what it had when the hold of
        the ripe rows was over. The ring that `shown` comes from keeps nothing back, so it always has room.
        """
        coming = [lane for lane in self._lanes if lane.error is None]
        shown = min((lane.high for lane in coming), default=AFTER_ALL)
        behind = min((lane.high for lane in coming if not lane.caught_up), default=AFTER_ALL)
        ripe = max(lane.ripe(now - self._hold_s) for lane in self._lanes)
        return max(shown, min(behind, ripe), self._frontier)

    def _release(self, limit: Key, max_rows: int) -> None:
        parts = [part for lane in self._lanes for part in lane.take(limit)]
        if parts:
            merged = self._merged(parts)
            self._ready.extend(merged.slice(at, max_rows) for at in range(0, merged.num_rows, max_rows))

    def _handed(self) -> Iterator[pa.RecordBatch]:
        while self._ready:
            yield self._ready.popleft()

    def _merged(self, parts: list[Part]) -> pa.RecordBatch:
        """One batch of the parts, which come ring by ring: a stable sort leaves rows of one place in that order."""
        places = np.concatenate([part.places for part in parts])
        orders = np.repeat(np.array([part.order for part in parts], np.int32), [part.batch.num_rows for part in parts])
        batch = parts[0].batch if len(parts) == 1 else _joined(parts)
        if np.any(places[1:] < places[:-1]):
            sorting = np.argsort(places, kind="stable")
            places, orders = places[sorting], orders[sorting]
            batch = batch.take(pa.array(sorting.astype(np.uint32)))
        self._frontier = max(self._frontier, (int(places[-1]), int(orders[-1])))
        return self._finished(batch, orders)

    def _finished(self, batch: pa.RecordBatch, orders: npt.NDArray[np.int32]) -> pa.RecordBatch:
        addresses = self._addresses.dictionary()
        dictionaries = {"ts_kind": ts_kind_dictionary(), "src_ip": addresses, "dst_ip": addresses, "ring": self._names}
        columns = [
            pa.DictionaryArray.from_arrays(column, dictionaries[name], safe=False) if name in dictionaries else column
            for name, column in zip(MERGED_SCHEMA.names, [*batch.columns, pa.array(orders)], strict=True)
        ]
        return pa.RecordBatch.from_arrays(columns, schema=MERGED_SCHEMA)


def _joined(parts: list[Part]) -> pa.RecordBatch:
    (batch,) = pa.Table.from_batches([part.batch for part in parts]).combine_chunks().to_batches()
    return batch


def ring_packets_of(batch: pa.RecordBatch) -> Iterator[RingPacket]:
    """The rows of a merged batch, in order."""
    names = [name for name in MERGED_SCHEMA.names if name != "ts"]
    stamps = batch.column("ts").cast(pa.int64()).to_pylist()
    columns = (batch.column(name).to_pylist() for name in names)
    for ts, *row in zip(stamps, *columns, strict=True):
        yield RingPacket(ts=ts, **dict(zip(names, row, strict=True)))
