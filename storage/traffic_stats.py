"""Sums up recorded packets by second, channel and line: the rows of `stats`.

A second is summed up when a later one begins, or when asked; each packet is in one row. Costs a few array operations
a batch, never a look at single packets.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from nanotape.storage.line_rates import LineRates
from nanotape.storage.table_schemas import table_schema
from nanotape.storage.traffic_sums import (
    SUMMED,
    UNDECODED,
    UNKNOWN_DELAY,
    Longs,
    StampedPackets,
    TrafficSums,
    summed_up,
)

SOURCE_COLUMNS = ("ring_seq", "ts", "wire_len", "rx_delay_ns", "feed", "channel", "line", "feed_count")
"""Of `packets`: all that is needed."""
_PENDING_MAX = 8 << 20  # rows of one second
_PENDING_BACK_MAX = 1 << 20  # where time goes back: stamps of a wrong clock, or an older file, must not fill the memory
LineName = tuple[str | None, str, str | None]
"""Feed, channel and line; None: of none."""


@dataclass(frozen=True, slots=True)
class Belonging:
    """Whose the rows are."""

    host: str
    ring: str
    ring_id: str


class TrafficStats:
    """Of one ring."""

    def __init__(self, belonging: Belonging) -> None:
        """Knows nothing yet."""
        self.rates = LineRates()
        """Of the newest seconds, and the highest so far."""
        self._belonging = belonging
        self._names: dict[LineName, int] = {}
        self._table = np.empty(0, np.int64)
        self._dictionaries: tuple[pa.Array, ...] = ()
        self._pending: list[StampedPackets] = []
        self._newest_s: int | None = None

    @property
    def names(self) -> Mapping[LineName, int]:
        """The place of each line in `rates`."""
        return self._names

    @property
    def pending_rows(self) -> int:
        """Packets that no row tells of yet."""
        return sum(len(each.ts) for each in self._pending)

    def add(self, batch: pa.RecordBatch, first: npt.NDArray[np.uint8] | None = None) -> pa.RecordBatch | None:
        """Takes recorded packets.

        Args:
            batch: With SOURCE_COLUMNS, of packets that come after all that were added before.
            first: For each 1: its line was the first to bring it, 0: it was not, 2: unknown; None: unknown for all.

        Returns:
            The rows of the seconds before the newest one, when that begins in this batch; else None.
        """
        sequences = batch.column("ring_seq")
        packets = self._packets(batch, first, sequences[-1].as_py())
        seconds = packets.ts // 10**9
        newest = int(seconds.max())
        pending_max = _PENDING_MAX if newest == self._newest_s else _PENDING_BACK_MAX
        if self._newest_s is not None and newest <= self._newest_s and self.pending_rows < pending_max:
            self._pending.append(packets)
            return None
        had, self._newest_s = self._newest_s is not None, newest
        begin = int(np.argmax(seconds == newest)) if newest > seconds[0] or not had else 0
        if begin:
            self._pending.append(packets.slice(0, begin, sequences[begin - 1].as_py()))
        done = self.flush()
        self._newest_s = newest
        self._pending.append(packets.slice(begin, len(packets.ts), packets.last_seq))
        return done

    def flush(self) -> pa.RecordBatch | None:
        """Sums up all that was added; None: nothing was since."""
        pending, self._pending, self._newest_s = self._pending, [], None
        if not pending:
            return None
        joined = {name: np.concatenate([getattr(each, name) for each in pending]) for name in SUMMED}
        packets = StampedPackets(**joined, last_seq=pending[-1].last_seq)
        sums = summed_up(packets, len(self._names))
        self.rates.take(sums, len(self._names))
        return self._rows(sums, packets.last_seq)

    def _packets(self, batch: pa.RecordBatch, first: npt.NDArray[np.uint8] | None, last_seq: int) -> StampedPackets:
        delays = batch.column("rx_delay_ns").fill_null(UNKNOWN_DELAY).to_numpy()
        return StampedPackets(
            self._keys([batch.column(name) for name in ("feed", "channel", "line")]),
            batch.column("ts").cast(pa.int64()).to_numpy().copy(),  # what is kept must not keep the reader's memory
            batch.column("wire_len").to_numpy().astype(np.int64),
            delays.copy(),
            batch.column("feed_count").cast(pa.int64()).fill_null(UNDECODED).to_numpy().copy(),
            np.full(batch.num_rows, 2, np.int64) if first is None else first.astype(np.int64),
            last_seq,
        )

    def _keys(self, columns: Sequence[pa.DictionaryArray]) -> Longs:
        """A number for each row's feed, channel and line, the same over all batches."""
        dictionaries = tuple(column.dictionary for column in columns)
        known = len(dictionaries) == len(self._dictionaries)
        if not known or not all(a.equals(b) for a, b in zip(dictionaries, self._dictionaries, strict=True)):
            size = int(np.prod([len(each) + 1 for each in dictionaries]))
            self._dictionaries, self._table = dictionaries, np.full(size, -1, np.int64)
        flat = np.zeros(len(columns[0]), np.int64)
        for column in columns:
            flat *= len(column.dictionary) + 1
            flat += column.indices.fill_null(-1).to_numpy() + 1
        for code in np.flatnonzero(np.bincount(flat, minlength=1)):
            if self._table[code] < 0:
                self._table[code] = self._names.setdefault(self._name(int(code)), len(self._names))
        return self._table[flat]

    def _name(self, code: int) -> tuple[str | None, str, str | None]:
        parts = []
        for dictionary in reversed(self._dictionaries):
            code, index = divmod(code, len(dictionary) + 1)
            parts.append(dictionary[index - 1].as_py() if index else None)
        line, channel, feed = parts
        return feed, channel or "", line

    def _rows(self, sums: "TrafficSums", last_seq: int) -> pa.RecordBatch:
        rows, names = len(sums.keys), list(self._names)
        told = [names[key] for key in sums.keys.tolist()]
        columns: dict[str, object] = {
            "ts": sums.seconds * 10**9,
            "host": [self._belonging.host] * rows,
            "ring": [self._belonging.ring] * rows,
            "ring_id": [self._belonging.ring_id] * rows,
            "ring_seq": np.full(rows, last_seq, np.int64),
            **{name: [each[at] for each in told] for at, name in enumerate(("feed", "channel", "line"))},
            "packets": sums.packets,
            "bytes": sums.bytes,
            "peak_1ms_packets": sums.peak_packets,
            "peak_1ms_bytes": sums.peak_bytes,
            "messages": pa.array(sums.messages, mask=sums.messages == UNDECODED),
            "gaps_ours": pa.array(np.zeros(rows, np.int64), mask=sums.messages == UNDECODED),
            "gaps_upstream": pa.array(np.zeros(rows, np.int64), mask=sums.messages == UNDECODED),
            "first_arrivals": pa.array(sums.first / np.maximum(sums.judged, 1), mask=sums.judged == 0),
            "rx_delay_p50_ns": pa.array(sums.delay_p50, mask=sums.delay_p50 == UNKNOWN_DELAY),
            "rx_delay_p99_ns": pa.array(sums.delay_p99, mask=sums.delay_p99 == UNKNOWN_DELAY),
        }
        schema = table_schema("stats")
        arrays = [
            pa.array(columns[field.name]).cast(field.type) if field.name in columns else pa.nulls(rows, field.type)
            for field in schema
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=schema)
