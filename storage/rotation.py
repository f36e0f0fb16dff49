"""The segments of one ring, one after the other.

Begins them when there are rows, ends them by size and age, and gets over a disk that refuses. Rows that it was given
are on disk or were refused with an error, never in between.
"""

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


@dataclass(slots=True)
class _Unfinished:
    """A segment that the disk would not let end, and when to try again: each time after twice as long."""

    writer: SegmentWriter
    due_ns: int
    pause_ns: int = _RETRY_FIRST_NS


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
        """Ends a segment that is old enough, syncs, and tries again to finish what the disk refused to."""
        if self._writer and self._clock.monotonic_ns() - self._opened_ns >= self._rotate_ns:
            self._end()
        elif self._writer:
            try:
                self._writer.sync()
            except SegmentWriteError as error:
                self._log(str(error))
        now = self._clock.monotonic_ns()
        for waiting in [each for each in self._unfinished if each.due_ns <= now]:
            self._retry(waiting)

    def rotate(self) -> None:
        """Ends the open segment; the next batch begins another."""
        if self._writer:
            self._end()

    def finish(self) -> None:
        """Ends the open segment, and tries a last time to finish what waits; recovery does the rest."""
        waiting = list(self._unfinished)
        self.rotate()
        for each in waiting:
            self._retry(each)

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
            writer.abandon()
            self._finish_later(writer)
            return
        try:
            writer.close()
        except SegmentWriteError as error:
            self._finish_later(writer)
            self._log(f"{error}; its {writer.rows} rows are safe in the part file, trying again")

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
