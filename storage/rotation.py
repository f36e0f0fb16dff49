"""The segments of one ring, one after the other.

Begins them when there are rows, ends them by size, age and time of day, and gets over a disk that refuses. Rows that it
was given are in a file or were refused with an error, never in between. For the disk itself it does not wait: a thread
of its own syncs and ends segments, one after the other.
"""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from nanotape.storage.clock import Clock
from nanotape.storage.encoder import Compression
from nanotape.storage.errors import SegmentWriteError
from nanotape.storage.log import Info, Log
from nanotape.storage.rotation_times import RotationTimes
from nanotape.storage.segment import Fsync, SegmentIdentity, SegmentWriter
from nanotape.storage.segment_names import opened_ns
from nanotape.storage.stamp_facts import TellStamps

_RETRY_LONGEST_NS = 60 * 10**9
_RETRY_FIRST_NS = 500_000_000
_JOBS_MAX = 8  # then the disk is waited for after all: each holds two open files

OnFinished = Callable[[Path], None]
"""Is told of each segment that has got its name for good. Must return at once."""


@dataclass(frozen=True, slots=True)
class RotationOptions:
    """When segments end, and how they are written."""

    rotate_bytes: int
    """A segment of at least this size is ended."""
    rotate_interval_s: float
    """A segment of at least this age is ended."""
    fsync: Fsync
    compression: Compression
    rotate_at: RotationTimes | None = None
    """Moments at which a segment is ended too; None: none."""


@dataclass(frozen=True, slots=True)
class OpenSegment:
    """The segment that grows, as it is now."""

    name: str
    opened_ns: int
    """UTC."""
    size_bytes: int
    rows: int


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
        options: RotationOptions,
        on_finished: OnFinished | None = None,
        tell_stamps: TellStamps | None = None,
    ) -> None:
        """Opens nothing yet.

        Args:
            directory: ARCHIVE/segments/RING, locked by the caller.
            identity: Of the rows to come.
            clock: For names and ages.
            log: Takes one line for what could not be finished, and for what was finished at last.
            options: See RotationOptions.
            on_finished: Called in this object's own thread for each segment that got its name.
            tell_stamps: Called as each segment begins; None: the identity has it, or nobody says.
        """
        self._directory = directory
        self._identity, self._tell_stamps = identity, tell_stamps
        self._clock = clock
        self._log = log
        self._options = options
        self._rotate_ns = int(options.rotate_interval_s * 1e9)
        self._on_finished = on_finished or (lambda _path: None)
        self._writer: SegmentWriter | None = None
        self._opened_ns = 0
        self._boundary_ns: int | None = None
        self._seen_utc_ns = 0
        self._unfinished: list[_Unfinished] = []
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="nanotape-disk")  # has no thread before its first job
        if options.fsync == Fsync.INTERVAL:
            # It begins while there is memory: Python waits without end for a thread that has none to begin with.
            self._disk.submit(threading.get_ident)
        self._jobs: deque[_Job] = deque()

    @property
    def grows(self) -> OpenSegment | None:
        """The open segment; None: there is none."""
        writer = self._writer
        return OpenSegment(writer.name, opened_ns(writer.name), writer.size_bytes, writer.rows) if writer else None

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
        if writer.size_bytes >= self._options.rotate_bytes or self.is_at_boundary():
            self._end()
        return written

    def tick(self) -> None:
        """Ends a segment that is old enough, syncs, and tries again to finish what the disk refused to.

        What became of a sync is told at a later tick.
        """
        self._settle()
        if self._writer and (self._is_old() or self.is_at_boundary()):
            self._end()
        elif self._writer and not self._jobs:
            self._begin_job(self._writer, self._writer.sync)
        now = self._clock.monotonic_ns()
        for waiting in [each for each in self._unfinished if each.due_ns <= now]:
            self._retry(waiting)

    def is_at_boundary(self) -> bool:
        """Whether the open segment is to end because of the time of day: what was read before belongs into it."""
        times = self._options.rotate_at
        if self._writer is None or times is None:
            return False
        now = self._clock.utc_ns()
        if now < self._seen_utc_ns:  # the clock was set back: what it will show next is no longer what we noted
            self._boundary_ns = times.next_after(now)
        self._seen_utc_ns = now
        return self._boundary_ns is not None and now >= self._boundary_ns

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
        return [
            (each.first_seq, each.last_seq, each.rows)
            for each in writers
            if each.first_seq is not None and each.last_seq is not None
        ]

    def let_go(self) -> None:
        """Waits for what the disk was told; what is not ended by then is left to recovery. Ends all use of this."""
        self._disk.shutdown()

    def _begin(self, batch: pa.RecordBatch) -> SegmentWriter:
        first = batch.column(batch.schema.get_field_index("ring_seq"))[0].as_py()
        opened_utc_ns = self._clock.utc_ns()
        identity = self._identity
        if self._tell_stamps:
            identity = replace(identity, stamps=self._tell_stamps())
        self._writer = SegmentWriter(
            self._directory,
            batch.schema,
            identity,
            first,
            opened_utc_ns,
            fsync=self._options.fsync,
            compression=self._options.compression,
        )
        self._opened_ns = self._clock.monotonic_ns()
        self._seen_utc_ns = opened_utc_ns
        self._boundary_ns = self._options.rotate_at.next_after(opened_utc_ns) if self._options.rotate_at else None
        return self._writer

    def _is_old(self) -> bool:
        return self._clock.monotonic_ns() - self._opened_ns >= self._rotate_ns

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
        if self._options.fsync == Fsync.INTERVAL:
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
                path = job.work.result()
            except SegmentWriteError as error:
                if not job.closes:
                    self._log(str(error))
                    continue
                self._finish_later(job.writer)
                self._log(f"{error}; its {job.writer.rows} rows are safe in the part file, trying again")
            else:
                if job.closes and isinstance(path, Path):
                    self._on_finished(path)

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
            self._log(Info(f"{path}: finished after all, {waiting.writer.rows} rows"))
            self._on_finished(path)
