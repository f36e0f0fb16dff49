"""Records a ring by name until a signal: what the `record` verb runs.

It goes over to the new ring when the old one is made anew.
"""

import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from types import FrameType

from nanotape.capture.conservation import source_books
from nanotape.capture.errors import (
    PermissionDenied,
    ReaderBusy,
    ReaderNameInvalid,
    RingError,
    RingNotFound,
    RingNotReady,
)
from nanotape.capture.link_watch import LinkWatch
from nanotape.capture.reader import RingReader
from nanotape.capture.ring import Ring
from nanotape.capture.ring_links import RingLinks
from nanotape.storage.archive import Archive
from nanotape.storage.books import RING_STAGES, STAMP_STAGES, Reading, RingReadings
from nanotape.storage.clock import Clock, SystemClock
from nanotape.storage.feed_options import FeedOptions
from nanotape.storage.framing_store import keep_framings
from nanotape.storage.log import Info, Log, log_to_stderr
from nanotape.storage.orders import Orders
from nanotape.storage.record_options import Feeds, RecordPlaces
from nanotape.storage.recorder import Recorder, RecorderOptions, RecorderTotals
from nanotape.storage.upkeep import Upkeep, UpkeepOptions

__all__ = ["Feeds", "RecordPlaces", "record"]

_REOPEN_PAUSE_S = 0.1
_UNWRITTEN_SHARE = 8
_REFUSALS_TOLD = 50  # a ring that is being made may be closed to us for a moment; after 5 s it is worth a line


def record(
    ring_name: str,
    archive_path: Path | str,
    options: RecorderOptions | None = None,
    *,
    places: RecordPlaces | None = None,
    on_begin: Callable[[Recorder], None] | None = None,
    upkeep: UpkeepOptions | None = None,
    feeds: Feeds | None = None,
    clock: Clock | None = None,
    log: Log = log_to_stderr,
    orders: Orders | None = None,
    on_step: Callable[[], None] | None = None,
    on_wait: Callable[[], None] | None = None,
) -> RecorderTotals:
    """Records until SIGTERM or SIGINT. Call it in the main thread.

    Args:
        ring_name: Name of the ring, or path of its descriptor.
        archive_path: Made if its parent exists.
        options: None: the defaults.
        places: None: the defaults.
        on_begin: Called with each recorder before its first step, once it has the archive to itself.
        upkeep: What goes on beside; None: nothing.
        feeds: How feeds are followed; None: the defaults.
        clock: None: the host's.
        log: Takes one line at a time; from several threads.
        orders: What an operator has it do; None: nobody can.
        on_step: Called again and again while it goes on, whether packets come or not.
        on_wait: Called when there is no such ring yet, which is waited for; None: it is an error.

    Returns:
        What was recorded, over all rings of that name.

    Raises:
        CaptureError: The ring cannot be opened or read, or another recorder has the same name.
        StorageError: The archive cannot be written, another recorder writes it, or it is ahead of the ring.
    """
    clock = clock or SystemClock()
    beside = Upkeep(Path(archive_path), upkeep or UpkeepOptions(), clock, log)
    where = places or RecordPlaces()
    feeds = feeds or Feeds()
    recording = _Recording(ring_name, Path(archive_path), options, where, beside, feeds, clock, log, orders)
    return recording.run(on_begin, on_step, on_wait)


class _Recording:
    """One call of `record`."""

    def __init__(
        self,
        ring_name: str,
        archive: Path,
        options: RecorderOptions | None,
        places: RecordPlaces,
        upkeep: Upkeep,
        feeds: Feeds,
        clock: Clock,
        log: Log,
        orders: Orders | None,
    ) -> None:
        self._ring_name, self._archive_path, self._options = ring_name, archive, options
        self._places, self._upkeep, self._clock, self._log = places, upkeep, clock, log
        self._feeds = feeds
        self._links = LinkWatch(feeds.interfaces) if feeds.interfaces else None
        self._orders = orders
        self._recorder: Recorder | None = None
        self._on_step: Callable[[], None] | None = None
        self._stopping = False

    def run(
        self,
        on_begin: Callable[[Recorder], None] | None,
        on_step: Callable[[], None] | None = None,
        on_wait: Callable[[], None] | None = None,
    ) -> RecorderTotals:
        self._on_step = on_step
        before = {number: signal.signal(number, self._on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
        totals = RecorderTotals(0, 0, 0, 0, None, None)
        try:
            ring = self._open(on_wait)
            self._upkeep.start()
            while ring is not None:
                with ring:
                    totals = _sum(totals, self._record(ring, on_begin))
                ring = self._reopen()
            return totals
        finally:
            self._upkeep.stop()
            for number, handler in before.items():
                signal.signal(number, handler)

    def _open(self, on_wait: Callable[[], None] | None) -> Ring | None:
        try:
            return Ring.open(self._ring_name, self._places.shm_directory)
        except (RingNotFound, RingNotReady) as error:
            if on_wait is None:
                raise
            self._log(Info(f"{error}; waiting for it"))
            on_wait()
        return self._wait_for_ring()

    def _record(self, ring: Ring, on_begin: Callable[[Recorder], None] | None) -> RecorderTotals:
        archive = Archive.create(self._archive_path)  # not before there is a ring: a mistyped name makes nothing
        with suppress(OSError):  # messages of these channels cannot be split then, nothing else
            keep_framings(archive.path, self._feeds.of_flows(ring))
        with ring.reader("oldest") as reader:
            self._show(reader)
            options = _fitting(self._options or RecorderOptions(), ring)
            recorder = self._recorder = Recorder(
                ring,
                reader,
                archive,
                options,
                clock=self._clock,
                log=self._log,
                on_segment=self._upkeep.finished,
                read_ring=partial(_readings, ring),
                feeds=self._feeds.decoder(ring, self._log),
                feed_options=FeedOptions(
                    quiet=self._feeds.quiet,
                    is_live=any(source.kind not in ("pcap", "synthetic") for source in ring.sources()),
                    facts_path=self._places.facts_path(ring.name),
                    links=RingLinks(self._links, ring).look if self._links else None,
                ),
                clock_folder=self._places.clock_folder,
                orders=self._orders,
            )
            recorder.recording.files.tables.on_events = self._upkeep.told
            recorder.recording.told.path = self._places.segments_path(ring.name)
            if self._stopping:
                recorder.stop()
            recorder.run(partial(self._begun, recorder, on_begin), self._on_step)
            return recorder.totals

    def _begun(self, recorder: Recorder, on_begin: Callable[[Recorder], None] | None) -> None:
        self._upkeep.start()  # again: there may have been no folder of a ring to look after
        if on_begin:
            on_begin(recorder)

    def _show(self, reader: RingReader) -> None:
        """Makes the status file. That others see the recorder is worth less than that it records."""
        if self._places.reader_name is None:
            return
        try:
            reader.show_as(self._places.reader_name, self._places.run_directory)
        except (ReaderBusy, ReaderNameInvalid):
            raise
        except RingError as error:
            self._log(f"{error}; recording all the same, unseen by `nanotape rings`")

    def _reopen(self) -> Ring | None:
        """The ring of the same name that was made in place of the last one; None when told to stop."""
        if not self._stopping:
            self._log(Info(f"{self._ring_name}: the ring was removed or made anew; waiting for the next of that name"))
        return self._wait_for_ring()

    def _wait_for_ring(self) -> Ring | None:
        """None when told to stop."""
        refusals = 0
        while not self._stopping:
            try:
                return Ring.open(self._ring_name, self._places.shm_directory)
            except (RingNotFound, RingNotReady):
                refusals = 0
            except PermissionDenied as error:  # its maker opens it to the group when it is ready
                refusals += 1
                if refusals == _REFUSALS_TOLD:
                    self._log(f"{error}; waiting on")
            self._clock.sleep(_REOPEN_PAUSE_S)
            if self._on_step:
                self._on_step()
        return None

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        again, self._stopping = self._stopping, True
        if self._recorder:
            self._recorder.stop(at_once=again)


def _readings(ring: Ring) -> RingReadings:
    """The books of a ring's sources; each source's loop is read before what lies upstream of it."""
    readings = []
    sources = ring.sources()
    for source in sources:
        books = asdict(source_books(source))
        counts = {stage: books[stage] for stage in RING_STAGES}
        counts |= {stage: getattr(source.loop, stage) for stage in STAMP_STAGES}
        readings += [Reading(source.name, source.interface or None, stage, value) for stage, value in counts.items()]
    epoch = ring.epoch_entry(ring.epoch)
    counted_ns = min((each.stats.updated_ns for each in sources if each.stats.updated_ns), default=None)
    whose = (epoch.holder_id, epoch.attached_ns, epoch.first_seq) if epoch else (None, None, None)
    holder_id, attached_ns, first_seq = whose
    return RingReadings(ring.epoch, holder_id, tuple(readings), counted_ns, attached_ns, first_seq)


def _fitting(options: RecorderOptions, ring: Ring) -> RecorderOptions:
    """What is read and not written yet is to be in the ring still, should we be killed: a small share of it, then."""
    return replace(options, batch_bytes=min(options.batch_bytes, ring.capacity_bytes // _UNWRITTEN_SHARE))


def _sum(one: RecorderTotals, other: RecorderTotals) -> RecorderTotals:
    return replace(
        other,
        recorded=one.recorded + other.recorded,
        lost=one.lost + other.lost,
        write_failures=one.write_failures + other.write_failures,
        written_bytes=one.written_bytes + other.written_bytes,
        left_out=one.left_out + other.left_out,
    )
