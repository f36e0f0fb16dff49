"""Archives whose packets carry sequences as a test wants them: rows are written as a recorder would leave them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from nanotape.storage.archive import Archive
from nanotape.storage.books import channel_rows
from nanotape.storage.events import Event, event_batch
from nanotape.storage.segment import Fsync, SegmentIdentity, SegmentWriter
from nanotape.storage.table_schemas import table_schema
from nanotape.storage.traffic_stats import Belonging

HOST, RING, RING_ID = "box", "demo", "000102030405060708090a0b0c0d0e0f"
BEGIN_NS = 1_792_000_000_000_000_000
OPENED_NS = 1_795_207_020_123_456_789
_DEFAULTS: dict[str, Any] = {
    "ts_kind": "nic", "host": HOST, "ring": RING, "ring_id": RING_ID, "epoch": 1, "lost_before": 0, "wire_len": 60,
    "payload_len": 0, "header": b"", "payload": b"", "trailer": b"", "flags": 0, "feed": "itch", "channel": "itch-1",
}  # fmt: skip


@dataclass(frozen=True)
class FeedPacket:
    """One packet; `at_ns` is counted from BEGIN_NS."""

    at_ns: int
    line: str
    seq: int | None
    count: int | None = 1
    status: str | None = "data"
    session: str | None = "S1"
    key: str | None = None
    channel: str = "itch-1"
    payload: bytes = b""
    payload_len: int | None = None

    def row(self, ring_seq: int) -> dict[str, Any]:
        """As a row of `packets`."""
        length = len(self.payload) if self.payload_len is None else self.payload_len
        return {
            **_DEFAULTS, "ring_seq": ring_seq, "ts": BEGIN_NS + self.at_ns, "line": self.line, "channel": self.channel,
            "feed_session": self.session, "feed_key": self.key, "feed_seq": self.seq, "feed_count": self.count,
            "feed_status": self.status, "payload": self.payload, "payload_len": length,
        }  # fmt: skip


@dataclass(frozen=True)
class FeedFlow:
    """A flow as a ring's table has it."""

    id: int
    channel: str
    line: str
    framing: str
    feed: str = "itch"
    role: str = "incremental"
    interface: str = "eth1"
    group: str = "239.1.1.1"
    port: int = 5000
    source: str | None = None
    vlan: str | None = None


def write_packets(archive: Archive, packets: Sequence[FeedPacket], first_seq: int = 1, batch_rows: int = 10_000) -> int:
    """Leaves a finished segment of them, in the order given; returns the next ring sequence."""
    schema = table_schema("packets")
    rows = [packet.row(first_seq + at) for at, packet in enumerate(packets)]
    whole = pa.RecordBatch.from_arrays(
        [_column(field, [row.get(field.name) for row in rows]) for field in schema], schema=schema
    )
    batches = [whole.slice(at, batch_rows) for at in range(0, len(rows), batch_rows)]
    _write(archive, "packets", batches, first_seq)
    return first_seq + len(rows)


def write_channels(archive: Archive, flows: Sequence[FeedFlow], from_ns: int = BEGIN_NS, ring_seq: int = 1) -> None:
    """Says which flows were configured."""
    _write(archive, "channels", [channel_rows(Belonging(HOST, RING, RING_ID), ring_seq, from_ns, flows)], ring_seq)


def write_events(archive: Archive, events: Iterable[Event]) -> None:
    """Says what befell the capture."""
    _write(archive, "events", [event_batch(list(events))], 1)


def _write(archive: Archive, table: str, batches: Sequence[pa.RecordBatch], first_seq: int) -> None:
    folder = archive.ring_directory(RING)
    if table != "packets":
        folder /= table
        folder.mkdir(exist_ok=True)
    identity = SegmentIdentity(RING, RING_ID, HOST)
    writer = SegmentWriter(folder, batches[0].schema, identity, first_seq, OPENED_NS + first_seq, fsync=Fsync.NEVER)
    for batch in batches:
        writer.write(batch)
    writer.close()


def _column(field: pa.Field, values: list[Any]) -> pa.Array:
    if pa.types.is_dictionary(field.type):
        return pa.array(values, pa.string()).dictionary_encode().cast(field.type)
    if pa.types.is_timestamp(field.type):
        return pa.array(values, pa.int64()).cast(field.type)
    return pa.array(values, field.type)


def write_many(archive: Archive, packets: int, spacing_ns: int, skew_ns: int, first_seq: int = 1) -> None:
    """Leaves a finished segment of lines A and B in turns: B brings what A brought, three messages a packet, later.

    Args:
        archive: Where.
        packets: Of both lines together.
        spacing_ns: From a packet of A to the next.
        skew_ns: From a packet of A to that of B.
        first_seq: Ring sequence of the first; an odd one.
    """
    at = np.arange(packets) + first_seq - 1
    schema = table_schema("packets")
    row = FeedPacket(0, "A", 1, 3, payload=bytes(40)).row(1)
    columns = {field.name: pa.repeat(_column(field, [row.get(field.name)])[0], packets) for field in schema}
    columns |= {
        "ts": pa.array(BEGIN_NS + at // 2 * spacing_ns + at % 2 * skew_ns),
        "ring_seq": pa.array(at + 1),
        "line": pa.DictionaryArray.from_arrays(pa.array((at % 2).astype(np.int32)), pa.array(["A", "B"])),
        "feed_seq": pa.array(1 + at // 2 * 3),
    }
    whole = pa.RecordBatch.from_arrays([columns[field.name].cast(field.type) for field in schema], schema=schema)
    _write(archive, "packets", [whole.slice(begin, 10_000) for begin in range(0, packets, 10_000)], first_seq)
