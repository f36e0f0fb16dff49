"""A reader of a ring: takes what is published, in order, and knows exactly what it lost. The writer never waits for it.

One reader serves one consumer; calls from several threads are serialised. Nothing here writes to the ring.
"""

import errno
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import pyarrow as pa

from nanotape.capture.columns import AddressBook, ColumnBuffers, ColumnPool
from nanotape.capture.errors import RingCorrupt, RingError, RingReplaced, SequenceNotWritten
from nanotape.capture.packet import Packet, packets_of
from nanotape.capture.readers import RUN_DIRECTORY, StatusFile, status_path
from nanotape.capture.waiting import Waiting, waiting_of
from nanotape.native import ffi, lib

if TYPE_CHECKING:
    from nanotape.capture.ring import Ring

Start = Literal["latest", "oldest"] | int
Resume = Literal["quarter", "oldest", "latest"]
Stop = Callable[[], bool] | threading.Event

MAX_ROWS = 65_536
MAX_BYTES = 16 << 20
REPLACED_CHECK_S = 0.25

_RECORD_BYTES_GUESSED = 96  # rows to allocate for = lag / this: small frames at worst end the batch early
_OFFSET_MAX = 2**31 - 1


class RingReader:
    """Reads one ring from one position on. Made by `Ring.reader`; close it, or use it in a `with`."""

    def __init__(
        self,
        ring: "Ring",
        start: Start = "latest",
        resume: Resume = "quarter",
        status: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """See `Ring.reader`."""
        self._ring = ring
        self._clock = clock
        self._lock = threading.Lock()
        self._book = AddressBook()
        self._error = 0
        self._next_check = clock() + REPLACED_CHECK_S
        fault = ffi.new("struct nt_fault *")
        self._handle = ffi.new("struct nt_reader *")
        if lib.nt_reader_init(self._handle, ring.handle, _resume_of(resume), fault) != 0:
            raise RingError(ffi.string(fault.text).decode())
        self._frame_max = lib.nt_columns_frame_max(ring.handle)
        self._pool: ColumnPool | None = None
        self._gathered: ColumnBuffers | None = None
        self._status: StatusFile | None = None
        self._finalizer = weakref.finalize(self, _release, self._handle, None)
        self.seek(start)
        if status is not None:
            self._show(status)

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes it."""
        self.close()

    def close(self) -> None:
        """Frees its memory and removes its status file. May be called twice."""
        with self._lock:
            self._finalizer()

    @property
    def position(self) -> int:
        """Bytes of the ring, counted since it was made, that are handed out, skipped or lost."""
        return int(self._open().position)

    @property
    def next_seq(self) -> int | None:
        """Ring sequence expected next; None until the first record, when started at the latest."""
        return int(self._open().next_seq) or None

    @property
    def records(self) -> int:
        """Records handed out."""
        return int(self._open().records)

    @property
    def lost(self) -> int:
        """Records that this reader lost, exactly, as far as the records read since tell."""
        return int(self._open().lost)

    @property
    def loss_events(self) -> int:
        """Losses with a record read between them."""
        return int(self._open().loss_events)

    @property
    def lag_bytes(self) -> int:
        """Bytes published and not yet handed out."""
        return int(lib.nt_reader_lag_bytes(self._open()))

    def seek(self, start: Start) -> None:
        """Goes to the newest, the oldest intact, or the record of a given sequence.

        Raises:
            SequenceNotWritten: The sequence is still to come. One that is gone is a loss, counted with the next record.
        """
        with self._lock:
            sequence = start if isinstance(start, int) else 0
            if sequence < 0:
                raise ValueError(f"start: a ring sequence counts from 1, found {sequence}")
            error = lib.nt_reader_seek(self._open(), _start_of(start), sequence)
            self._error = 0
        name = self._ring.name
        if error == -errno.ERANGE:
            raise SequenceNotWritten(f"{name}: ring sequence {sequence} is not written yet; start at the latest")
        if error == -errno.EAGAIN:
            raise RingError(f"{name}: overtaken by the writer again and again; the ring is too small for its rate")
        if error:
            raise _corrupt(name, error)

    def read(self, max_rows: int = MAX_ROWS, max_bytes: int = MAX_BYTES) -> pa.RecordBatch | None:
        """What is published, up to a size; None when there is nothing. Never waits.

        Args:
            max_rows: At most so many records.
            max_bytes: Ends the batch once its frames take about so many bytes (one largest frame more at most).

        Returns:
            A batch of `RING_SCHEMA`.

        Raises:
            RingCorrupt: The ring holds what no writer could have written. What came before is returned first.
        """
        with self._lock:
            handle = self._open()
            if self._error:
                raise _corrupt(self._ring.name, self._error)
            lag = lib.nt_reader_lag_bytes(handle)
            if lag == 0:
                self._publish()
                return None
            rows = min(max_rows, lag // _RECORD_BYTES_GUESSED + 1)
            buffers = ColumnBuffers(rows, min(min(lag, max_bytes) + self._frame_max, _OFFSET_MAX))
            self._error = lib.nt_columns_fill(handle, self._book.handle, buffers.columns)
            self._publish()
            if buffers.columns.rows == 0:
                if self._error:
                    raise _corrupt(self._ring.name, self._error)
                return None
            return buffers.batch(self._book)

    def gather(self, max_rows: int = MAX_ROWS, max_bytes: int = MAX_BYTES) -> int:
        """Appends what is published to the batch that `take` will give, so that small reads make large batches.

        Between two `take`s the sizes stay the same, and nothing is to be `read`.

        Args:
            max_rows: At most so many records in the batch.
            max_bytes: Of their frames; see `read`.

        Returns:
            Records appended; 0 when the batch is full too.

        Raises:
            RingCorrupt: See `read`.
        """
        with self._lock:
            handle = self._open()
            if self._error:
                raise _corrupt(self._ring.name, self._error)
            if lib.nt_reader_lag_bytes(handle) == 0:
                self._publish()
                return 0
            if self._gathered is None:
                self._gathered = self._columns(max_rows, max_bytes)
            columns = self._gathered.columns
            before = columns.rows
            self._error = lib.nt_columns_fill(handle, self._book.handle, columns)
            self._publish()
            if columns.rows == before and self._error:
                raise _corrupt(self._ring.name, self._error)
            return int(columns.rows - before)

    def _columns(self, max_rows: int, max_bytes: int) -> ColumnBuffers:
        data_bytes = min(max_bytes + self._frame_max, _OFFSET_MAX)
        if self._pool is None or (self._pool.rows, self._pool.data_bytes) != (max_rows, data_bytes):
            self._pool = ColumnPool(max_rows, data_bytes)
        return self._pool.take()

    @property
    def gathered_rows(self) -> int:
        """Records that wait for `take`."""
        return int(self._gathered.columns.rows) if self._gathered else 0

    @property
    def gathered_bytes(self) -> int:
        """Bytes that they take in memory."""
        return self._gathered.used_bytes if self._gathered else 0

    def take(self) -> pa.RecordBatch | None:
        """What was gathered, in memory that is used again once nothing refers to the batch; None: nothing was.

        Returns:
            A batch of `RING_SCHEMA`.
        """
        with self._lock:
            if self._gathered is None or self._pool is None or not self._gathered.columns.rows:
                return None
            buffers, self._gathered = self._gathered, None
            return self._pool.lend(buffers, self._book)

    def batches(
        self,
        wait: Literal["sleep", "spin"] | Waiting = "sleep",
        max_rows: int = MAX_ROWS,
        max_bytes: int = MAX_BYTES,
        stop: Stop | None = None,
        idle: float | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Batches as they come, for ever.

        Args:
            wait: What to do while nothing is there.
            max_rows: See `read`.
            max_bytes: See `read`.
            stop: Ends the iteration once it is true or set; looked at before each read.
            idle: Ends the iteration after so many seconds without a record.

        Raises:
            RingReplaced: All is read, and the ring was removed or made anew.
            RingCorrupt: See `read`.
        """
        waiting = waiting_of(wait)
        stopped = stop.is_set if isinstance(stop, threading.Event) else stop
        quiet_since: float | None = None
        while not (stopped and stopped()):
            now = self._clock()
            replaced = quiet_since is not None and self._is_replaced(now)
            batch = self.read(max_rows, max_bytes)
            if batch is not None:
                waiting.reset()
                quiet_since = None
                yield batch
                continue
            if replaced:
                raise RingReplaced(f"{self._ring.name}: the ring was removed or made anew; open it again")
            quiet_since = now if quiet_since is None else quiet_since
            if idle is not None and now - quiet_since >= idle:
                return
            waiting.wait()

    def packets(self, **options: Any) -> Iterator[Packet]:
        """Single packets; takes what `batches` takes."""
        for batch in self.batches(**options):
            yield from packets_of(batch)

    def is_replaced(self) -> bool:
        """Whether the ring's files were removed or made anew since it was opened."""
        return not self._ring.is_current()

    def newest_seq(self) -> int:
        """Newest ring sequence that is published now; 0 before the first.

        Raises:
            RingError: It cannot be found: see `seek`.
        """
        with RingReader(self._ring, "latest") as newest:
            return (newest.next_seq or 1) - 1

    def show_as(self, reader_name: str, run_directory: str | Path = RUN_DIRECTORY) -> None:
        """Makes the status file by which others see this reader, once.

        Raises:
            ReaderNameInvalid: The name cannot be a file name.
            ReaderBusy: Another process reads under this name.
            RingError: The file cannot be made; PermissionDenied when this user may not. The reader reads all the same.
        """
        with self._lock:
            self._open()
            self._show(status_path(Path(run_directory), self._ring.name, reader_name))

    def _show(self, path: Path) -> None:
        if self._status is not None:
            raise ValueError("reader has a status file already")
        status = self._status = StatusFile(path, self._ring.handle)
        self._finalizer.detach()
        self._finalizer = weakref.finalize(self, _release, self._handle, status)
        status.update(self._handle)

    def publish_status(
        self,
        recorded: int | None = None,
        write_failures: int | None = None,
        written_bytes: int | None = None,
        settled: bool = False,
    ) -> None:
        """Tells others how far a recorder is, in the reader's status file; what is None stays as it was.

        Args:
            recorded: Rows in segments.
            write_failures: Rows that could not be written.
            written_bytes: Bytes of segments.
            settled: All that was read is in a segment, or never will be: a recorder that comes after us does not need
                it in the ring.
        """
        with self._lock:
            self._open()
            if self._status is not None:
                self._status.record(recorded, write_failures, written_bytes)
                self._status.update(self._handle)
                if settled:
                    self._status.settle(self._handle)

    def _is_replaced(self, now: float) -> bool:
        if now < self._next_check:
            return False
        self._next_check = now + REPLACED_CHECK_S
        return self.is_replaced()

    def _publish(self) -> None:
        if self._status is not None:
            self._status.update(self._handle)

    def _open(self) -> Any:
        if not self._finalizer.alive:
            raise ValueError("reader is closed")
        return self._handle


def _release(handle: Any, status: StatusFile | None) -> None:
    if status is not None:
        status.close()
    lib.nt_reader_free(handle)


def _start_of(start: Start) -> int:
    if isinstance(start, int):
        return int(lib.NT_START_SEQUENCE)
    starts = {"latest": lib.NT_START_LATEST, "oldest": lib.NT_START_OLDEST}
    if start not in starts:
        raise ValueError(f'start: expected "latest", "oldest" or a ring sequence, found "{start}"')
    return int(starts[start])


def _resume_of(resume: Resume) -> int:
    resumes = {
        "quarter": lib.NT_RESUME_QUARTER,
        "oldest": lib.NT_RESUME_OLDEST,
        "latest": lib.NT_RESUME_LATEST,
    }
    if resume not in resumes:
        raise ValueError(f'resume: expected "quarter", "oldest" or "latest", found "{resume}"')
    return int(resumes[resume])


def _corrupt(name: str, error: int) -> RingError:
    return RingCorrupt(
        f"{name}: the ring holds what no writer could have written ({os.strerror(-error)}); make it anew"
    )
