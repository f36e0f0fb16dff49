"""A ring of two lines of one MoldUDP64 channel with faults that follow from the ring sequence alone.

As a program it records such a ring, feeds and all: `feed_ring.py ARCHIVE NEWEST SEED`; its parent may kill it.
"""

import struct
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from synthetic import FIRST_TS, SyntheticReader, SyntheticRing, ring_batch

from nanotape.capture.counters import Flow
from nanotape.capture.feeds.decoder import FeedDecoder
from nanotape.config.framing import BUILT_IN
from nanotape.storage import feed_recording
from nanotape.storage.archive import Archive
from nanotape.storage.feed_options import FeedOptions
from nanotape.storage.recorder import Recorder, RecorderOptions
from nanotape.storage.segment import Fsync

SESSION = b"SESSION001"
SPACING_NS = 10_000
MISSING_EVERY = {"A": 50, "B": 70}
DOUBLED_EVERY = {"A": 30, "B": 41}
Fault = tuple[str, str, int, str | None]
"""Kind of event, line, sequence, line that had it."""


@dataclass(frozen=True)
class Plan:
    """What arrives on a line, and the faults in it."""

    sequences: list[int]
    missing: set[int]
    doubled: set[int]


def plan(line: str, packets: int) -> Plan:
    """Of so many packets, each of one message."""
    sequences: list[int] = []
    missing, doubled, seq = set(), set(), 0
    while len(sequences) < packets:
        seq += 1
        if seq > 1 and seq % MISSING_EVERY[line] == 0:
            missing.add(seq)
            continue
        sequences.append(seq)
        if seq % DOUBLED_EVERY[line] == 0 and len(sequences) < packets:
            sequences.append(seq)
            doubled.add(seq)
    return Plan(sequences, {each for each in missing if each < sequences[-1]}, doubled)


def faults(newest: int) -> set[Fault]:
    """All that is to be found once ring sequence `newest` is recorded."""
    plans = {line: plan(line, (newest + (line == "A")) // 2) for line in "AB"}
    found: set[Fault] = set()
    for line, other in (("A", "B"), ("B", "A")):
        theirs = plans[other]
        for seq in plans[line].missing:
            has = seq not in theirs.missing and seq < theirs.sequences[-1]
            found.add(("feed_gap", line, seq, other if has else None))
        found |= {("duplicate", line, seq, None) for seq in plans[line].doubled}
    return found


class FeedRing(SyntheticRing):
    """Odd ring sequences are line A's, even ones line B's."""

    def flows(self) -> tuple[Any, ...]:
        rest = ("moldudp64", "incremental", "eth1", "239.0.0.1", None, 1, None)
        return tuple(Flow(at + 1, "itch", "itch-1", "AB"[at], *rest) for at in range(2))


class FeedReader(SyntheticReader):
    """Reads it."""

    def __init__(self, ring: SyntheticRing, largest: int = 1 << 20, seed: int | None = None) -> None:
        super().__init__(ring, largest, seed)
        self._plans = [plan(line, 1_000_000 if ring.newest > 200_000 else 100_000) for line in "AB"]

    def read(self, max_rows: int, max_bytes: int) -> pa.RecordBatch | None:
        batch = super().read(max_rows, max_bytes)
        if batch is None:
            return None
        first, rows = batch.column("ring_seq")[0].as_py(), batch.num_rows
        lost = batch.column("lost_before")[0].as_py()
        numbers = range(first, first + rows)
        payloads = [
            SESSION + struct.pack(">QHHc", self._plans[(n + 1) % 2].sequences[(n - 1) // 2], 1, 1, b"A")
            for n in numbers
        ]
        new = {
            "payload": pa.array(payloads, pa.binary()),
            "payload_len": pa.array([len(each) for each in payloads], pa.uint32()),
            "flow_id": pa.array([2 - n % 2 for n in numbers], pa.uint32()),
            "flow_seq": pa.array([(n + 1) // 2 for n in numbers], pa.uint64()),
            "ts": pa.array(FIRST_TS + np.arange(first, first + rows) * SPACING_NS).cast(pa.timestamp("ns", "UTC")),
        }
        batch = ring_batch(first, rows, lost)
        for name, column in new.items():
            batch = batch.set_column(batch.schema.get_field_index(name), name, column)
        return batch


def feed_recorder(
    ring: FeedRing, archive: Archive, reader: FeedReader, feed_options: FeedOptions | None = None, **options: Any
) -> Recorder:
    """A recorder that follows the feed."""
    chosen = RecorderOptions(**{"fsync": Fsync.NEVER, "batch_rows": 300, "idle_sleep_s": 0, **options})
    feeds = FeedDecoder(BUILT_IN, window_ns=1_000_000)
    lines: list[str] = []
    follow = feed_options or FeedOptions(is_live=False)
    return Recorder(ring, reader, archive, chosen, feeds=feeds, feed_options=follow, log=lines.append)


def main(arguments: list[str]) -> None:
    """See the module."""
    path, newest, seed = arguments[0], int(arguments[1]), int(arguments[2])
    feed_recording._SAVE_NS = 20_000_000
    ring = FeedRing(newest=newest)
    recorder = feed_recorder(ring, Archive.create(path), FeedReader(ring, 400, seed), flush_interval_s=0.01)
    recorder.begin()
    sys.stdout.write("begun\n")
    sys.stdout.flush()
    while recorder.step():
        pass
    recorder.finish()
    sys.stdout.write("finished\n")


if __name__ == "__main__":
    main(sys.argv[1:])
