"""Records a ring by name until a signal: what the `record` verb runs.

It goes over to the new ring when the old one is made anew.
"""

import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

from nanotape.capture.errors import RingNotFound, RingNotReady
from nanotape.capture.readers import RUN_DIRECTORY
from nanotape.capture.ring import SHM_DIRECTORY, Ring
from nanotape.storage.archive import Archive
from nanotape.storage.clock import Clock, SystemClock
from nanotape.storage.recorder import Recorder, RecorderOptions, RecorderTotals, log_to_stderr
from nanotape.storage.rotation import Log

_REOPEN_PAUSE_S = 0.1


@dataclass(frozen=True, slots=True)
class Places:
    """Where a ring and a reader's status are."""

    shm_directory: Path = SHM_DIRECTORY
    run_directory: Path = RUN_DIRECTORY
    reader_name: str | None = "recorder"
    """None: no status file."""


def record(
    ring_name: str,
    archive_path: Path | str,
    options: RecorderOptions | None = None,
    *,
    places: Places | None = None,
    on_begin: Callable[[Recorder], None] | None = None,
    clock: Clock | None = None,
    log: Log = log_to_stderr,
) -> RecorderTotals:
    """Records until SIGTERM or SIGINT. Call it in the main thread.

    Args:
        ring_name: Name of the ring, or path of its descriptor.
        archive_path: Made if its parent exists.
        options: None: the defaults.
        places: None: the defaults.
        on_begin: Called with each recorder before its first step.
        clock: None: the host's.
        log: Takes one line at a time.

    Returns:
        What was recorded, over all rings of that name.

    Raises:
        CaptureError: The ring cannot be opened or read.
        StorageError: The archive cannot be written, or another recorder writes it.
    """
    return _Recording(
        ring_name, Archive.create(archive_path), options, places or Places(), clock or SystemClock(), log
    ).run(on_begin)


class _Recording:
    """One call of `record`."""

    def __init__(
        self, ring_name: str, archive: Archive, options: RecorderOptions | None, places: Places, clock: Clock, log: Log
    ) -> None:
        self._ring_name, self._archive, self._options = ring_name, archive, options
        self._places, self._clock, self._log = places, clock, log
        self._recorder: Recorder | None = None
        self._stopping = False

    def run(self, on_begin: Callable[[Recorder], None] | None) -> RecorderTotals:
        before = {number: signal.signal(number, self._on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
        totals = RecorderTotals(0, 0, 0, 0, None, None)
        try:
            ring: Ring | None = Ring.open(self._ring_name, self._places.shm_directory)
            while ring is not None:
                with ring:
                    totals = _sum(totals, self._record(ring, on_begin))
                ring = self._reopen()
            return totals
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _record(self, ring: Ring, on_begin: Callable[[Recorder], None] | None) -> RecorderTotals:
        with ring.reader(
            "oldest", reader_name=self._places.reader_name, run_directory=self._places.run_directory
        ) as reader:
            recorder = self._recorder = Recorder(
                ring, reader, self._archive, self._options, clock=self._clock, log=self._log
            )
            if on_begin:
                on_begin(recorder)
            if self._stopping:
                recorder.stop()
            recorder.run()
            return recorder.totals

    def _reopen(self) -> Ring | None:
        """The ring of the same name that was made in place of the last one; None when told to stop."""
        if not self._stopping:
            self._log(f"{self._ring_name}: the ring was removed or made anew; waiting for the next of that name")
        while not self._stopping:
            try:
                return Ring.open(self._ring_name, self._places.shm_directory)
            except (RingNotFound, RingNotReady):
                self._clock.sleep(_REOPEN_PAUSE_S)
        return None

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping = True
        if self._recorder:
            self._recorder.stop()


def _sum(one: RecorderTotals, other: RecorderTotals) -> RecorderTotals:
    return replace(
        other,
        recorded=one.recorded + other.recorded,
        lost=one.lost + other.lost,
        write_failures=one.write_failures + other.write_failures,
        written_bytes=one.written_bytes + other.written_bytes,
    )
