"""One ring of an import with its recorder: takes files one after the other, as long as each is read to its end.

A file is noted in the import log before its first packet is written, and again once all of it is.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from nanotape.capture.counters import Flow, SourceCounters
from nanotape.capture.feeds.decoder import FeedDecoder
from nanotape.capture.ring import Ring
from nanotape.capture.switch_stamps import SwitchStamps
from nanotape.storage.archive import Archive
from nanotape.storage.capture_files import CaptureFile
from nanotape.storage.clock import Clock
from nanotape.storage.errors import ImportRefusedError, SegmentWriteError
from nanotape.storage.feed_options import FeedOptions
from nanotape.storage.framing_store import keep_framings
from nanotape.storage.import_log import LOG_NAME, Begun, ImportLog
from nanotape.storage.import_options import Damage, ImportOptions
from nanotape.storage.import_reader import FileSpan, ImportReader
from nanotape.storage.import_ring import READER_NAME, FileReading, ImportRing
from nanotape.storage.log import Log
from nanotape.storage.ownership import give_to_owner
from nanotape.storage.recorder import Recorder

RING_BYTES_MAX = 128 << 20
"""Of packets on their way: most of an import's memory."""
_RING_BYTES_MIN = 16 << 20  # takes the longest frame that any ring takes
_COMPRESSED_RATIO = 16  # more than packets are compressed by, as a rule; where it is not, the capture waits more often
_RECORD_RATIO = 3  # of a record in the ring to one in a file, for the smallest packets
_BATCH_SHARE = 8  # of the ring: the capture waits once half of it is not written yet
_PAUSE_S = 0.002


def ring_bytes(files: Sequence[CaptureFile]) -> int:
    """The ring that files need: each of them touches all of it, so that a large one is dear for small files."""
    largest = max((file.size_bytes * (_COMPRESSED_RATIO if file.compression else 1) for file in files), default=0)
    return min(RING_BYTES_MAX, max(_RING_BYTES_MIN, 1 << (2 * _RECORD_RATIO * largest).bit_length()))


Tick = Callable[["FileReading | None"], None]
"""Called again and again while a file is read; may raise, which ends the session."""


@dataclass(slots=True)
class Taken:
    """One file of a session."""

    begun: Begun
    span: FileSpan
    damage: Damage | None = None
    error: str | None = None
    """Why it was not read to its end."""
    is_refused: bool = False
    """Since the archive takes no more, so that other files need not be tried."""
    is_done: bool = False
    """All of it is in the archive, up to its damage."""
    packets: int = 0
    """Of it that are in the archive by this session, once that is closed."""


class Session:
    """Open until `close`; may be used for further files as long as it `is_sound`."""

    def __init__(self, archive: Path, options: ImportOptions, ring_bytes: int, clock: Clock, log: Log) -> None:
        """Makes nothing in the archive before the first file is seen to be good.

        Args:
            archive: Its root.
            options: How to import.
            ring_bytes: Of the ring.
            clock: For the recorder.
            log: Takes one line at a time.
        """
        self._archive, self._options, self._clock, self._log = archive, options, clock, log
        self._ring_bytes = ring_bytes
        self._import_log = ImportLog(archive)
        self._stack = ExitStack()
        self._ring = self._stack.enter_context(ImportRing(options.ring, options.channels, ring_bytes))
        self._recorder: Recorder | None = None
        self._reader: ImportReader | None = None
        self._ring_id = ""
        self.taken: list[Taken] = []
        """The files so far, in order."""
        self.is_sound = True
        """False: something broke off, so that no further file may follow."""

    @property
    def is_begun(self) -> bool:
        """Whether a file was read, so that the next one begins behind it."""
        return bool(self.taken)

    @property
    def packets(self) -> int:
        """Packets read so far."""
        if self._reader is None or not self.taken:
            return 0
        return (self._reader.next_seq or 1) - self.taken[0].span.first_seq

    def take(self, file: CaptureFile, sha256: str, tick: Tick) -> None:
        """Reads one file into the archive; it is the last of `taken` then.

        Raises:
            ImportRefusedError: Nothing was read of it; the session is as it was.
            StorageError: The archive cannot be written, or another import writes this ring.
            CaptureError: No ring or no process can be made.
        """
        first_seq = self._reader.newest_seq() + 1 if self._reader else 1  # before the first packet can be there
        with self._ring.reading(file) as reading:
            self.is_sound = False
            if self._recorder is None or self._reader is None:
                reader, recorder = self._open(reading, file, sha256)
            else:
                reader, recorder = self._reader, self._recorder
                self._begin(file, sha256, first_seq, 0)
            taken = self.taken[-1]
            try:
                while not reading.wait(0 if self._step(recorder) else _PAUSE_S):
                    tick(reading)
                self._read_out(taken, reader, recorder, lambda: tick(reading))
                taken.damage = reading.damage()
            except (ImportRefusedError, SegmentWriteError) as error:
                taken.error, taken.span.last_seq = str(error), None
                taken.is_refused = isinstance(error, SegmentWriteError)
                return
            self.is_sound = True

    def _read_out(self, taken: Taken, reader: ImportReader, recorder: Recorder, tick: Callable[[], None]) -> None:
        taken.span.last_seq = reader.newest_seq()
        while (reader.next_seq or 1) <= taken.span.last_seq:
            self._step(recorder)
            tick()

    def _open(self, reading: FileReading, file: CaptureFile, sha256: str) -> tuple[ImportReader, Recorder]:
        ring = self._stack.enter_context(Ring.open(self._options.ring, self._ring.shm_directory))
        inner = self._stack.enter_context(ring.reader("oldest"))
        inner.show_as(READER_NAME, self._ring.run_directory)
        self._ring_id = ring.ring_id

        def position() -> int:
            """Only now, since the recorder has recovered what a killed import left."""
            held = None if self._options.again else self._import_log.held(sha256)
            skipped = held.packets if held else 0
            if skipped:
                self._log(f"{file.path}: {skipped:,} packets of it are in the archive already; going on behind them")
            self._begin(file, sha256, skipped + 1, skipped)
            return skipped

        def wait() -> None:
            if reading.wait(_PAUSE_S) and inner.newest_seq() < self.taken[-1].span.first_seq - 1:
                raise ImportRefusedError(f"{file.path}: has fewer packets than before; import it with --again")

        reader = ImportReader(inner, position, wait)
        options = replace(
            self._options.recorder, start="latest", keep_other=True, batch_bytes=self._ring_bytes // _BATCH_SHARE
        )
        self._reader = reader
        facts = _HostedRing(ring, self._options.host)
        archive = Archive.create(self._archive)
        named = {channel.framing for channel in self._options.channels}
        with suppress(OSError):  # messages of these channels cannot be split then, nothing else
            framings = self._options.framings.items()
            keep_framings(archive.path, {name: each for name, each in framings if name in named})
        recorder = Recorder(
            facts,
            reader,
            archive,
            options,
            clock=self._clock,
            log=self._log,
            feeds=self._decoder(facts),
            feed_options=FeedOptions(is_live=False, goes_on=False),
        )
        recorder.begin()
        self._recorder = recorder
        return reader, recorder

    def _decoder(self, ring: "_HostedRing") -> FeedDecoder:
        options = self._options
        switch = SwitchStamps({source.interface: options.switch for source in ring.sources()}, self._log)
        return FeedDecoder(
            options.framings,
            window_ns=options.reorder_window_ns,
            reset_distance=options.reset_distance,
            switch=switch,
            sources=ring.sources,
        )

    def _begin(self, file: CaptureFile, sha256: str, first_seq: int, skipped: int) -> None:
        now = datetime.fromtimestamp(self._clock.utc_ns() / 1e9, UTC)
        begun = Begun(
            sha256,
            str(file.path.absolute()),
            file.size_bytes,
            f"{now:%Y-%m-%dT%H:%M:%SZ}",
            self._options.ring,
            self._ring_id,
            first_seq,
            skipped,
        )
        self._import_log.begin(begun)
        self.taken.append(Taken(begun, FileSpan(first_seq)))
        if self._reader:
            self._reader.follow(self.taken[-1].span)

    def _step(self, recorder: Recorder) -> int:
        rows = recorder.step()
        if recorder.totals.write_failures:
            if self._reader:
                self._reader.is_given_up = True  # what came after a hole could not be told from what is whole
            raise SegmentWriteError(
                f"{self._archive}: expected room for the packets, cannot write them; see to it and import the file "
                "again: it goes on where it ended"
            )
        self._note_done(recorder)
        return rows

    def _note_done(self, recorder: Recorder) -> None:
        for taken in self.taken:
            last_seq = taken.span.last_seq
            if taken.is_done or last_seq is None or taken.error:
                continue
            if last_seq < taken.span.first_seq or (recorder.totals.last_seq or 0) >= last_seq:
                self._import_log.done(taken.begun, last_seq)
                taken.is_done = True

    def close(self) -> None:
        """Writes what was read, ends the segment, and removes the ring. May be called twice.

        Raises:
            StorageError: The archive cannot be written.
        """
        with self._stack:
            self._stack.callback(give_to_owner, self._archive, [f"segments/{self._options.ring}", LOG_NAME])
            recorder, self._recorder = self._recorder, None
            if recorder is None:
                return
            recorder.finish()
            end = recorder.totals.last_seq or 0
            for taken in self.taken:
                first, last = taken.span.first_seq, taken.span.last_seq
                taken.packets = max(0, (end if last is None else min(end, last)) - first + 1)
            self._note_done(recorder)


class _HostedRing:
    """A ring under the name of another host."""

    def __init__(self, ring: Ring, host: str | None) -> None:
        self._ring, self._host = ring, host

    @property
    def name(self) -> str:
        return self._ring.name

    @property
    def host(self) -> str:
        return self._host or self._ring.host

    @property
    def ring_id(self) -> str:
        return self._ring.ring_id

    @property
    def writer_alive(self) -> bool:
        return self._ring.writer_alive

    def flows(self) -> Sequence[Flow]:
        return self._ring.flows()

    def sources(self) -> Sequence[SourceCounters]:
        return self._ring.sources()
