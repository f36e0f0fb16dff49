"""The segments of one ring, one after the other.

Begins them when there are rows, ends them by size and age, and gets over a disk that refuses. Rows that it was given
are in a file or were refused with an error, never in between. For the disk itself it does not wait: a thread of its own
syncs and ends segments, one after the other.
"""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from nanotape.storage.clock import Clock
from nanotape.storage.encoder import Compression
from nanotape.storage.errors import SegmentWriteError
from nanotape.storage.log import Log
from nanotape.storage.segment import Fsync, SegmentIdentity, SegmentWriter

_RETRY_LONGEST_NS = 60 * 10**9
_RETRY_FIRST_NS = 500_000_000
_JOBS_MAX = 8  # then the disk is waited for after all: each holds two open files


@dataclass(slots=True)
class _Unfinished:
    """A segment that the disk would not let end, and when to try again: each time after twice as long."""

    writer: SegmentWriter
    due_ns: int
    pause_ns: int = _RETRY_FIRST_NS


@dataclass(frozen=True, slots=True)
class _Job:
    """What the disk's thread does, or has done."""

    writer: SegmentWriter
    work: Future[object]
    closes: bool


class SegmentRotation:
    """Writes batches into whichever segment is open."""

    def __init__(
        self,
        directory: Path,
        identity: SegmentIdentity,
        clock: Clock,
        log: Log,
        *,
        rotate_bytes: int,
        rotate_interval_s: float,
        fsync: Fsync,
        compression: Compression,
    ) -> None:
        """Opens nothing yet.

        Args:
            directory: ARCHIVE/segments/RING, locked by the caller.
            identity: Of the rows to come.
            clock: For names and ages.
            log: Takes one line for what could not be finished, and for what was finished at last.
            rotate_bytes: A segment of at least this size is ended.
            rotate_interval_s: A segment of at least this age is ended.
            fsync: See Fsync.
            compression: See StreamEncoder.
        """
        self._directory = directory
        self._identity = identity
        self._clock = clock
        self._log = log
        self._rotate_bytes = rotate_bytes
        self._rotate_ns = int(rotate_interval_s * 1e9)
        self._fsync = fsync
        self._compression = compression
        self._writer: SegmentWriter | None = None
        self._opened_ns = 0
        self._unfinished: list[_Unfinished] = []
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="nanotape-disk")  # has no thread before its first job
        self._jobs: deque[_Job] = deque()

    def write(self, batch: pa.RecordBatch) -> int:
        """Appends a batch of at least one row.

        Returns:
            Bytes written.

        Raises:
            SegmentWriteError: None of the rows is in the archive; the next batch may fare better.
        """
        writer = self._writer or self._begin(batch)
        try:
            written = writer.write(batch)
        except SegmentWriteError:
            if writer.broken or not writer.rows:
                self._end()
            raise
        if writer.size_bytes >= self._rotate_bytes:
            self._end()
        return written

    def tick(self) -> None:
        """Ends a segment that is old enough, syncs, and tries again to finish what the disk refused to.

        What became of a sync is told at a later tick.
        """
        self._settle()
        if self._writer and self._clock.monotonic_ns() - self._opened_ns >= self._rotate_ns:
            self._end()
        elif self._writer and not self._jobs:
            self._begin_job(self._writer, self._writer.sync)
        now = self._clock.monotonic_ns()
        for waiting in [each for each in self._unfinished if each.due_ns <= now]:
            self._retry(waiting)

    def rotate(self) -> None:
        """Ends the open segment and waits for that; the next batch begins another."""
        if self._writer:
            self._end()
        self._settle(wait=True)

    def finish(self) -> None:
        """Ends the open segment, and tries a last time to finish what waits; recovery does the rest."""
        self._settle(wait=True)
        waiting = list(self._unfinished)
        self.rotate()
        for each in waiting:
            self._retry(each)

    def is_missing(self) -> bool:
        """Whether somebody took the open segment away."""
        return self._writer is not None and not self._writer.path.exists()

    def give_up(self) -> list[tuple[int, int, int]]:
        """Lets go of all segments that are not ended: their files are gone.

        Returns:
            First and last ring sequence, and number of rows, of each that had rows.
        """
        self._settle(wait=True)
        writers = [waiting.writer for waiting in self._unfinished] + ([self._writer] if self._writer else [])
        self._unfinished.clear()
        self._writer = None
        for writer in writers:
            writer.abandon()
        return [(each.first_seq, each.last_seq, each.rows) for each in writers if each.first_seq and each.last_seq]

    def let_go(self) -> None:
        """Waits for what the disk was told; what is not ended by then is left to recovery. Ends all use of this."""
        self._disk.shutdown()

    def _begin(self, batch: pa.RecordBatch) -> SegmentWriter:
        first = batch.column(batch.schema.get_field_index("ring_seq"))[0].as_py()
        self._writer = SegmentWriter(
            self._directory,
            batch.schema,
            self._identity,
            first,
            self._clock.utc_ns(),
            fsync=self._fsync,
            compression=self._compression,
        )
        self._opened_ns = self._clock.monotonic_ns()
        return self._writer

    def _end(self) -> None:
        writer, self._writer = self._writer, None
        if writer is None:
            return
        if writer.broken:
            self._settle(wait=True)  # its files may be in use there
            writer.abandon()
            self._finish_later(writer)
            return
        self._begin_job(writer, writer.close, closes=True)

    def _begin_job(self, writer: SegmentWriter, action: Callable[[], object], closes: bool = False) -> None:
        work: Future[object] = Future()
        if self._fsync == Fsync.INTERVAL:
            self._settle(wait=len(self._jobs) >= _JOBS_MAX)
            work = self._disk.submit(action)
        else:  # nothing that takes long: no sync at all, or the batches are on the disk already
            try:
                work.set_result(action())
            except SegmentWriteError as error:
                work.set_exception(error)
        self._jobs.append(_Job(writer, work, closes))
        self._settle()

    def _settle(self, wait: bool = False) -> None:
        """Takes note of what is done; of all that was begun if `wait`."""
        while self._jobs and (wait or self._jobs[0].work.done()):
            job = self._jobs.popleft()
            try:
                job.work.result()
            except SegmentWriteError as error:
                if not job.closes:
                    self._log(str(error))
                    continue
                self._finish_later(job.writer)
                self._log(f"{error}; its {job.writer.rows} rows are safe in the part file, trying again")

    def _finish_later(self, writer: SegmentWriter) -> None:
        self._unfinished.append(_Unfinished(writer, self._clock.monotonic_ns() + _RETRY_FIRST_NS))

    def _retry(self, waiting: _Unfinished) -> None:
        try:
            path = waiting.writer.close_again()
        except SegmentWriteError:
            waiting.pause_ns = min(waiting.pause_ns * 2, _RETRY_LONGEST_NS)
            waiting.due_ns = self._clock.monotonic_ns() + waiting.pause_ns
            return
        self._unfinished.remove(waiting)
        if path is not None:
            self._log(f"{path}: finished after all, {waiting.writer.rows} rows")
