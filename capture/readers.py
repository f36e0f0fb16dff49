"""The small status file of each reader: by it others see how far behind a reader is, and what it lost or recorded.

`RUN_DIRECTORY/RING/readers/READER.status`, written and locked by the reader alone, readable by all, removed when it
closes.
"""

import contextlib
import errno
import fcntl
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nanotape.capture.counters import COUNT_UNKNOWN, count, text
from nanotape.capture.errors import PermissionDenied, ReaderBusy, ReaderNameInvalid, RingError
from nanotape.capture.processes import is_alive
from nanotape.native import ffi, lib

if TYPE_CHECKING:
    from nanotape.capture.ring import Ring

RUN_DIRECTORY = Path("/run/nanotape")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


@dataclass(frozen=True, slots=True)
class ReaderFacts:
    """One reader of a ring, as its status file tells."""

    name: str
    pid: int
    alive: bool
    """False: it died, and left its file."""
    current: bool
    """False: it read an earlier ring of this name, so that its position says nothing about this one."""
    position: int
    """Bytes of the ring that it has handed out, skipped or lost."""
    lag_bytes: int | None
    """Published and not handed out; None when not `current`."""
    lag_share: float | None
    """Of the ring's capacity: at 1 the reader is being lapped."""
    next_seq: int | None
    first_seq: int | None
    """First ring sequence that it accounts for; None: no record yet."""
    records: int
    lost: int
    loss_events: int
    recorded: int | None
    """Records on disk; None: it does not record."""
    write_failures: int | None
    written_bytes: int | None
    updated_ns: int
    """UTC."""


def status_path(run_directory: Path, ring_name: str, reader_name: str) -> Path:
    """Where the status file of a reader stands.

    Raises:
        ReaderNameInvalid: The name cannot be a file name.
    """
    if not _NAME.fullmatch(reader_name):
        raise ReaderNameInvalid(
            f'reader name: expected up to 63 letters, digits, ".", "_" or "-", found "{reader_name}"; choose another'
        )
    return run_directory / ring_name / "readers" / f"{reader_name}.status"


class StatusFile:
    """A reader's own status file, for as long as it reads."""

    def __init__(self, path: Path, ring: Any) -> None:
        """Makes the file.

        Args:
            path: See `status_path`.
            ring: The `struct nt_ring *` that is read.

        Raises:
            PermissionDenied: The folder may not be written to by this user.
            ReaderBusy: Another process reads under this name.
            RingError: The file cannot be made for another reason.
        """
        _refuse_second(path)
        self._path = path
        self._recorded = [COUNT_UNKNOWN] * 3
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except PermissionError as refusal:
            raise PermissionDenied(
                f"{path.parent}: this user may not make it; run as its owner or make it first"
            ) from refusal
        except OSError as refusal:
            raise RingError(f"{path.parent}: cannot be made: {refusal.strerror}; see to it") from refusal
        status = ffi.new("struct nt_reader_status **")
        fault = ffi.new("struct nt_fault *")
        error = lib.nt_reader_status_create(status, bytes(path), path.stem.encode(), ring, fault)
        if error:
            kind = PermissionDenied if error in (-errno.EACCES, -errno.EPERM, -errno.EROFS) else RingError
            raise kind(ffi.string(fault.text).decode("utf-8", "replace"))
        self._status = status[0]
        # Held for as long as we live, and no longer; also what tells our file from one that came to stand in its place.
        self._lock = _opened(path)
        if self._lock is not None:
            with contextlib.suppress(OSError):  # who may read it may lock it: that must not keep us from reading
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def update(self, reader: Any) -> None:
        """Publishes the position of a `struct nt_reader *`."""
        lib.nt_reader_status_update(self._status, reader)

    def record(self, *counts: int | None) -> None:
        """Publishes recorded, write_failures, written_bytes; what is None stays as it was."""
        self._recorded = [old if new is None else new for old, new in zip(self._recorded, counts, strict=True)]
        lib.nt_reader_status_recorded(self._status, *self._recorded)

    def settle(self, reader: Any) -> None:
        """Publishes that what a `struct nt_reader *` has handed out is not needed in the ring any more."""
        lib.nt_reader_status_settled(self._status, reader.position)

    def close(self) -> None:
        """Removes the file, unless it is another reader's by now."""
        is_ours = self._lock is None or _is_at(self._path, self._lock)
        lib.nt_reader_status_close(self._status, bytes(self._path) if is_ours else b"")
        if self._lock is not None:
            os.close(self._lock)


def _refuse_second(path: Path) -> None:
    """A name stands for one reader: a second would take the first one's file away.

    The file's lock says that a reader lives, but who may read the file can lock it too; its process id says so, but it
    may be another process's by now. Both together do.
    """
    status = ffi.new("struct nt_reader_status *")
    error = lib.nt_reader_status_load(status, bytes(path))
    if error not in (0, -errno.EAGAIN) or status.pid == os.getpid() or not is_alive(status.pid):
        return
    if _is_locked(path):
        raise ReaderBusy(
            f"reader {path.stem} of ring {path.parent.parent.name}: expected none of this name, found process "
            f"{status.pid}; stop it, or give this one another name (recorder.name)"
        )


def _is_locked(path: Path) -> bool:
    """Whether a process holds the lock of a status file."""
    descriptor = _opened(path)
    if descriptor is None:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)  # with the lock
    return False


def _opened(path: Path) -> int | None:
    """A descriptor to lock the file with; None when there is none to be had. Waits for nothing, follows no link."""
    try:
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.lstat(path), os.fstat(descriptor))
    except OSError:
        return False


def list_readers(ring: "Ring", run_directory: Path = RUN_DIRECTORY) -> tuple[ReaderFacts, ...]:
    """All readers of a ring that have a name, by name, the dead ones too."""
    folder = run_directory / ring.name / "readers"
    facts = (read_status(path, ring) for path in sorted(folder.glob("*.status")))
    return tuple(fact for fact in facts if fact is not None)


def read_status(path: Path, ring: "Ring") -> ReaderFacts | None:
    """One reader's status; None when the file went away or is none of this version."""
    status = ffi.new("struct nt_reader_status *")
    error = lib.nt_reader_status_load(status, bytes(path))
    if error not in (0, -errno.EAGAIN) or status.magic != lib.NT_READER_STATUS_MAGIC:
        return None
    current = bytes(ffi.buffer(status.ring_id)).hex() == ring.ring_id
    lag = max(0, ring.tail - status.position) if current else None
    return ReaderFacts(
        name=text(status.name),
        pid=status.pid,
        alive=is_alive(status.pid),
        current=current,
        position=status.position,
        lag_bytes=lag,
        lag_share=None if lag is None else lag / ring.capacity_bytes,
        next_seq=status.next_seq or None,
        first_seq=status.first_seq or None,
        records=status.records,
        lost=status.lost,
        loss_events=status.loss_events,
        recorded=count(status.recorded),
        write_failures=count(status.write_failures),
        written_bytes=count(status.written_bytes),
        updated_ns=status.updated_ns,
    )
