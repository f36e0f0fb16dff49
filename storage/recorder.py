"""The recorder: reads a ring and writes segments, each ring sequence once, over restarts and kills.

It never stops reading because the disk refuses; what it could not write it counts, and the next row's `lost_before`
says so.
"""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from nanotape.storage.archive import Archive
from nanotape.storage.books import Reading
from nanotape.storage.clock import Clock, SystemClock
from nanotape.storage.complaints import Complaints
from nanotape.storage.errors import ArchiveAheadError, SegmentWriteError
from nanotape.storage.events import ARCHIVE
from nanotape.storage.feed_findings import FeedSource
from nanotape.storage.feed_options import FeedOptions
from nanotape.storage.feed_recording import FeedRecording
from nanotape.storage.journal import Journal, ReadRing
from nanotape.storage.log import Log, log_to_stderr
from nanotape.storage.packets import PacketMapper, RingFacts
from nanotape.storage.recorder_options import RecorderOptions, RecorderTotals
from nanotape.storage.recording_files import RecordingFiles
from nanotape.storage.recovery import Recovery
from nanotape.storage.resume import resume_point
from nanotape.storage.ring_source import RingSource
from nanotape.storage.rotation import OnFinished
from nanotape.storage.settlement import Settlement

__all__ = ["Recorder", "RecorderOptions", "RecorderTotals"]

_REPLACED_CHECK_NS = 250_000_000


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
        read_ring: ReadRing | None = None,
        on_segment: OnFinished | None = None,
        feeds: FeedSource | None = None,
        feed_options: FeedOptions | None = None,
    ) -> None:
        """Touches nothing yet.

        Args:
            ring: The ring's name, id and tables.
            reader: Of that ring; its position is set by `begin`.
            archive: Where the segments go.
            options: None: the defaults.
            clock: None: the host's.
            log: Takes one line at a time; None: stderr.
            read_ring: Gives the counters of the ring's sources, for the books; None: they are not to be had.
            on_segment: Told of each complete segment of packets, those of a dead recorder too.
            feeds: Reads the headers of feeds and follows their sequences; None: they are not looked at.
            feed_options: How; None: the defaults.

        Raises:
            StorageError: `options.rotate_at` is no time, or its zone is not known.
        """
        self.ring_gone = False
        """The ring was removed or made anew, and all of it was read."""
        self._ring, self._reader, self._archive = ring, reader, archive
        self._options = options or RecorderOptions()
        self._clock: Clock = clock or SystemClock()
        self._log = log or log_to_stderr
        self._mapper = PacketMapper(ring)
        self._read_ring = read_ring
        self._files = RecordingFiles(archive, ring, self._options, self._clock, self._log, on_segment)
        self._journal: Journal | None = None
        self._feed_source, self._feed_options = feeds, feed_options or FeedOptions()
        self._feeds: FeedRecording | None = None
        self._stopping = False
        self._pending_since_ns: int | None = None
        self._is_in_hand = False
        self._recorded = self._write_failures = self._written_bytes = 0
        self._first_seq: int | None = None
        self._last_seq: int | None = None
        self._settlement = Settlement(self._files.directory, ring.ring_id, keep_other=self._options.keep_other)
        self._backlog: int | None = None
        self._complaints = Complaints(self._clock, self._log)
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
        try:
            reports = self._files.take()
            self._seek(self._files.directory)
            self._files.open()
        except BaseException:
            self._files.let_go()
            raise
        begin = self._settlement.begin_seq
        journal = Journal(self._archive, self._ring, self._files.tables, self._clock, self._log, self._books)
        journal.read_ring = self._read_ring
        if self._feed_source:
            self._feeds = FeedRecording(
                self._feed_source, self._feed_options, self._ring, journal, self._clock, self._log
            )
            self._feeds.begin(self._archive, self._files.directory, self._settlement.recorded_seq)
        journal.begin(
            self._settlement.recorded_seq,
            f"recorder begins with {'the first record' if begin is None else f'ring sequence {begin}'}",
        )
        self._journal = journal
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
            self._tick()
        return rows

    def _tick(self) -> None:
        self._look_after_files()
        if self._files.is_at_boundary():
            self._flush()  # what was read before the boundary goes into the segment that it ends
        self._files.tick()
        if self._feeds:
            self._feeds.tick(self._files.directory, self._settlement.recorded_seq)
        if self._journal:
            self._journal.tick()
        self._save()
        self._publish()

    def _look_after_files(self) -> None:
        """What somebody took away is lost, as far as nobody finds it again, and told."""
        taken = self._files.look_after()
        if self._files.is_away:
            self._complaints.add(f"{self._archive.path}: is gone; put it back", self._write_failures)
        if taken is None or self._journal is None:
            return
        for first_seq, last_seq, rows in taken.lost:
            self._settlement.deleted(first_seq, last_seq, rows, ARCHIVE)
        self._settlement.recorded_seq = taken.recorded_seq
        what = f"{taken.what}, {sum(rows for _, _, rows in taken.lost)} rows with it"
        self._log(f"{what}; going on in a new one")
        self._journal.gone(what, taken.recorded_seq, tell_flows=taken.is_folder)

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
        self._files.rotate()

    def finish(self) -> None:
        """Writes what was read, ends the segment and lets the next recorder in. May be called twice."""
        try:
            self._flush()
            if self._journal:
                self._save()
                self._files.finish()
                self._backlog = self._left_behind()
                if self._feeds:
                    self._feeds.finish(self._files.directory, self._settlement.recorded_seq, goes_on=not self.ring_gone)
                self._journal.finish(f"recorder ends in order, {self._recorded} rows recorded")
            self._publish()
        finally:
            self._journal = None
            self._files.let_go()

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
        if self._journal is None:
            return
        read = self._reader.take()
        self._pending_since_ns = None
        if read is not None:
            self._is_in_hand = True  # for good, if what follows breaks: a successor needs it in the ring
            self._look_after_files()
            self._write(read, self._journal)
            self._is_in_hand = False

    def _write(self, read: pa.RecordBatch, journal: Journal) -> None:
        if self._feeds and not self._options.keep_other:
            self._feeds.left_out(read)
        chosen = self._settlement.choose(read)
        if chosen is None:
            return
        self._save()
        decoded = self._feeds.decode(chosen) if self._feeds else None
        rows = self._mapper.map(chosen, decoded.columns if decoded else None)
        sequences = chosen.column("ring_seq")
        if not journal.is_refused:  # while all is refused the losses grow
            self._tell_losses(rows, journal)
        try:
            self._written_bytes += self._files.write(rows)
        except SegmentWriteError as error:
            self._settlement.failed(chosen)
            self._write_failures += chosen.num_rows
            journal.refused(str(error))
            self._complaints.add(str(error), self._write_failures)
            return
        self._settlement.written(chosen)
        self._tell_losses(rows, journal)
        journal.recorded(rows)
        if self._feeds and decoded:
            self._feeds.recorded(decoded, rows)
        journal.sum_up(rows, decoded.first if decoded else None)
        journal.accepted()
        self._last_seq = sequences[-1].as_py()
        self._first_seq = sequences[0].as_py() if self._first_seq is None else self._first_seq
        self._recorded += chosen.num_rows
        self._complaints.end(f"{self._archive.path}: writing again", self._write_failures)

    def _tell_losses(self, rows: pa.RecordBatch, journal: Journal) -> None:
        if losses := self._settlement.losses_before(rows.column("ring_seq")[-1].as_py()):
            journal.lost(losses, rows)
            self._settlement.told(losses)

    def _save(self) -> None:
        try:
            self._settlement.save()
        except OSError as error:
            if not self._files.is_away:
                self._complaints.add(
                    f"{self._archive.path}: cannot note what was left out: {error.strerror}", self._write_failures
                )

    def _books(self) -> list[Reading]:
        """This recorder's counters; what was published is read last, so that a backlog is never too small."""
        settled = self._settlement
        counts = {
            "begin_seq": settled.begin_seq,
            "recorded": self._recorded,
            "left_out": settled.left_out,
            "overrun": settled.lapped,
            "write_failures": self._write_failures,
        }
        newest = self._reader.newest_seq()
        counts |= {"newest_seq": newest}
        counts |= {"backlog": None if settled.settled_seq is None else max(0, newest - settled.settled_seq)}
        return [Reading("recorder", None, stage, value) for stage, value in counts.items()]

    def _publish(self) -> None:
        self._reader.publish_status(
            recorded=self._recorded,
            write_failures=self._write_failures,
            written_bytes=self._written_bytes,
            settled=not self._reader.gathered_rows and not self._is_in_hand,
        )
