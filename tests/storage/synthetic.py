"""A ring whose every record follows from its sequence, so that a row alone tells whether it is right.

As a program it records such a ring: `synthetic.py ARCHIVE NEWEST SEED`; its parent may kill it. An odd seed's files
have holes, and are synced and ended by a thread of its own. With a file as fourth argument it leaves out packets of no
channel, and the ring holds nothing up to the sequence in that file, which the recorder before has published as settled.
"""

import os
import random
import sys
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from nanotape.storage.archive import Archive
from nanotape.storage.encoder import Compression
from nanotape.storage.recorder import Recorder, RecorderOptions
from nanotape.storage.segment import Fsync

NAME = pa.dictionary(pa.int32(), pa.string())
RING_ID = "000102030405060708090a0b0c0d0e0f"
FIRST_TS = 1_792_000_000_000_000_001
PAYLOAD_BYTES = 16

# What nanotape.capture.columns.RING_SCHEMA has; tests/integration compares the two through a real ring.
RING_SCHEMA = pa.schema(
    [
        ("ring_seq", pa.int64()), ("ts", pa.timestamp("ns", "UTC")), ("ts_kind", NAME), ("ts_raw", pa.int64()),
        ("rx_delay_ns", pa.int64()), ("epoch", pa.uint32()),
        ("flow_id", pa.uint32()), ("flow_seq", pa.uint64()), ("source", pa.uint8()),
        ("src_ip", NAME), ("dst_ip", NAME), ("src_port", pa.uint16()), ("dst_port", pa.uint16()), ("vlan", pa.uint16()),
        ("wire_len", pa.uint32()), ("payload_len", pa.uint32()), ("lost_before", pa.uint32()), ("flags", pa.uint16()),
        ("header", pa.binary()), ("payload", pa.binary()), ("trailer", pa.binary()),
    ]
)  # fmt: skip


@dataclass(frozen=True)
class Flow:
    id: int
    feed: str
    channel: str
    line: str
    interface: str


@dataclass(frozen=True)
class Source:
    interface: str


@dataclass
class SyntheticRing:
    """A ring that holds the sequences from `oldest` to `newest`."""

    name: str = "demo"
    host: str = "box"
    ring_id: str = RING_ID
    oldest: int = 1
    newest: int = 0
    writer_alive: bool = True
    table: list[Flow] = field(
        default_factory=lambda: [Flow(1, "itch", "itch-1", "A", "eth1"), Flow(2, "itch", "itch-1", "B", "")]
    )

    def flows(self) -> tuple[Flow, ...]:
        return tuple(self.table)

    def sources(self) -> tuple[Source, ...]:
        return (Source("eth8"), Source("eth9"))


class SyntheticReader:
    """Reads it as `nanotape.capture.reader.RingReader` reads a real one."""

    def __init__(self, ring: SyntheticRing, largest: int = 1 << 20, seed: int | None = None) -> None:
        self.ring, self.largest = ring, largest
        self.random = random.Random(seed) if seed is not None else None
        self.lost = 0
        self.next_seq: int | None = 1
        self.pending_loss = 0
        self.sought: list[Any] = []
        self.status: dict[str, Any] = {}
        self.replaced = False
        self.gathered: list[pa.RecordBatch] = []

    @property
    def gathered_rows(self) -> int:
        return sum(batch.num_rows for batch in self.gathered)

    @property
    def gathered_bytes(self) -> int:
        return sum(batch.nbytes for batch in self.gathered)

    def gather(self, max_rows: int, max_bytes: int) -> int:
        room = max_rows - self.gathered_rows
        batch = self.read(room, max_bytes) if room else None
        if batch is not None:
            self.gathered.append(batch)
        return batch.num_rows if batch is not None else 0

    def take(self) -> pa.RecordBatch | None:
        batches, self.gathered = self.gathered, []
        return pa.concat_batches(batches) if batches else None

    def newest_seq(self) -> int:
        return self.ring.newest

    def seek(self, start: Any) -> None:
        self.sought.append(start)
        self.next_seq = {"oldest": self.ring.oldest, "latest": self.ring.newest + 1}.get(start, start)

    def read(self, max_rows: int, max_bytes: int) -> pa.RecordBatch | None:
        assert max_rows > 0
        assert max_bytes > 0
        assert self.next_seq is not None
        if self.next_seq < self.ring.oldest:
            self.pending_loss += self.ring.oldest - self.next_seq
            self.lost += self.ring.oldest - self.next_seq
            self.next_seq = self.ring.oldest
        limit = self.random.randint(1, self.largest) if self.random else self.largest
        rows = min(max_rows, limit, self.ring.newest - self.next_seq + 1)
        if rows <= 0:
            return None
        batch = ring_batch(self.next_seq, rows, self.pending_loss)
        self.next_seq += rows
        self.pending_loss = 0
        return batch

    def publish_status(self, **status: Any) -> None:
        self.status.update(status)

    def is_replaced(self) -> bool:
        return self.replaced


def ring_batch(first: int, rows: int, lost: int = 0) -> pa.RecordBatch:
    """The records `first` to `first + rows - 1`."""
    seq = np.arange(first, first + rows, dtype=np.int64)
    lost_before = np.zeros(rows, np.uint32)
    lost_before[0] = lost
    flow = (seq % 3).astype(np.uint32)
    addresses = pa.array([f"10.0.0.{index}" for index in range(min(200, (first + rows) // 100 + 1))])
    columns = {
        "ring_seq": pa.array(seq),
        "ts": pa.array(seq + FIRST_TS).cast(pa.timestamp("ns", "UTC")),
        "ts_kind": pa.DictionaryArray.from_arrays(pa.array(np.ones(rows, np.int32)), pa.array(["nic", "xdp"])),
        "rx_delay_ns": pa.array(seq % 1000, mask=seq % 5 == 0),
        "flow_id": pa.array(flow),
        "flow_seq": pa.array(seq.astype(np.uint64)),
        "source": pa.array((seq % 2).astype(np.uint8)),
        "src_ip": pa.DictionaryArray.from_arrays(pa.array((seq % len(addresses)).astype(np.int32)), addresses),
        "dst_ip": pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array(["239.1.1.1"])),
        "lost_before": pa.array(lost_before),
        "header": binary(np.tile(np.arange(42, dtype=np.uint8), (rows, 1))),
        "payload": binary(payloads(seq)),
        "trailer": binary(np.empty((rows, 0), np.uint8)),
    }
    constants = {
        "epoch": 1,
        "src_port": 4000,
        "dst_port": 5000,
        "wire_len": 42 + PAYLOAD_BYTES,
        "payload_len": PAYLOAD_BYTES,
        "flags": 0,
    }
    for name, value in constants.items():
        columns[name] = pa.array(np.full(rows, value), RING_SCHEMA.field(name).type)
    columns |= {"vlan": pa.nulls(rows, pa.uint16()), "ts_raw": pa.nulls(rows, pa.int64())}
    return pa.RecordBatch.from_arrays([columns[name] for name in RING_SCHEMA.names], schema=RING_SCHEMA)


def payloads(sequences: np.ndarray) -> np.ndarray:
    """Payload bytes of each sequence: itself, big-endian, and its complement."""
    halves = sequences.astype(">u8").view(np.uint8).reshape(-1, 8)
    return np.hstack([halves, ~halves])


def binary(rows: np.ndarray) -> pa.Array:
    """A binary column of equally long rows."""
    count, width = rows.shape
    offsets = np.arange(count + 1, dtype=np.int32) * width
    return pa.Array.from_buffers(
        pa.binary(), count, [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(rows))]
    )


def assert_rows_are_theirs(table: pa.Table) -> None:
    """Each row's payload and stamp are those of its sequence."""
    sequences = table.column("ring_seq").to_numpy()
    expected = payloads(sequences).tobytes()
    assert b"".join(table.column("payload").to_pylist()) == expected
    assert (table.column("ts").cast(pa.int64()).to_numpy() == sequences + FIRST_TS).all()


class SettledReader(SyntheticReader):
    """Leaves in a file what a successor does not need any more."""

    settled_file = -1

    def publish_status(self, **status: Any) -> None:
        super().publish_status(**status)
        if status["settled"] and self.next_seq:
            os.pwrite(self.settled_file, (self.next_seq - 1).to_bytes(8, "little"), 0)


def main(arguments: list[str]) -> None:
    path, newest, seed = arguments[0], int(arguments[1]), int(arguments[2])
    ring = SyntheticRing(newest=newest)
    largest = 400
    options = RecorderOptions(batch_rows=300, rotate_bytes=100_000, fsync=Fsync.NEVER, idle_sleep_s=0)
    if seed % 2:
        largest, uncompressed = 3000, Compression("none")
        options = replace(
            options, batch_rows=largest, fsync=Fsync.INTERVAL, flush_interval_s=0.01, compression=uncompressed
        )
    reader = SyntheticReader(ring, largest, seed)
    if len(arguments) > 3:
        reader = SettledReader(ring, largest, seed)
        reader.settled_file = os.open(arguments[3], os.O_RDWR | os.O_CREAT, 0o644)
        ring.oldest = int.from_bytes(os.pread(reader.settled_file, 8, 0), "little") + 1
        options = replace(options, keep_other=False)
    recorder = Recorder(ring, reader, Archive.create(path), options)
    sys.stdout.write("importing done\n")
    sys.stdout.flush()
    recorder.begin()
    sys.stdout.write("begun\n")
    sys.stdout.flush()
    while recorder.step():
        pass
    recorder.finish()
    sys.stdout.write("finished\n")


if __name__ == "__main__":
    main(sys.argv[1:])
