"""What a recorder does with what it has read: decides, decodes, writes, tells and accounts, in this order.

It never stops because the disk refuses; what could not be written is counted, and the next row's `lost_before` says
so. When it reads, and when it writes, is the recorder's.
"""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from nanotape.storage.archive import Archive
from nanotape.storage.bad_stamps import BadStamps
from nanotape.storage.books import Reading
from nanotape.storage.clock import Clock
from nanotape.storage.clock_recording import ClockRecording
from nanotape.storage.complaints import Complaints
from nanotape.storage.errors import ArchiveAheadError, SegmentWriteError
from nanotape.storage.events import ARCHIVE
from nanotape.storage.feed_recording import FeedRecording
from nanotape.storage.journal import Journal, ReadRing
from nanotape.storage.log import Log
from nanotape.storage.packets import PacketMapper, RingFacts
from nanotape.storage.recorder_options import RecorderOptions
from nanotape.storage.recording_files import RecordingFiles
from nanotape.storage.recovery import Recovery
from nanotape.storage.resume import resume_point
from nanotape.storage.ring_source import RingSource
from nanotape.storage.rotation import OnFinished
from nanotape.storage.segments_told import SegmentsTold
from nanotape.storage.settlement import Settlement

MakeFeeds = Callable[[Journal], FeedRecording]
"""Makes what follows the feeds, once there is somebody to tell."""


class Recording:
    """Of one ring into one archive, from `begin` to `finish`."""

    def __init__(
        self,
        ring: RingFacts,
        reader: RingSource,
        archive: Archive,
        options: RecorderOptions,
        clock: Clock,
        log: Log,
        on_segment: OnFinished | None,
        make_feeds: MakeFeeds | None,
    ) -> None:
        """Touches nothing yet; the arguments are those of a Recorder.

        Raises:
            StorageError: `options.rotate_at` is no time, or its zone is not known.
        """
        self._ring, self._reader, self._archive, self._options = ring, reader, archive, options
        self._clock, self._log, self._make_feeds = clock, log, make_feeds
        self._mapper = PacketMapper(ring)
        self._on_segment = on_segment
        self.told = SegmentsTold(clock)
        """What others are told of the segments."""
        self.files = RecordingFiles(archive, ring, options, clock, log, self._segment_ended)
        self.settlement = Settlement(self.files.directory, ring.ring_id, keep_other=options.keep_other)
        self.read_ring: ReadRing | None = None
        """Gives the counters of the ring's sources, for the books; None: they are not to be had."""
        self.clock_folder: Path | None = None
        """RUN_DIR/clock, where the clock service writes; None: nothing is known of clocks."""
        self.journal: Journal | None = None
        """From `begin` to `finish`."""
        self._clocks: ClockRecording | None = None
        self._feeds: FeedRecording | None = None
        self._complaints = Complaints(clock, log)
        self.recorded = self.write_failures = self.written_bytes = 0
        self.first_seq: int | None = None
        self.last_seq: int | None = None
        self.broken_by = ""
        """What keeps it from going on, in words; empty: nothing."""

    def begin(self) -> list[Recovery]:
        """Locks the ring's directory, recovers what a dead recorder left, and goes to where the archive ends.

        Returns:
            What was recovered.

        Raises:
            StorageError: The archive cannot be written or recovered, another recorder writes it, or it is ahead of the
                ring.
        """
        try:
            reports = self.files.take()
            self._seek(self.files.directory)
            self.files.open()
        except BaseException:
            self.files.let_go()
            raise
        begin = self.settlement.begin_seq
        journal = Journal(self._archive, self._ring, self.files.tables, self._clock, self._log, self._books)
        journal.read_ring = self.read_ring
        journal.bad_stamps = BadStamps(self.files.directory, self._ring, journal.tell, journal.is_all_told)
        if self._make_feeds:
            self._feeds = self._make_feeds(journal)
            self._feeds.begin(self._archive, self.files.directory, self.settlement.recorded_seq)
        journal.begin(
            self.settlement.recorded_seq,
            f"recorder begins with {'the first record' if begin is None else f'ring sequence {begin}'}",
        )
        if self.clock_folder:
            self._clocks = ClockRecording(self.clock_folder, self._archive, self._ring, journal, self._clock, self._log)
            self._clocks.begin()
        self.journal = journal
        return reports

    def _seek(self, directory: Path) -> None:
        """Goes to where the archive ends, or to where the options say when it knows nothing of this ring."""
        resume = resume_point(directory, self._ring.ring_id, self._options.fsync, self._log)
        resume = self.settlement.resume(None if resume is None else resume - 1)
        newest = self._reader.newest_seq()
        if resume is not None and resume > newest + 1:
            raise ArchiveAheadError(
                f"{directory}: expected rows of ring {self._ring.name} up to its newest sequence {newest}, found rows "
                f"up to {resume - 1}: the ring is older than the archive; stop its capture and remove it "
                f"(nanotape rings --remove {self._ring.name}) so that it is made anew, or record into another archive"
            )
        if resume is None and self._options.start == "latest":
            self._reader.seek("latest")
            self.settlement.begin(self._reader.next_seq)
        else:
            # Of a new ring from its very first record on: what it lost since is a loss like any other.
            self._reader.seek(resume or 1)
            self.settlement.begin(resume or 1)

    def write(self, read: pa.RecordBatch) -> None:
        """Writes what is to be recorded of a reader's batch."""
        self._look_after_files()
        if self.journal:
            self._write(read, self.journal)

    def tick(self) -> None:
        """Call it about once a second, with nothing read that is due to be written."""
        self._look_after_files()
        self.files.tick()
        if self._feeds:
            is_caught_up = self._reader.newest_seq() <= (self.settlement.settled_seq or 0)
            self._feeds.tick(self.files.directory, self.settlement.recorded_seq, is_caught_up=is_caught_up)
        if self._clocks:
            self._clocks.tick()
        if self.journal:
            self.journal.tick()
        self.save()
        self.told.tell(self.files.grows)

    def finish(self, *, goes_on: bool) -> None:
        """Ends the segment, tells what there is to tell, and lets the next recorder in. May be called twice.

        Args:
            goes_on: The ring is still there.
        """
        if self.journal is None:
            return
        self.save()
        self.files.finish()
        self.told.tell(None, now=True)
        self.journal.count_last()
        if self._feeds:
            self._feeds.finish(self.files.directory, self.settlement.recorded_seq, goes_on=goes_on)
        if self._clocks:
            self._clocks.tick()
        how = f"breaks off ({self.broken_by})" if self.broken_by else "ends in order"
        self.journal.finish(f"recorder {how}, {self.recorded} rows recorded", is_sound=not self.broken_by)

    def let_go(self) -> None:
        """Lets the next recorder in, whatever happened."""
        self.journal = None
        self.files.let_go()
        if self._clocks:
            self._clocks.let_go()
            self._clocks = None

    def _segment_ended(self, path: Path) -> None:
        self.told.ended(path)
        if self._on_segment:
            self._on_segment(path)

    def _look_after_files(self) -> None:
        """What somebody took away is lost, as far as nobody finds it again, and told."""
        taken = self.files.look_after()
        if self.files.is_away:
            self._complaints.add(f"{self._archive.path}: is gone; put it back", self.write_failures)
        if taken is None or self.journal is None:
            return
        for first_seq, last_seq, rows in taken.lost:
            self.settlement.deleted(first_seq, last_seq, rows, ARCHIVE)
        self.settlement.recorded_seq = taken.recorded_seq
        what = f"{taken.what}, {sum(rows for _, _, rows in taken.lost)} rows with it"
        self._log(f"{what}; going on in a new one")
        self.journal.gone(what, taken.recorded_seq, tell_flows=taken.is_folder)
        if self._clocks and taken.is_folder:
            self._clocks.begin_anew()

    def _write(self, read: pa.RecordBatch, journal: Journal) -> None:
        if self._feeds and not self._options.keep_other:
            self._feeds.left_out(read)
        chosen = self.settlement.choose(read)
        if chosen is None:
            return
        self.save()
        decoded = self._feeds.decode(chosen) if self._feeds else None
        columns = dict(decoded.columns) if decoded else {}
        if self._clocks:
            columns["ts_error_ns"] = self._clocks.errors(chosen)
        rows = self._mapper.map(chosen, columns)
        sequences = chosen.column("ring_seq")
        if not journal.is_refused:  # while all is refused the losses grow
            self._tell_losses(rows, journal)
        try:
            written_bytes = self.files.write(rows)
        except SegmentWriteError as error:
            self.settlement.failed(chosen)
            self.write_failures += chosen.num_rows
            journal.refused(str(error))
            self._complaints.add(str(error), self.write_failures)
            return
        self.written_bytes += written_bytes
        self.told.wrote(rows, written_bytes)
        self.settlement.written(chosen)
        self._tell_losses(rows, journal)
        journal.recorded(rows)
        if self._feeds and decoded:
            self._feeds.recorded(decoded, rows)
        journal.sum_up(rows, decoded.first if decoded else None)
        journal.accepted()
        self.last_seq = sequences[-1].as_py()
        self.first_seq = sequences[0].as_py() if self.first_seq is None else self.first_seq
        self.recorded += chosen.num_rows
        self._complaints.end(f"{self._archive.path}: writing again", self.write_failures)

    def _tell_losses(self, rows: pa.RecordBatch, journal: Journal) -> None:
        if losses := self.settlement.losses_before(rows.column("ring_seq")[-1].as_py()):
            journal.lost(losses, rows)
            self.settlement.told(losses)

    def save(self) -> None:
        """Notes how far it came with what it leaves out."""
        try:
            self.settlement.save()
        except OSError as error:
            if not self.files.is_away:
                self._complaints.add(
                    f"{self._archive.path}: cannot note what was left out: {error.strerror}", self.write_failures
                )

    def _books(self) -> list[Reading]:
        """This recorder's counters; what was published is read last, so that a backlog is never too small."""
        settled = self.settlement
        counts = {
            "begin_seq": settled.begin_seq,
            "recorded": self.recorded,
            "left_out": settled.left_out,
            "overrun": settled.lapped,
            "write_failures": self.write_failures,
        }
        newest = self._reader.newest_seq()
        counts |= {"newest_seq": newest}
        counts |= {"backlog": None if settled.settled_seq is None else max(0, newest - settled.settled_seq)}
        return [Reading("recorder", None, stage, value) for stage, value in counts.items()]
