"""Sums up recorded packets by second, channel and line: the rows of `stats`.

A second is summed up when a later one begins, or when asked; each packet is in one row. Costs a few array operations
a batch, never a look at single packets.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from nanotape.storage.table_schemas import table_schema

SOURCE_COLUMNS = ("ring_seq", "ts", "wire_len", "rx_delay_ns", "feed", "channel", "line", "feed_count")
"""Of `packets`: all that is needed."""
_CELLS_MAX = 4 << 20  # counted by place up to this many, by sorting beyond
_PENDING_MAX = 8 << 20  # rows of one second
_PENDING_BACK_MAX = 1 << 20  # where time goes back: stamps of a wrong clock, or an older file, must not fill the memory
_SORTED_MAX = 262_144
_UNKNOWN_DELAY = np.iinfo(np.int64).min
_UNDECODED = -1
_SUMMED = ("keys", "ts", "bytes", "delays", "messages", "first")
_DELAY_SHIFT, _DELAY_BIAS = 32, 1 << 31  # delays saturate at 31 bits

Longs = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Packets:
    """Some packets, in the order of the ring."""

    keys: Longs
    ts: Longs
    bytes: Longs
    delays: Longs
    """_UNKNOWN_DELAY where unknown."""
    messages: Longs
    """_UNDECODED where no framing is decoded."""
    first: Longs
    """1: its line was the first to bring it, 0: it was not, 2: unknown."""
    last_seq: int

    def slice(self, begin: int, end: int, last_seq: int) -> "_Packets":
        cut = {name: getattr(self, name)[begin:end] for name in _SUMMED}
        return _Packets(**cut, last_seq=last_seq)


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
        self._belonging = belonging
        self._names: dict[tuple[str | None, str, str | None], int] = {}
        self._table = np.empty(0, np.int64)
        self._dictionaries: tuple[pa.Array, ...] = ()
        self._pending: list[_Packets] = []
        self._newest_s: int | None = None

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
        joined = {name: np.concatenate([getattr(each, name) for each in pending]) for name in _SUMMED}
        packets = _Packets(**joined, last_seq=pending[-1].last_seq)
        return self._rows(_summed(packets, len(self._names)), packets.last_seq)

    def _packets(self, batch: pa.RecordBatch, first: npt.NDArray[np.uint8] | None, last_seq: int) -> _Packets:
        delays = batch.column("rx_delay_ns").fill_null(_UNKNOWN_DELAY).to_numpy()
        return _Packets(
            self._keys([batch.column(name) for name in ("feed", "channel", "line")]),
            batch.column("ts").cast(pa.int64()).to_numpy().copy(),  # what is kept must not keep the reader's memory
            batch.column("wire_len").to_numpy().astype(np.int64),
            delays.copy(),
            batch.column("feed_count").cast(pa.int64()).fill_null(_UNDECODED).to_numpy().copy(),
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

    def _rows(self, sums: "_Sums", last_seq: int) -> pa.RecordBatch:
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
            "messages": pa.array(sums.messages, mask=sums.messages == _UNDECODED),
            "gaps_ours": pa.array(np.zeros(rows, np.int64), mask=sums.messages == _UNDECODED),
            "gaps_upstream": pa.array(np.zeros(rows, np.int64), mask=sums.messages == _UNDECODED),
            "first_arrivals": pa.array(sums.first_arrivals, mask=np.isnan(sums.first_arrivals)),
            "rx_delay_p50_ns": pa.array(sums.delay_p50, mask=sums.delay_p50 == _UNKNOWN_DELAY),
            "rx_delay_p99_ns": pa.array(sums.delay_p99, mask=sums.delay_p99 == _UNKNOWN_DELAY),
        }
        schema = table_schema("stats")
        arrays = [
            pa.array(columns[field.name]).cast(field.type) if field.name in columns else pa.nulls(rows, field.type)
            for field in schema
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=schema)


@dataclass(frozen=True, slots=True)
class _Sums:
    """One entry for each second and key that had packets."""

    seconds: Longs
    keys: Longs
    packets: Longs
    bytes: Longs
    peak_packets: Longs
    peak_bytes: Longs
    delay_p50: Longs
    """_UNKNOWN_DELAY: none of its packets has one."""
    delay_p99: Longs
    messages: Longs
    """_UNDECODED: of none of its packets a framing is decoded."""
    first_arrivals: npt.NDArray[np.float64]
    """Not a number: unknown."""


def _summed(summed: _Packets, key_count: int) -> _Sums:
    keys, ts = summed.keys, summed.ts
    cells, packets, octets = _milliseconds(ts // 10**6, keys, summed.bytes, key_count)
    first_ms = cells[0]
    groups = (first_ms // 1000) * key_count + cells[1]
    order = np.argsort(groups, kind="stable")
    groups, packets, octets = groups[order], packets[order], octets[order]
    starts = np.flatnonzero(np.diff(groups, prepend=groups[0] - 1))
    named = groups[starts]
    of_packets = (ts // 10**9) * key_count + keys
    p50, p99 = _percentiles(of_packets, summed.delays, named)
    messages, first_arrivals = _of_feeds(of_packets, summed, named)
    return _Sums(
        seconds=named // key_count,
        keys=named % key_count,
        packets=np.add.reduceat(packets, starts),
        bytes=np.add.reduceat(octets, starts),
        peak_packets=np.maximum.reduceat(packets, starts),
        peak_bytes=np.maximum.reduceat(octets, starts),
        delay_p50=p50,
        delay_p99=p99,
        messages=messages,
        first_arrivals=first_arrivals,
    )


def _of_feeds(groups: Longs, packets: _Packets, named: Longs) -> tuple[Longs, npt.NDArray[np.float64]]:
    """Messages, and share of first arrivals, of each of the named groups, which are sorted."""
    decoded = packets.messages != _UNDECODED
    if not decoded.any():
        return np.full(len(named), _UNDECODED), np.full(len(named), np.nan)
    places = np.searchsorted(named, groups) if len(named) > 1 else np.zeros(len(groups), np.int64)
    size = len(named)
    messages = np.bincount(places[decoded], weights=packets.messages[decoded], minlength=size).astype(np.int64)
    messages[np.bincount(places[decoded], minlength=size) == 0] = _UNDECODED
    asked = np.bincount(places[packets.first != 2], minlength=size)
    first = np.bincount(places[packets.first == 1], minlength=size)
    return messages, np.where(asked > 0, first / np.maximum(asked, 1), np.nan)


def _milliseconds(ms: Longs, keys: Longs, sizes: Longs, key_count: int) -> tuple[tuple[Longs, Longs], Longs, Longs]:
    """(milliseconds, keys), packets and bytes of each millisecond and key that had packets."""
    base = int(ms.min())
    cells = (ms - base) * key_count + keys
    if (int(ms.max()) - base + 1) * key_count <= _CELLS_MAX:
        counts = np.bincount(cells)
        present = np.flatnonzero(counts)
        packets = counts[present]
        octets = np.bincount(cells, weights=sizes)[present].astype(np.int64)
    else:
        present, inverse, packets = np.unique(cells, return_inverse=True, return_counts=True)
        octets = np.bincount(inverse, weights=sizes).astype(np.int64)
    return (present // key_count + base, present % key_count), packets.astype(np.int64), octets


def _percentiles(groups: Longs, delays: Longs, named: Longs) -> tuple[Longs, Longs]:
    """Median and 99th percentile (nearest rank) of the known delays of each of the named groups, which are sorted.

    Of many packets every n-th has to do: sorting them all would cost more than everything else here.
    """
    step = -(-len(delays) // _SORTED_MAX)
    groups, delays = groups[::step], delays[::step]
    known = delays != _UNKNOWN_DELAY
    p50 = np.full(len(named), _UNKNOWN_DELAY)
    p99 = p50.copy()
    if not known.all():
        groups, delays = groups[known], delays[known]
    if not len(groups):
        return p50, p99
    # Group and delay in one number: sorting those is several times as fast as sorting by two columns.
    places = np.searchsorted(named, groups) if len(named) > 1 else np.zeros(len(groups), np.int64)
    both = np.sort((places << _DELAY_SHIFT) + (np.clip(delays, 1 - _DELAY_BIAS, _DELAY_BIAS - 1) + _DELAY_BIAS))
    starts = np.searchsorted(both, np.arange(len(named), dtype=np.int64) << _DELAY_SHIFT)
    counts = np.diff(starts, append=len(both))
    there = counts > 0
    for target, share in ((p50, 0.5), (p99, 0.99)):
        ranks = starts[there] + np.ceil(counts[there] * share).astype(np.int64) - 1
        target[there] = (both[ranks] & ((1 << _DELAY_SHIFT) - 1)) - _DELAY_BIAS
    return p50, p99
