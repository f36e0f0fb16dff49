"""Private rings with a merged reader over them, a clock that tests set, and scripts that run while it waits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import pyarrow as pa
from frames import market_data
from ring_writer import RingWriter, Written

from nanotape.capture.merge import MergedReader
from nanotape.capture.ring import Ring

MS = 1e-3
FRAME = market_data(b"x" * 60)
MergedRow = tuple[str, int, int, int]
"""Ring, ring sequence, stamp, records lost before."""


def row(ts_ns: int, frame: bytes = FRAME, **more: int) -> Written:
    """A record to write."""
    return Written(frame, ts_ns=ts_ns, **more)


def names_of(rows: list[MergedRow]) -> list[str]:
    """Ring and sequence of each."""
    return [f"{ring}{sequence}" for ring, sequence, _, _ in rows]


class Clock:
    """Seconds; waiting makes them pass."""

    def __init__(self) -> None:
        """At 0."""
        self.now = 0.0

    def __call__(self) -> float:
        """The time."""
        return self.now

    def reset(self) -> None:
        """Has nothing to forget."""

    def wait(self) -> None:
        """A millisecond passes."""
        self.now += MS


class Script:
    """What happens while a reader waits, one act each time; nothing at the end."""

    def __init__(self, rig: Rig, *acts: Callable[[], object]) -> None:
        """In this order."""
        self._acts = list(acts)
        self.is_over = False

    def reset(self) -> None:
        """Has nothing to forget."""

    def wait(self) -> None:
        """The next act; then it is over."""
        if self._acts:
            self._acts.pop(0)()
        else:
            self.is_over = True


class Rig:
    """Rings on the heap, named a, b, c."""

    def __init__(self, count: int, capacity: int = 64 << 10, **options: Any) -> None:
        """With a merged reader of all from the oldest on."""
        self.clock = Clock()
        self.writers = [RingWriter.private(capacity) for _ in range(count)]
        self.rings = [Ring(writer.handle) for writer in self.writers]
        self.readers = {name: ring.reader("oldest") for name, ring in zip("abc", self.rings, strict=False)}
        self.merged = MergedReader(self.readers, clock=self.clock, **options)
        self.out: list[MergedRow] = []

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the rings."""
        for ring in self.rings:
            ring.close()

    def write(self, ring: int, *stamps: int) -> None:
        """Publishes rows with these stamps."""
        self.writers[ring].write(*map(row, stamps))

    def pass_time(self, milliseconds: float) -> None:
        """Later."""
        self.clock.now += milliseconds * MS

    def rows(self, batch: pa.RecordBatch) -> list[MergedRow]:
        """Of a merged batch."""
        columns = (batch["ring"], batch["ring_seq"], batch["ts"].cast(pa.int64()), batch["lost_before"])
        return list(zip(*(column.to_pylist() for column in columns), strict=True))

    def follow(self, *acts: Callable[[], object], **options: Any) -> None:
        """Reads into `out` until the acts are over; each happens when the reader has nothing to read."""
        script = Script(self, *acts)
        for batch in self.merged.batches(wait=script, stop=lambda: script.is_over, **options):
            self.out += self.rows(batch)

    def read_all(self, **options: Any) -> list[MergedRow]:
        """What is there."""
        return [each for batch in self.merged.batches(wait=self.clock, idle=0, **options) for each in self.rows(batch)]
