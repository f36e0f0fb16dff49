"""A channel as one: each of its sequences once, from the line that brought it first, and what the other line had.

Streams over any length of time. Memory holds the packets of about a second, those of a batch of each file that is open,
and the ranges that came: it grows with what is missing, not with the time. Rows are in the order of arrival.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from nanotape.storage.arbitration_statistics import MISSING_MAX, ArbitrationStatistics, ArrivalCounts, MissingRange
from nanotape.storage.arbitration_window import NO_COPY, ArbitrationWindow, Decided
from nanotape.storage.arrival_order import NEVER_NS, in_order
from nanotape.storage.arrivals import COLUMNS, Codes, Longs, Names
from nanotape.storage.errors import QueryError
from nanotape.storage.instants import Instant
from nanotape.storage.schema import NAME, TIMESTAMP, UTC_NS, column
from nanotape.storage.selection import Selection

if TYPE_CHECKING:
    from nanotape.storage.reader import ArchiveReader

WAIT_NS = 10**9
_ROUND_PACKETS = 131_072

SCHEMA = pa.schema(
    [
        column("ts", TIMESTAMP, "arrival of the packet that came first", unit=UTC_NS),
        column("host", NAME, "host that captured"),
        column("channel", NAME, "channel"),
        column("line", NAME, "line that was first", null="null: not of a configured line"),
        column("feed_session", NAME, "session that feed_seq belongs to", null="null: the framing has none"),
        column("feed_key", NAME, "key that feed_seq belongs to", null="null: the framing has none"),
        column("feed_seq", pa.int64(), "first sequence"),
        column("feed_count", pa.int64(), "sequences from there on", unit="messages"),
        column(
            "other_delay_ns",
            pa.int64(),
            "how much later the next line brought them",
            unit="ns",
            null="null: none did within the wait",
        ),
        column("other_line", NAME, "that line", null="null: none"),
        column("restarts", pa.int32(), "how often the sequences had begun anew before, in the time that was read"),
        column("ring_id", NAME, "ring of the packet"),
        column("ring_seq", pa.int64(), "with ring_id: the row of `packets`"),
    ]
)
"""A row is a range of sequences of one packet: the whole packet, or what of it no other had brought before."""


class Arbitration:
    """Rows while they are wanted, and what is counted of those that were taken."""

    def __init__(self, reader: "ArchiveReader", channel: str, selection: Selection, wait_ns: int) -> None:
        """Reads nothing yet; see `arbitrate`."""
        self.channel = channel
        self._source, self._selection = reader, selection
        self._names = Names()
        self._window = ArbitrationWindow(wait_ns)
        self._counts = ArrivalCounts()
        self.rows = pa.RecordBatchReader.from_batches(SCHEMA, self._batches())
        """All ranges, in the order of arrival; see SCHEMA. They can be read once."""

    def statistics(self) -> ArbitrationStatistics:
        """Of the whole: what is left of the rows is read and dropped."""
        for _ in self.rows:
            pass
        ranges: list[MissingRange] = []
        missing = 0
        for (stream, generation), (begin, end) in sorted(self._window.delivered.items()):
            host, session, key = self._names.streams.values[stream]
            named = (
                self._names.hosts.values[host],
                self._names.sessions.values[session],
                self._names.keys.values[key],
                generation,
            )
            missing += int((begin[1:] - end[:-1]).sum())
            gaps = zip(end[:-1].tolist(), begin[1:].tolist(), strict=True)
            ranges += [
                MissingRange(*named, first, upto - 1)
                for (first, upto), _ in zip(gaps, range(MISSING_MAX - len(ranges)), strict=False)
            ]
        return self._counts.statistics(self.channel, self._names.lines.values, missing, tuple(ranges))

    def _batches(self) -> Iterator[pa.RecordBatch]:
        taken = 0
        visible = self._source.visible("packets", self._selection)
        for step in in_order(visible, self._selection, COLUMNS):
            self._window.take(self._names.arrivals(step.rows))
            taken += step.rows.num_rows
            # What is held is looked at anew each time: so wait until there is as much again.
            if step.known_ns != NEVER_NS and taken < max(_ROUND_PACKETS, len(self._window) // 2):
                continue
            taken = 0
            decided = self._window.decide(step.known_ns)
            if decided is not None and len(decided.seq):
                self._counts.count(decided.packets.line, decided.count, decided.other_delay_ns)
                yield self._batch(decided)

    def _batch(self, decided: Decided) -> pa.RecordBatch:
        packets, names = decided.packets, self._names
        streams = np.array(names.streams.values, np.int64).reshape(-1, 3)[packets.stream]
        delays, lacks = decided.other_delay_ns, decided.other_delay_ns == NO_COPY
        columns = {
            "ts": pa.array(packets.ts).cast(TIMESTAMP),
            "host": _texts(names.hosts, streams[:, 0]),
            "channel": pa.DictionaryArray.from_arrays(
                pa.array(np.zeros(len(packets), np.int32)), pa.array([self.channel])
            ),
            "line": _texts(names.lines, packets.line),
            "feed_session": _texts(names.sessions, streams[:, 1]),
            "feed_key": _texts(names.keys, streams[:, 2]),
            "feed_seq": pa.array(decided.seq),
            "feed_count": pa.array(decided.count),
            "other_delay_ns": pa.array(delays, mask=lacks),
            "other_line": _texts(names.lines, np.where(lacks, NO_COPY, decided.other_line)),
            "restarts": pa.array(packets.generation.astype(np.int32)),
            "ring_id": _texts(names.rings, packets.ring),
            "ring_seq": pa.array(packets.ring_seq),
        }
        return pa.RecordBatch.from_arrays([columns[name] for name in SCHEMA.names], schema=SCHEMA)


def arbitrate(
    reader: "ArchiveReader",
    channel: str,
    *,
    start: Instant | None = None,
    end: Instant | None = None,
    tz: str | None = None,
    date: str | None = None,
    wait_ns: int = WAIT_NS,
) -> Arbitration:
    """Makes one of the lines of a channel, host by host.

    Packets count that carry sequences, retransmitted ones too: not heartbeats, snapshots, or what is of no sequence.

    Args:
        reader: The archives.
        channel: Its name.
        start: From this moment on; see `instants.py`.
        end: Up to this moment, excluded.
        tz: Zone of moments that name none; None: UTC.
        date: Only recorded on this UTC day, YYYY-MM-DD.
        wait_ns: A copy that is later than that counts as if it had never come; memory holds that much of the channel.

    Raises:
        QueryError: A moment is none, or `wait_ns` is negative.
        ArchiveError: A file cannot be read.
    """
    if wait_ns < 0:
        raise QueryError(f"wait_ns: 0 or more nanoseconds expected, found {wait_ns}")
    selection = Selection.of(channel=channel, start=start, end=end, tz=tz, date=date)
    return Arbitration(reader, channel, selection, wait_ns)


def _texts(codes: Codes, chosen: Longs) -> pa.Array:
    """A dictionary column; NO_COPY, and what has no text, are null."""
    values = codes.values
    lacks = [at for at, each in enumerate(values) if each is None]
    is_null = np.isin(chosen, [NO_COPY, *lacks])
    indices = pa.array(np.where(is_null, 0, chosen).astype(np.int32), mask=is_null)
    return pa.DictionaryArray.from_arrays(indices, pa.array(["" if each is None else each for each in values]))
