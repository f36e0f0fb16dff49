"""The clocks' part of a recorder: bounds for packets, and the clock service's samples and changes into the archive.

Each sample is a row of `clock` and each change an event, once, over restarts and kills, and those too that came while
nobody recorded. Of several recorders of an archive one does it: who holds ARCHIVE/segments/.clock.lock.
"""

import fcntl
import os
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import pyarrow as pa

from nanotape.storage.archive import Archive
from nanotape.storage.clock import Clock
from nanotape.storage.clock_bounds import ClockBounds
from nanotape.storage.clock_entries import ClockSample
from nanotape.storage.clock_interfaces import ClockInterfaces
from nanotape.storage.clock_journal import ClockJournal, ClockNews
from nanotape.storage.clock_told import ClockTold, change_event
from nanotape.storage.errors import StorageError
from nanotape.storage.journal import Journal
from nanotape.storage.log import Log
from nanotape.storage.packets import RingFacts

LOCK_NAME = ".clock.lock"

_TRY_NS = 10**9
_TRY_AFTER_FAILURE_NS = 10 * 10**9


class ClockRecording:
    """Of one recorder, from `begin` to `let_go`."""

    def __init__(
        self, folder: Path, archive: Archive, ring: RingFacts, journal: Journal, clock: Clock, log: Log
    ) -> None:
        """Reads nothing yet.

        Args:
            folder: RUN_DIR/clock, where the service writes; it need not be there.
            archive: Where the rows go.
            ring: Whose packets are recorded, on the clocks' host.
            journal: Where samples and changes are told.
            clock: For when to try again.
            log: Takes a line where an archive does not say what it has.
        """
        self._archive, self._ring, self._journal, self._clock, self._log = archive, ring, journal, clock, log
        self._entries = ClockJournal(folder)
        self._bounds = ClockBounds(ClockInterfaces(folder, clock).phc_of)
        self._lock: int | None = None
        self._told: ClockTold | None = None  # None: it is not for us to tell, or not known what was told
        self._next_try_ns = 0
        self._has_complained = False
        self._interfaces: tuple[str | None, ...] = ()

    def begin(self) -> None:
        """Records what came since the last recorder did, and goes on."""
        self._look()

    def errors(self, batch: pa.RecordBatch) -> pa.Array:
        """The column `ts_error_ns` of packets of a reader's batch, by what is known now."""
        self._look()
        return self._bounds.errors(batch, self._interface)

    def tick(self) -> None:
        """Call it about once a second."""
        self._look()

    def begin_anew(self) -> None:
        """Rows of the archive are gone: what the journal still has of them is told again."""
        self._release()
        self._look()

    def let_go(self) -> None:
        """Lets another recorder tell; once all is written that was told. May be called twice."""
        self._release()
        self._entries.rewind()

    def _look(self) -> None:
        is_to_take_over = self._told is None and self._clock.monotonic_ns() >= self._next_try_ns
        news = self._take_over() if is_to_take_over and self._acquire() else self._entries.read()
        self._bounds.take(news.samples)
        if self._told is not None:
            self._tell(news, self._told)

    def _take_over(self) -> ClockNews:
        """Begins to tell, with all that the journal has."""
        self._entries.rewind()
        self._bounds.forget()
        news = self._entries.read()
        stamps = [*(each.at_ns for each in news.samples), *(each.at_ns for each in news.changes)]
        try:
            self._told = ClockTold(self._archive, self._ring.host, stamps)
        except StorageError as error:
            self._fail(str(error))
        return news

    def _acquire(self) -> bool:
        """Whether nobody else tells."""
        self._next_try_ns = self._clock.monotonic_ns() + _TRY_NS
        if not self._entries.is_there:  # another recorder may know of a service that is
            return False
        if self._lock is not None:
            return True
        path = self._archive.path / "segments" / LOCK_NAME
        try:
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            except PermissionError:  # another user's: to lock it is enough to read it
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            self._fail(f"{path}: cannot be opened: {error.strerror}")
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return False
        self._lock = descriptor
        return True

    def _fail(self, what: str) -> None:
        self._next_try_ns = self._clock.monotonic_ns() + _TRY_AFTER_FAILURE_NS
        if not self._has_complained:
            self._has_complained = True
            self._log(f"{what}; clocks are not recorded until that is mended")

    def _release(self) -> None:
        self._told, self._next_try_ns = None, 0
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _tell(self, news: ClockNews, told: ClockTold) -> None:
        if samples := [each for each in news.samples if told.is_new(each)]:
            self._journal.tell_rows("clock", clock_columns(samples))
        if changes := [each for each in news.changes if told.is_new(each)]:
            self._journal.tell([change_event(each, self._ring) for each in changes])

    def _interface(self, slot: int) -> str | None:
        """Of a source; the table only grows, and takes a while to read."""
        if slot >= len(self._interfaces):
            self._interfaces = tuple(source.interface or None for source in self._ring.sources())
        return self._interfaces[slot] if slot < len(self._interfaces) else None


def clock_columns(samples: Sequence[ClockSample]) -> dict[str, list[object]]:
    """The columns of `clock`, but those that say whose the rows are."""
    names = [field.name for field in fields(ClockSample) if field.name not in ("at_ns", "growth_ppb")]
    columns: dict[str, list[object]] = {name: [getattr(each, name) for each in samples] for name in names}
    return {"ts": [each.at_ns for each in samples], **columns}
