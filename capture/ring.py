"""A ring of captured packets, opened read-only: what it is, who writes it, and readers of it.

Opening needs read permission on the ring's files and nothing else. Nothing here ever writes to a ring or delays its
writer. What makes Arrow arrays is loaded with the first reader: a service that only looks at a ring starts without it.
"""

from __future__ import annotations

import errno
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from nanotape.capture.counters import (
    CLOCK_DOMAINS,
    MEMORY_KINDS,
    Epoch,
    Flow,
    LoopGaps,
    SourceCounters,
    SystemCalls,
    read_epoch,
    read_flow,
    read_gaps,
    read_source,
    read_system_calls,
    text,
)
from nanotape.capture.errors import (
    PermissionDenied,
    RingCorrupt,
    RingError,
    RingLayoutMismatch,
    RingNotFound,
    RingNotReady,
)
from nanotape.capture.processes import is_alive
from nanotape.capture.readers import RUN_DIRECTORY, status_path
from nanotape.capture.waiting import Waiting
from nanotape.native import ffi, lib

if TYPE_CHECKING:
    import pyarrow as pa

    from nanotape.capture.packet import Packet
    from nanotape.capture.reader import Resume, RingReader, Start, Stop

SHM_DIRECTORY = Path("/dev/shm/nanotape")  # noqa: S108
RING_SUFFIX = ".ring"

_RING_ID = slice(16, 32)  # of the descriptor file: magic, layout version and memory kind come first
_FAULTS: dict[int, type[RingError]] = {
    errno.ENOENT: RingNotFound,
    errno.ENODATA: RingNotFound,  # its data file alone is gone
    errno.EAGAIN: RingNotReady,
    errno.EACCES: PermissionDenied,
    errno.EPERM: PermissionDenied,
    errno.EPROTO: RingLayoutMismatch,
    errno.EBADMSG: RingCorrupt,
}


def ring_path(name_or_path: str | Path, shm_directory: str | Path = SHM_DIRECTORY) -> Path:
    """The descriptor file of a ring given by its name, or by a path, which has a slash in it."""
    if "/" in str(name_or_path):
        return Path(name_or_path)
    return Path(shm_directory) / f"{name_or_path}{RING_SUFFIX}"


class Ring:
    """An open ring. Close it, or use it in a `with`; its readers close with it."""

    def __init__(self, handle: Any, path: Path | None = None) -> None:
        """Takes a mapped `struct nt_ring *` over; `path` None: it has no files. Use `open`."""
        self.handle = handle
        self.path = path
        self._descriptor = handle.descriptor
        self._readers: weakref.WeakSet[RingReader] = weakref.WeakSet()
        self._finalizer = weakref.finalize(self, lib.nt_ring_close, handle)

    @classmethod
    def open(cls, name_or_path: str | Path, shm_directory: str | Path = SHM_DIRECTORY) -> Self:
        """Maps a ring, read-only.

        Args:
            name_or_path: The ring's name, or the path of its descriptor file.
            shm_directory: Where to look for a name.

        Raises:
            RingNotFound: There is none.
            RingNotReady: It is just being made.
            PermissionDenied: Its files may not be read by this user.
            RingLayoutMismatch: It was made by another version of nanotape.
            RingCorrupt: Its descriptor cannot be right.
        """
        path = ring_path(name_or_path, shm_directory)
        handle = ffi.new("struct nt_ring *")
        fault = ffi.new("struct nt_fault *")
        error = lib.nt_ring_open(handle, bytes(path), fault)
        if error:
            raise _FAULTS.get(-error, RingError)(ffi.string(fault.text).decode("utf-8", "replace"))
        return cls(handle, path)

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes it."""
        self.close()

    def close(self) -> None:
        """Unmaps the ring, after closing its readers. May be called twice."""
        for reader in list(self._readers):
            reader.close()
        self._finalizer()

    @property
    def name(self) -> str:
        """As configured."""
        return text(self._open().name)

    @property
    def host(self) -> str:
        """Where it was made."""
        return text(self._open().host)

    @property
    def ring_id(self) -> str:
        """128 random bits in hexadecimal: with the ring sequence they name a record for ever."""
        return bytes(ffi.buffer(self._open().ring_id)).hex()

    @property
    def capacity_bytes(self) -> int:
        """Bytes of records that it holds, headers included."""
        self._open()
        return int(self.handle.capacity)

    @property
    def memory(self) -> str:
        """Where the data lie: `shm`, `huge_2m`, `huge_1g`."""
        kind = self._open().memory_kind
        return MEMORY_KINDS.get(kind, str(kind))

    @property
    def data_path(self) -> str:
        """The file of the data."""
        return text(self._open().data_path)

    @property
    def fallback_reason(self) -> str | None:
        """Why the data are not on huge pages; None when they are, or were not asked for."""
        return text(self._open().fallback_reason) or None

    @property
    def locked(self) -> bool:
        """Whether its pages are locked in memory."""
        return bool(self._open().locked)

    @property
    def created_ns(self) -> int:
        """UTC."""
        return int(self._open().created_ns)

    @property
    def epoch(self) -> int:
        """+1 each time a writer attaches."""
        self._open()
        return int(lib.nt_ring_epoch(self.handle))

    @property
    def clock_domain(self) -> str:
        """Clock that the present writer's stamps come from."""
        epoch = self.epoch_entry(self.epoch)
        return epoch.clock_domain if epoch else CLOCK_DOMAINS[0]

    @property
    def writer_pid(self) -> int | None:
        """Process that writes, or wrote until it died; None after a clean end."""
        self._open()
        return int(lib.nt_ring_writer_pid(self.handle)) or None

    @property
    def writer_alive(self) -> bool:
        """Whether that process lives."""
        return is_alive(self.writer_pid or 0)

    @property
    def tail(self) -> int:
        """Bytes published since the ring was made."""
        self._open()
        return int(lib.nt_ring_tail(self.handle))

    def flows(self) -> tuple[Flow, ...]:
        """The flow table; it only ever grows."""
        self._open()
        return tuple(read_flow(self.handle.flows[index]) for index in range(lib.nt_ring_flow_count(self.handle)))

    def sources(self) -> tuple[SourceCounters, ...]:
        """The sources, with their counters now."""
        self._open()
        return tuple(read_source(self.handle, slot) for slot in range(lib.nt_ring_source_count(self.handle)))

    def gaps(self) -> LoopGaps | None:
        """Times at which the loop came late to its sources; None: nobody measures."""
        return read_gaps(self._open())

    def system_calls(self) -> SystemCalls:
        """What its loops did that they must not, now."""
        return read_system_calls(self._open())

    def epoch_entry(self, epoch: int) -> Epoch | None:
        """One writer's entry in the history; None when it is no longer held."""
        self._open()
        return read_epoch(self.handle, epoch)

    def is_current(self) -> bool:
        """Whether the ring's file is still there and still this ring's."""
        if self.path is None:
            return True
        try:
            with self.path.open("rb") as file:
                found = file.read(_RING_ID.stop)
        except (FileNotFoundError, PermissionError):  # not yet ours to read: another one, which is being made
            return False
        return found[_RING_ID].hex() == self.ring_id

    def reader(
        self,
        start: Start = "latest",
        resume: Resume = "quarter",
        reader_name: str | None = None,
        run_directory: str | Path = RUN_DIRECTORY,
        clock: Callable[[], float] = time.monotonic,
    ) -> RingReader:
        """A reader that stands at `start` from now on.

        Args:
            start: `latest`: what is published from now on; `oldest`: the oldest intact record; or a ring sequence.
            resume: Where to go on after being lapped: a quarter of the ring past the oldest, the oldest, the latest.
            reader_name: Under this name others see its position and its losses; None: it stays unseen.
            run_directory: Where its status file goes.
            clock: Seconds, for idle times.

        Raises:
            SequenceNotWritten: The sequence is still to come.
            ReaderBusy: Another process reads under this name.
            RingError: The status file cannot be made; PermissionDenied when this user may not.
        """
        from nanotape.capture.reader import RingReader  # and with it pyarrow, which takes a while to load

        self._open()
        path = None if reader_name is None else status_path(Path(run_directory), self.name, reader_name)
        reader = RingReader(self, start, resume, path, clock)
        self._readers.add(reader)
        return reader

    def batches(
        self,
        start: Start = "latest",
        resume: Resume = "quarter",
        wait: Literal["sleep", "spin"] | Waiting = "sleep",
        reader_name: str | None = None,
        max_rows: int | None = None,
        stop: Stop | None = None,
        idle: float | None = None,
        run_directory: str | Path = RUN_DIRECTORY,
    ) -> Iterator[pa.RecordBatch]:
        """Batches of `RING_SCHEMA` as they come. The position is taken now, not at the first `next`.

        See `reader` and `RingReader.batches` for arguments and errors.
        """
        from nanotape.capture.reader import MAX_ROWS

        rows = MAX_ROWS if max_rows is None else max_rows
        reader = self.reader(start, resume, reader_name, run_directory)
        return _closing(reader, reader.batches(wait=wait, max_rows=rows, stop=stop, idle=idle))

    def packets(self, **options: Any) -> Iterator[Packet]:
        """Single packets; takes what `batches` takes."""
        from nanotape.capture.packet import packets_of

        return (packet for batch in self.batches(**options) for packet in packets_of(batch))

    def _open(self) -> Any:
        if not self._finalizer.alive:
            raise ValueError("ring is closed")
        return self._descriptor


def _closing(reader: RingReader, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    with reader:
        yield from batches
