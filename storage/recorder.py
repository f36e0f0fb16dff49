"""The recorder: reads a ring and writes segments, each ring sequence once, over restarts and kills.

It never stops reading because the disk refuses; what it could not write it counts, and the next row's `lost_before`
says so.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from nanotape.storage.archive import Archive
from nanotape.storage.clock import Clock, SystemClock
from nanotape.storage.encoder import Compression
from nanotape.storage.errors import ArchiveAheadError, SegmentWriteError
from nanotape.storage.lock import RecorderLock
from nanotape.storage.log import Log, log_to_stderr
from nanotape.storage.packets import PacketMapper, RingFacts
from nanotape.storage.recovery import Recovery, recover_directory
from nanotape.storage.resume import resume_point
from nanotape.storage.ring_source import RingSource, Start
from nanotape.storage.rotation import SegmentRotation
from nanotape.storage.segment import Fsync, SegmentIdentity
from nanotape.storage.settlement import Settlement

_COMPLAINT_INTERVAL_NS = 10 * 10**9
_REPLACED_CHECK_NS = 250_000_000


@dataclass(frozen=True, slots=True)
class RecorderOptions:
    """How a recorder batches, rotates and syncs."""

    batch_rows: int = 65_536
    """Rows of a full batch: fewer compress worse, more cost memory."""
    batch_bytes: int = 32 << 20
    """Bytes of frames of a full batch."""
    flush_interval_s: float = 1.0
    """What was read is in the segment no later than this, however few rows; what the disk has: see `fsync`."""
    rotate_bytes: int = 1 << 30
    """Size at which a segment is ended."""
    rotate_interval_s: float = 3600.0
    """Age at which a segment is ended."""
    fsync: Fsync = Fsync.INTERVAL
    """What a power cut may lose: see Fsync."""
    compression: Compression = field(default_factory=Compression)
    """Of the segments' buffers."""
    start: Start = "oldest"
    """Where to begin with a ring that the archive does not know."""
    keep_other: bool = True
    """Whether packets of no configured channel are recorded too."""
    idle_sleep_s: float = 0.005
    """Pause when the ring had little to give."""
    drain_s: float = 2.0
    """How long a stop goes on reading while the ring's writer goes on writing; the rest is for the next start. When the
    writer is gone all of the ring is read, however long it takes."""


@dataclass(frozen=True, slots=True)
class RecorderTotals:
    """What one recorder did since it began."""

    recorded: int
    """Rows in segments."""
    lost: int
    """Records that the ring overwrote before they were read."""
    write_failures: int
    """Rows that were read and could not be written."""
    written_bytes: int
    """Bytes of messages, without footers."""
    first_seq: int | None
    """Ring sequence of the first row in a segment; None without one."""
    last_seq: int | None
    """Ring sequence of the last row in a segment; None without one."""
    begin_seq: int | None = None
    """Ring sequence that it began at: what came before was an earlier recorder's, or unwanted. None: not known yet."""
    backlog: int | None = None
    """Records published and not read when it finished: left in the ring for the next recorder. None: not finished.

    Then `newest ring sequence + 1 - begin_seq = recorded + left_out + lost + write_failures + backlog`."""
    left_out: int = 0
    """Rows that were read and not recorded, since they are of no channel."""


class Recorder:
    """Records one ring into one archive: `begin`, `step` as long as wished, `finish`; or `run`, which does it all."""

    def __init__(
        self,
        ring: RingFacts,
        reader: RingSource,
        archive: Archive,
        options: RecorderOptions | None = None,
        *,
        clock: Clock | None = None,
        log: Log | None = None,
    ) -> None:
        """Touches nothing yet.

        Args:
            ring: The ring's name, id and tables.
            reader: Of that ring; its position is set by `begin`.
            archive: Where the segments go.
            options: None: the defaults.
            clock: None: the host's.
            log: Takes one line at a time; None: stderr.
        """
        self.ring_gone = False
        """The ring was removed or made anew, and all of it was read."""
        self._ring, self._reader, self._archive = ring, reader, archive
        self._options = options or RecorderOptions()
        self._clock: Clock = clock or SystemClock()
        self._log = log or log_to_stderr
        self._mapper = PacketMapper(ring)
        self._lock: RecorderLock | None = None
        self._rotation: SegmentRotation | None = None
        self._stopping = False
        self._pending_since_ns: int | None = None
        self._is_in_hand = False
        self._recorded = self._write_failures = self._written_bytes = 0
        self._first_seq: int | None = None
        self._last_seq: int | None = None
        directory = archive.path / "segments" / ring.name
        self._settlement = Settlement(directory, ring.ring_id, keep_other=self._options.keep_other)
        self._backlog: int | None = None
        self._complained_ns: int | None = None
        self._ticked_ns = 0
        self._replaced_check_ns = 0
        self._hurrying = False

    @property
    def totals(self) -> RecorderTotals:
        """Counts up to now."""
        return RecorderTotals(
            self._recorded,
            self._reader.lost,
            self._write_failures,
            self._written_bytes,
            self._first_seq,
            self._last_seq,
            self._settlement.begin_seq,
            self._backlog,
            self._settlement.left_out,
        )

    def begin(self) -> list[Recovery]:
        """Locks the ring's directory, recovers what a dead recorder left, and goes to where the archive ends.

        Returns:
            What was recovered.

        Raises:
            StorageError: The archive cannot be written or recovered, another recorder writes it, or it is ahead of the
                ring.
        """
        directory = self._archive.ring_directory(self._ring.name)
        self._lock = RecorderLock(directory)
        try:
            reports = recover_directory(directory, self._options.fsync)
            for report in reports:
                self._log(str(report))
            self._seek(directory)
        except BaseException:
            self._release()
            raise
        self._rotation = SegmentRotation(
            directory,
            SegmentIdentity(self._ring.name, self._ring.ring_id, self._ring.host),
            self._clock,
            self._log,
            rotate_bytes=self._options.rotate_bytes,
            rotate_interval_s=self._options.rotate_interval_s,
            fsync=self._options.fsync,
            compression=self._options.compression,
        )
        self._ticked_ns = self._clock.monotonic_ns()
        self._publish()
        return reports

    def _seek(self, directory: Path) -> None:
        """Goes to where the archive ends, or to where the options say when it knows nothing of this ring."""
        resume = resume_point(directory, self._ring.ring_id, self._options.fsync, self._log)
        resume = self._settlement.resume(None if resume is None else resume - 1)
        newest = self._reader.newest_seq()
        if resume is not None and resume > newest + 1:
            raise ArchiveAheadError(
                f"{directory}: expected rows of ring {self._ring.name} up to its newest sequence {newest}, found rows "
                f"up to {resume - 1}: the ring is older than the archive; stop its capture and remove it "
                f"(nanotape rings --remove {self._ring.name}) so that it is made anew, or record into another archive"
            )
        if resume is None and self._options.start == "latest":
            self._reader.seek("latest")
            self._settlement.begin(self._reader.next_seq)
        else:
            # Of a new ring from its very first record on: what it lost since is a loss like any other.
            self._reader.seek(resume or 1)
            self._settlement.begin(resume or 1)

    def step(self) -> int:
        """Reads once, and writes what is due.

        Returns:
            Rows read.
        """
        rows = self._reader.gather(self._options.batch_rows, self._options.batch_bytes)
        now = self._clock.monotonic_ns()
        if rows and self._pending_since_ns is None:
            self._pending_since_ns = now
        if self._is_flush_due(now):
            self._flush()
            self._save()
            self._publish()  # a file that is read as fast as we record waits for it
        if now - self._ticked_ns >= self._flush_ns:
            self._ticked_ns = now
            if self._rotation:
                self._rotation.tick()
            self._save()
            self._publish()
        return rows

    def run(self, on_begun: Callable[[], None] | None = None) -> None:
        """Records until `stop` is called or the ring is gone, then finishes.

        Args:
            on_begun: Called once `begin` has succeeded.
        """
        self.begin()
        try:
            if on_begun:
                on_begun()
            while not self._stopping and not self.ring_gone:
                rows = self.step()
                self.ring_gone = not rows and self._is_replaced()
                if rows < self._options.batch_rows // 8:
                    self._clock.sleep(self._options.idle_sleep_s)
            self._drain()
        finally:
            self.finish()

    def stop(self, at_once: bool = False) -> None:
        """Makes `run` read what the ring holds now, and return; or leave that in the ring. Safe in a signal handler."""
        self._hurrying = self._hurrying or at_once
        self._stopping = True

    def rotate(self) -> None:
        """Writes what was read and ends the segment."""
        self._flush()
        if self._rotation:
            self._rotation.rotate()

    def finish(self) -> None:
        """Writes what was read, ends the segment and lets the next recorder in. May be called twice."""
        try:
            self._flush()
            if self._rotation:
                self._save()
                self._rotation.finish()
                self._backlog = self._left_behind()
            self._publish()
        finally:
            if self._rotation:
                self._rotation.let_go()  # before another recorder may recover what it still writes
            self._rotation = None
            self._release()

    def _release(self) -> None:
        if self._lock:
            self._lock.release()
            self._lock = None

    def _left_behind(self) -> int | None:
        next_seq = self._reader.next_seq
        return None if next_seq is None else max(0, self._reader.newest_seq() + 1 - next_seq)

    def _is_replaced(self) -> bool:
        """Looks at the ring's file, but not at each idle moment."""
        now = self._clock.monotonic_ns()
        if now < self._replaced_check_ns:
            return False
        self._replaced_check_ns = now + _REPLACED_CHECK_NS
        return self._reader.is_replaced()

    @property
    def _flush_ns(self) -> int:
        """A little less than the interval, so that the pause before and the writing after fit into it."""
        return int(max(self._options.flush_interval_s - 2 * self._options.idle_sleep_s, 0) * 0.95e9)

    def _is_flush_due(self, now: int) -> bool:
        if self._pending_since_ns is None:
            return False
        reader, options = self._reader, self._options
        full = reader.gathered_rows >= options.batch_rows or reader.gathered_bytes >= options.batch_bytes
        return full or now - self._pending_since_ns >= self._flush_ns

    def _drain(self) -> None:
        deadline = self._clock.monotonic_ns() + int(self._options.drain_s * 1e9)
        while not self._hurrying and self.step():
            if self._clock.monotonic_ns() >= deadline and self._ring.writer_alive:
                return

    def _flush(self) -> None:
        if self._rotation is None:
            return
        read = self._reader.take()
        self._pending_since_ns = None
        if read is not None:
            self._is_in_hand = True  # for good, if what follows breaks: a successor needs it in the ring
            self._write(read, self._rotation)
            self._is_in_hand = False

    def _write(self, read: pa.RecordBatch, rotation: SegmentRotation) -> None:
        chosen = self._settlement.choose(read)
        if chosen is None:
            return
        self._save()
        try:
            self._written_bytes += rotation.write(self._mapper.map(chosen))
        except SegmentWriteError as error:
            self._settlement.failed(chosen)
            self._write_failures += chosen.num_rows
            self._complain(str(error))
            return
        self._settlement.written(chosen)
        sequences = chosen.column("ring_seq")
        self._last_seq = sequences[-1].as_py()
        self._first_seq = sequences[0].as_py() if self._first_seq is None else self._first_seq
        self._recorded += chosen.num_rows
        if self._complained_ns is not None:
            self._complained_ns = None
            self._log(f"{self._archive.path}: writing again; {self._write_failures} rows could not be written in all")

    def _save(self) -> None:
        try:
            self._settlement.save()
        except OSError as error:
            self._complain(f"{self._archive.path}: cannot note what was left out: {error.strerror}")

    def _complain(self, message: str) -> None:
        now = self._clock.monotonic_ns()
        if self._complained_ns is None or now - self._complained_ns >= _COMPLAINT_INTERVAL_NS:
            self._complained_ns = now
            self._log(f"{message}; {self._write_failures} rows could not be written so far, reading on")

    def _publish(self) -> None:
        self._reader.publish_status(
            recorded=self._recorded,
            write_failures=self._write_failures,
            written_bytes=self._written_bytes,
            settled=not self._reader.gathered_rows and not self._is_in_hand,
        )
