"""Writes the tables beside the packets of one ring: ARCHIVE/segments/RING/TABLE of RECORDED_TABLES.

What the disk refuses waits, in bounded memory; what somebody takes away is made anew. For events some disk is kept in
reserve, so that a full disk can still be told of. The caller holds the ring's lock.
"""

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import islice, pairwise, takewhile
from pathlib import Path

import pyarrow as pa

from nanotape.storage.clock import Clock
from nanotape.storage.errors import SegmentWriteError
from nanotape.storage.log import Error, Log
from nanotape.storage.reserve import Reserve
from nanotape.storage.rotation import SegmentRotation
from nanotape.storage.table_schemas import RECORDED_TABLES

RESERVE_NAME = "events.reserve"
RESERVE_BYTES = 1 << 20
_TOGETHER_NS = 5 * 10**9  # a message a second would be several times as large as what it says
_WAITING_MAX = 4096  # batches a table: after that the oldest go, and are counted
_MERGED_MAX = 64  # batches: what a disk refuses for an hour must not be put together anew at each try

Opens = Callable[[Path], SegmentRotation]
"""Makes the rotation of a table's folder."""


class SideTables:
    """Appends to each table; `write` what was added before the packets that it belongs to."""

    def __init__(self, directory: Path, opens: Opens, clock: Clock, log: Log) -> None:
        """Opens nothing yet.

        Args:
            directory: ARCHIVE/segments/RING.
            opens: How a table's segments are written.
            clock: For how long rows wait for others.
            log: Takes a line for a segment that somebody took away.
        """
        self._clock, self._log = clock, log
        self._written_ns = clock.monotonic_ns()
        self._directory, self._opens = directory, opens
        self._reserve = Reserve(directory / RESERVE_NAME, RESERVE_BYTES)
        self._rotations: dict[str, SegmentRotation] = {}
        self._last_seqs: dict[str, int] = {}  # of what was written last
        self._waiting: dict[str, deque[pa.RecordBatch]] = {table: deque() for table in RECORDED_TABLES}
        self.given_up_rows = 0
        """Rows that waited too long for the disk, and are lost; a line tells of them when it takes something again."""
        self._given_up_told = 0
        self.on_events: Callable[[pa.RecordBatch], None] | None = None
        """Hears of each event that is added, written yet or not. Must not raise."""

    def add(self, table: str, batch: pa.RecordBatch) -> None:
        """Takes rows; they are written by the next `write`, in order."""
        if table == "events" and self.on_events:
            self.on_events(batch)
        waiting = self._waiting[table]
        waiting.append(batch)
        while len(waiting) > _WAITING_MAX:
            self.given_up_rows += waiting.popleft().num_rows

    def write(self, table: str) -> bool:
        """Writes what was added to a table.

        Returns:
            Whether all of it is written; what is not waits for the next call.
        """
        waiting = self._waiting[table]
        while waiting:
            count = 1 if table == "events" else _rising(waiting)  # each event is cut back by itself
            try:
                self._write(table, _merged(list(islice(waiting, count))))
            except (SegmentWriteError, OSError):
                return False
            for _ in range(count):
                waiting.popleft()
        return True

    def write_all(self) -> bool:
        """Writes what was added to all tables, events first. Returns whether all of it is written.

        Nothing is summed up in `stats` before all events are written: what is, a successor takes for told.
        """
        told = self.write("events")
        tables = [table for table in RECORDED_TABLES if table != "events" and (told or table != "stats")]
        written = [self.write(table) for table in tables]
        return told and all(written)

    def give_room(self) -> bool:
        """Gives back the disk that is kept for events, until there is plenty again. Returns whether there was any."""
        return self._reserve.release()

    def tick(self) -> None:
        """Writes what waits: events at once, the others a few seconds' rows together; ends old segments, and syncs."""
        self.write("events")
        now = self._clock.monotonic_ns()
        if now - self._written_ns >= _TOGETHER_NS:
            self._written_ns = now
            if self.write_all() and self.given_up_rows > self._given_up_told:
                lost, self._given_up_told = self.given_up_rows - self._given_up_told, self.given_up_rows
                self._log(
                    Error(f"{self._directory}: {lost} rows beside the packets waited too long for the disk: lost")
                )
        for table in list(self._rotations):
            with suppress(OSError):
                self._rotation(table).tick()
        self._reserve.keep()

    def finish(self) -> None:
        """Writes what waits and ends the segments."""
        self.write_all()
        for rotation in self._rotations.values():
            rotation.finish()

    def give_up(self) -> None:
        """Lets go of all files: they are gone. What is written from now on is in new ones."""
        for rotation in self._rotations.values():
            rotation.give_up()
        self.let_go()

    def let_go(self) -> None:
        """Ends all use of this: waits for what the disk was told."""
        for rotation in self._rotations.values():
            rotation.let_go()
        self._rotations.clear()

    def _write(self, table: str, batch: pa.RecordBatch) -> None:
        try:
            self._append(table, batch)
        except (SegmentWriteError, OSError):
            if table != "events" or not self._reserve.release():
                raise
            self._append(table, batch)

    def _append(self, table: str, batch: pa.RecordBatch) -> None:
        rotation = self._rotation(table)
        first, last = _sequences(batch)
        if first < self._last_seqs.get(table, first):
            rotation.rotate()  # packets are gone, and their sequences with them: a segment's never go back
        rotation.write(batch)
        self._last_seqs[table] = last

    def _rotation(self, table: str) -> SegmentRotation:
        folder = self._directory / table
        if table in self._rotations and self._rotations[table].is_missing():
            gone = self._rotations.pop(table)
            rows = sum(rows for _, _, rows in gone.give_up())
            gone.let_go()
            self._log(f"{folder}: the open segment was taken away, {rows} rows with it; going on in a new one")
        folder.mkdir(exist_ok=True)
        if table not in self._rotations:
            self._rotations[table] = self._opens(folder)
        return self._rotations[table]


def _sequences(batch: pa.RecordBatch) -> tuple[int, int]:
    sequences = batch.column("ring_seq")
    return sequences[0].as_py(), sequences[-1].as_py()


def _rising(waiting: Sequence[pa.RecordBatch]) -> int:
    """How many batches may go into one: their sequences do not go back."""
    ends = [_sequences(batch) for batch in islice(waiting, _MERGED_MAX)]
    return 1 + sum(1 for _ in takewhile(lambda step: step[0][1] <= step[1][0], pairwise(ends)))


def _merged(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    if len(batches) == 1:
        return batches[0]
    [merged] = pa.Table.from_batches(batches).unify_dictionaries().combine_chunks().to_batches()
    return merged
