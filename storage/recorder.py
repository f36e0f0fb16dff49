"""The recorder: reads a ring and writes segments, each ring sequence once, over restarts and kills.

It never stops reading because the disk refuses; what it could not write it counts, and the next row's `lost_before`
says so. What becomes of what is read is in recording.py.
"""

import errno
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from nanotape.storage.archive import Archive
from nanotape.storage.clock import Clock, SystemClock
from nanotape.storage.errors import RecorderMemoryError, SegmentWriteError
from nanotape.storage.events import Event
from nanotape.storage.feed_findings import FeedSource
from nanotape.storage.feed_options import FeedOptions
from nanotape.storage.feed_recording import FeedRecording
from nanotape.storage.journal import Journal, ReadRing
from nanotape.storage.log import Log, log_to_stderr
from nanotape.storage.memory_reserve import MemoryReserve
from nanotape.storage.orders import Order, Orders
from nanotape.storage.packets import RingFacts
from nanotape.storage.recorder_options import RecorderOptions, RecorderTotals
from nanotape.storage.recording import Recording
from nanotape.storage.recovery import Recovery
from nanotape.storage.ring_source import RingSource
from nanotape.storage.rotation import OnFinished

__all__ = ["Recorder", "RecorderOptions", "RecorderTotals"]

_REPLACED_CHECK_NS = 250_000_000
_STILL_NS = 3 * 10**9  # a second of a stolen core is nothing to tell of


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
        clock_folder: Path | None = None,
        orders: Orders | None = None,
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
            clock_folder: RUN_DIR/clock, where the clock service writes; None: nothing is known of clocks.
            orders: What an operator has it do; None: nobody can.

        Raises:
            StorageError: `options.rotate_at` is no time, or its zone is not known.
        """
        self.ring_gone = False
        """The ring was removed or made anew, and all of it was read."""
        self._ring, self._reader = ring, reader
        self._options = options or RecorderOptions()
        self._clock: Clock = clock or SystemClock()
        log = log or log_to_stderr
        make_feeds = None
        if feeds:
            make_feeds = partial(_feeds, feeds, feed_options or FeedOptions(), ring, self._clock, log)
        self.recording = Recording(ring, reader, archive, self._options, self._clock, log, on_segment, make_feeds)
        """What becomes of what is read."""
        self.recording.read_ring = read_ring
        self.recording.clock_folder = clock_folder
        self._orders = orders
        self._stopping = False
        self._pending_since_ns: int | None = None
        self._is_in_hand = False
        self._is_first = True
        self._backlog: int | None = None
        self._ticked_ns = 0
        self._replaced_check_ns = 0
        self._hurrying = False

    @property
    def totals(self) -> RecorderTotals:
        """Counts up to now."""
        done, settled = self.recording, self.recording.settlement
        return RecorderTotals(
            done.recorded,
            self._reader.lost,
            done.write_failures,
            done.written_bytes,
            done.first_seq,
            done.last_seq,
            settled.begin_seq,
            self._backlog,
            settled.left_out,
        )

    def begin(self) -> list[Recovery]:
        """Locks the ring's directory, recovers what a dead recorder left, and goes to where the archive ends.

        Returns:
            What was recovered.

        Raises:
            StorageError: The archive cannot be written or recovered, another recorder writes it, or it is ahead of the
                ring.
        """
        reports = self.recording.begin()
        self._ticked_ns = self._clock.monotonic_ns()
        self._publish()
        return reports

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
            self.recording.save()
            self._publish()  # a file that is read as fast as we record waits for it
        if now - self._ticked_ns >= self._flush_ns:
            since_ns, self._ticked_ns = self._ticked_ns, now
            if now - since_ns >= self._flush_ns + _STILL_NS and self.recording.journal:
                self.recording.journal.stood_still(since_ns)
            self._tick()
        return rows

    def _tick(self) -> None:
        if self.recording.files.is_at_boundary():
            self._flush()  # what was read before the boundary goes into the segment that it ends
        self.recording.tick()
        self._publish()

    def run(self, on_begun: Callable[[], None] | None = None, on_step: Callable[[], None] | None = None) -> None:
        """Records until `stop` is called or the ring is gone, then finishes.

        Args:
            on_begun: Called once `begin` has succeeded.
            on_step: Called after each step, which a quiet ring has too.
        """
        reserve = MemoryReserve()
        self.begin()
        try:
            if on_begun:
                on_begun()
            while not self._stopping and not self.ring_gone:
                rows = self.step()
                if on_step:
                    on_step()
                if self._orders:
                    self._orders.obey(self.rotate, self.mark)
                self.ring_gone = not rows and self._is_replaced()
                if rows < self._options.batch_rows // 8:
                    self._clock.sleep(self._options.idle_sleep_s)
            self._drain()
        except BaseException as error:
            reserve.release()
            self._break_off(error)
            if _is_no_memory(error):
                raise RecorderMemoryError(
                    f"{self._ring.name}: the recorder gets no memory for what it read ({error}); started again it goes "
                    "on with what the ring holds; give it more (ulimit -v, MemoryMax)"
                ) from error
            raise
        self.finish()

    def _break_off(self, error: BaseException) -> None:
        """Ends as well as can be; what fails again is what the next recorder mends."""
        self.recording.broken_by = f"{type(error).__name__}: {error}"
        with suppress(Exception):
            self.finish()

    def stop(self, at_once: bool = False) -> None:
        """Makes `run` read what the ring holds now, and return; or leave that in the ring. Safe in a signal handler."""
        self._hurrying = self._hurrying or at_once
        self._stopping = True

    def rotate(self) -> None:
        """Writes what was read and ends the segment."""
        self._flush()
        self.recording.files.rotate()

    def mark(self, order: Order) -> None:
        """Tells an operator's words as an event; the same order twice is the same event.

        Raises:
            SegmentWriteError: The archive takes nothing just now; it is told when it does again.
        """
        journal = self.recording.journal
        if journal is None:
            return
        of_ring = (self._ring.host, self._ring.name, self._ring.ring_id)
        event = Event("mark", order.given_ns, None, "info", *of_ring, stage="operator", detail=order.text)
        journal.tell([event])
        if not journal.is_all_told():
            raise SegmentWriteError("the archive takes nothing just now; the mark waits in the recorder's memory")

    def finish(self) -> None:
        """Writes what was read, ends the segment and lets the next recorder in. May be called twice."""
        try:
            self._flush()
            if self.recording.journal:
                self._backlog = self._left_behind()
                self.recording.finish(goes_on=not self.ring_gone)
            self._publish()
        finally:
            self.recording.let_go()

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
        # The first packets are written at once: whoever has just started all this looks whether it records.
        return full or self._is_first or now - self._pending_since_ns >= self._flush_ns

    def _drain(self) -> None:
        deadline = self._clock.monotonic_ns() + int(self._options.drain_s * 1e9)
        while not self._hurrying and self.step():
            if self._clock.monotonic_ns() >= deadline and self._ring.writer_alive:
                return

    def _flush(self) -> None:
        if self.recording.journal is None:
            return
        read = self._reader.take()
        self._pending_since_ns = None
        if read is not None:
            self._is_first = False
            self._is_in_hand = True  # for good, if what follows breaks: a successor needs it in the ring
            self.recording.write(read)
            self._is_in_hand = False

    def _publish(self) -> None:
        self._reader.publish_status(
            recorded=self.recording.recorded,
            write_failures=self.recording.write_failures,
            written_bytes=self.recording.written_bytes,
            settled=not self._reader.gathered_rows and not self._is_in_hand,
        )


def _feeds(
    source: FeedSource, options: FeedOptions, ring: RingFacts, clock: Clock, log: Log, journal: Journal
) -> FeedRecording:
    return FeedRecording(source, options, ring, journal, clock, log)


def _is_no_memory(error: BaseException) -> bool:
    """Memory that is refused shows as one of these; zstd's in pyarrow has no number, and a thread lacks its stack."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM or "not enough memory" in str(error)
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "start new thread" in str(error))
