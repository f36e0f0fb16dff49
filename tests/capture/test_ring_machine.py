"""A state machine drives one writer and several readers of a small private ring, beside a model that is a Python list.

The model knows which records exist: every record read must be the model's, and read + lost must account for each once.
"""

from typing import Any

import pyarrow as pa
from frames import market_data
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule
from ring_writer import RingWriter, Written, span

from nanotape.capture.errors import SequenceNotWritten
from nanotape.capture.reader import RingReader
from nanotape.capture.ring import Ring

CAPACITY = 64 << 10
LARGEST_BATCH = CAPACITY // 16

SIZES = st.lists(st.integers(0, 1500), min_size=1, max_size=40)
STARTS = st.sampled_from(["oldest", "latest"])
RESUMES = st.sampled_from(["quarter", "oldest", "latest"])


class Tracked:
    """A reader, and the sequence after the last one that it accounted for."""

    def __init__(self, reader: RingReader, expected: int, resume: str) -> None:
        self.reader = reader
        self.expected = expected
        self.resume = resume
        self.read = 0
        self.lost = 0
        self.events = 0


class RingMachine(RuleBasedStateMachine):
    """Rules are what processes do to a ring."""

    readers = Bundle("readers")

    @initialize()
    def make(self) -> None:
        self.writer = RingWriter.private(CAPACITY)
        self.ring = Ring(self.writer.handle)
        self.frames: list[bytes] = []
        self.epochs: list[int] = []
        self.epoch = 1
        self.open: list[Tracked] = []

    def teardown(self) -> None:
        self.ring.close()

    def _write(self, sizes: list[int]) -> None:
        records = []
        for size in sizes:
            number = len(self.frames) + 1
            payload = number.to_bytes(8, "big") + bytes((number + offset) & 0xFF for offset in range(size))
            records.append(Written(market_data(payload), ts_ns=number * 1000))
            self.frames.append(records[-1].frame)
            self.epochs.append(self.epoch)
        self.writer.write(*records)

    @rule(sizes=SIZES)
    def write(self, sizes: list[int]) -> None:
        self._write(sizes)

    @rule(laps=st.integers(1, 3), size=st.integers(0, 1500))
    def lap(self, laps: int, size: int) -> None:
        self._write([size] * (laps * CAPACITY // (50 + 50 + size) + 1))

    @rule()
    def restart_the_writer(self) -> None:
        self.writer.restart()
        self.epoch += 1

    @rule(target=readers, start=STARTS, resume=RESUMES)
    def open_a_reader(self, start: Any, resume: Any) -> Tracked:
        reader = self.ring.reader(start, resume)
        tracked = Tracked(reader, self._check_position(reader, start), resume)
        self.open.append(tracked)
        return tracked

    def _check_position(self, reader: RingReader, start: str) -> int:
        """The sequence that a reader begins at; the oldest is no older than intact, and not much younger."""
        assert reader.next_seq is not None
        if start == "latest":
            assert reader.next_seq == len(self.frames) + 1
        else:
            newer = sum(span(Written(frame)) for frame in self.frames[reader.next_seq - 1 :])
            assert newer <= CAPACITY
            assert reader.next_seq == 1 or newer >= CAPACITY * 3 // 4
        return reader.next_seq

    @rule(tracked=readers, rows=st.integers(1, 200))
    def read(self, tracked: Tracked, rows: int) -> None:
        batch = tracked.reader.read(max_rows=rows)
        if batch is None:
            assert tracked.expected == len(self.frames) + 1 or tracked.resume == "latest"
            return
        assert batch.num_rows <= rows
        self._check(tracked, batch)

    @rule(tracked=readers)
    def read_all(self, tracked: Tracked) -> None:
        while (batch := tracked.reader.read()) is not None:
            self._check(tracked, batch)
        assert tracked.reader.lag_bytes == 0
        if tracked.resume != "latest":
            assert tracked.expected == len(self.frames) + 1

    def _check(self, tracked: Tracked, batch: pa.RecordBatch) -> None:
        columns = ("ring_seq", "lost_before", "epoch", "header", "payload", "trailer")
        for seq, lost, epoch, header, payload, trailer in zip(
            *(batch[name].to_pylist() for name in columns), strict=True
        ):
            assert seq == tracked.expected + lost
            assert header + payload + trailer == self.frames[seq - 1]
            assert epoch == self.epochs[seq - 1] or (epoch is None and self.epoch > 200)
            tracked.expected = seq + 1
            tracked.read += 1
            tracked.lost += lost
            tracked.events += lost > 0
        assert batch["ts"].cast(pa.int64()).to_pylist() == [seq * 1000 for seq in batch["ring_seq"].to_pylist()]

    @rule(tracked=readers, share=st.floats(0, 1))
    def seek_a_sequence(self, tracked: Tracked, share: float) -> None:
        target = 1 + int(share * len(self.frames))
        tracked.reader.seek(target)
        self._moved(tracked, target)

    @rule(tracked=readers, start=STARTS)
    def seek_an_end(self, tracked: Tracked, start: Any) -> None:
        tracked.reader.seek(start)
        self._moved(tracked, self._check_position(tracked.reader, start))

    def _moved(self, tracked: Tracked, expected: int) -> None:
        assert tracked.reader.lost == tracked.lost, "a seek loses nothing by itself"
        tracked.expected = expected

    @rule(tracked=readers, beyond=st.integers(1, 2**40))
    def seek_the_future(self, tracked: Tracked, beyond: int) -> None:
        try:
            tracked.reader.seek(len(self.frames) + 1 + beyond)
        except SequenceNotWritten:
            return
        raise AssertionError("a sequence that is not written was found")

    @rule(tracked=consumes(readers))
    def close_a_reader(self, tracked: Tracked) -> None:
        tracked.reader.close()
        self.open.remove(tracked)

    @invariant()
    def books_are_exact(self) -> None:
        for tracked in getattr(self, "open", []):
            reader = tracked.reader
            assert (reader.records, reader.lost, reader.loss_events) == (tracked.read, tracked.lost, tracked.events)


TestRingMachine = RingMachine.TestCase
TestRingMachine.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
