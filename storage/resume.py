"""Where a recorder goes on: after the highest sequence that the archive holds of its ring.

Costs 32 bytes of a sidecar to know whose a segment is, and the tail of as a rule one, however old the archive is. What
cannot be read never stops a recorder and is never recorded twice: see `resume_point`.
"""

import contextlib
import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.ipc as ipc

from nanotape.storage import sidecar
from nanotape.storage.errors import ArchiveError, SegmentFormatError, StorageError
from nanotape.storage.ipc_file import END_OF_STREAM, FILE_MAGIC
from nanotape.storage.log import Log
from nanotape.storage.manifest import read_manifests
from nanotape.storage.recovery import check_part, recover_part, set_aside
from nanotape.storage.schema import packets_schema
from nanotape.storage.segment import Fsync
from nanotape.storage.segment_names import (
    PART_SUFFIX,
    SEGMENT_SUFFIX,
    SIDECAR_SUFFIX,
    first_sequence,
    segment_files,
    sibling,
)
from nanotape.storage.sidecar import FIRST_MESSAGE_OFFSET

_CLOSING_BYTES = 10  # i32 length of the footer, then the magic
_OWN_TROUBLE = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A segment that does not tell where it ends, though it may hold later sequences than all that do."""

    path: Path
    reason: str
    first_seq: int
    """By its name."""
    ring_id: str | None
    """None: it does not even tell whose it is."""
    is_refused: bool
    """The system does not let us read it, so that others may find rows in it."""
    is_newest: bool
    """No newer one tells whose it is."""


@dataclass(frozen=True, slots=True)
class ArchiveEnd:
    """What an archive holds of one ring, as far as it concerns its next recorder."""

    last_seq: int | None
    """None: nothing."""
    unreadable: tuple[Unreadable, ...]
    """The newest first."""


def archive_end(directory: Path, ring_id: str) -> ArchiveEnd:
    """Looks for the end of a ring's rows; changes nothing.

    What is compacted stands in the manifests. Segments are looked at from the newest on. Of one ring's, the one with
    the highest first sequence has the highest last one too, so that names alone rule out all others as soon as one is
    found, whatever the clock did meanwhile.

    Args:
        directory: ARCHIVE/segments/RING.
        ring_id: 32 hexadecimal digits.

    Raises:
        ArchiveError: The directory cannot be listed, a manifest not be read, or this process is out of files or memory.
    """
    last_seq = compacted_end(directory.parent.parent, ring_id)
    unreadable: list[Unreadable] = []
    newest = True
    try:
        for name, suffixes in sorted(segment_files(directory).items(), reverse=True):
            first = first_sequence(name)
            if first <= (last_seq or 0) or not suffixes & {SEGMENT_SUFFIX, PART_SUFFIX}:
                continue
            is_complete = SEGMENT_SUFFIX in suffixes
            path = directory / (name + (SEGMENT_SUFFIX if is_complete else PART_SUFFIX))
            try:
                owner, last = _segment_end(path, is_complete, ring_id)
            except _UnreadableError as error:
                unreadable.append(Unreadable(path, str(error), first, error.ring_id, error.is_refused, newest))
                newest = newest and error.ring_id is None
                continue
            newest = newest and owner is None
            if owner == ring_id and last is not None:
                last_seq = max(last, last_seq or 0)
    except OSError as error:
        raise ArchiveError(f"{directory}: cannot look for the last row: {error.strerror or error}") from error
    return ArchiveEnd(last_seq, tuple(bad for bad in unreadable if bad.first_seq > (last_seq or 0)))


def compacted_end(archive: Path, ring_id: str) -> int | None:
    """Last ring sequence that is, or before retention was, in Parquet files or in segments that retention deleted.

    Args:
        archive: Its root.
        ring_id: 32 hexadecimal digits.

    Raises:
        ArchiveError: A manifest cannot be read.
    """
    held = (each for day in read_manifests(archive, "packets") for each in day.ranges())
    return max((each.last_seq for owner, each in held if owner == ring_id), default=None)


def resume_point(directory: Path, ring_id: str, fsync: Fsync, log: Log) -> int | None:
    """The sequence to go on with; None when the archive knows nothing of this ring. The caller holds the lock.

    An unreadable segment that may hold the newest rows of this ring is treated as a dead recorder's part: what of it
    can be trusted is kept, else it is set aside, where no reader looks, and its rows are recorded again as far as the
    ring still holds them. Of any other unreadable one a line is logged.

    Raises:
        ArchiveError: See `archive_end`; or what stands in the way can neither be mended nor set aside.
    """
    end = archive_end(directory, ring_id)
    in_the_way = [bad for bad in end.unreadable if _may_hold_newest(bad, ring_id)]
    for bad in in_the_way:
        log(_mend(bad, fsync))
    others = [bad for bad in end.unreadable if bad not in in_the_way]
    if others:
        more = f" (and {len(others) - 1} more)" if len(others) > 1 else ""
        log(f"{others[0].path}: cannot be read{more}: {others[0].reason}; left as it is, recording goes on")
    if in_the_way:
        end = archive_end(directory, ring_id)
    if end.last_seq is not None:
        return end.last_seq + 1
    return min((bad.first_seq for bad in in_the_way if bad.ring_id == ring_id), default=None)


def _may_hold_newest(bad: Unreadable, ring_id: str) -> bool:
    """Not so what holds no Arrow schema: nobody will ever find a row in it."""
    return bad.ring_id == ring_id or (bad.ring_id is None and bad.is_refused and bad.is_newest)


def _mend(bad: Unreadable, fsync: Fsync) -> str:
    """Makes a part of it and finishes that, or sets it aside. Returns a line on what was done."""
    part = sibling(bad.path, PART_SUFFIX)
    try:
        if _trusted_rows(bad.path):
            bad.path.rename(part)
            return str(recover_part(part, fsync))
        aside = set_aside(bad.path, fsync)
    except (OSError, StorageError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ArchiveError(
            f"{bad.path}: the newest segment cannot be read ({bad.reason}), nor set aside ({reason}); move it away"
        ) from error
    return f"{bad.path}: cannot be read: {bad.reason}; set aside as {aside.name}, recording goes on from before it"


def _trusted_rows(path: Path) -> int:
    with contextlib.suppress(OSError, StorageError, pa.ArrowException), path.open("rb") as file:
        checked = check_part(path, file.fileno())
        return checked.rows if checked.ring_id else 0
    return 0


class _UnreadableError(StorageError):
    """Raised when a segment does not tell where it ends."""

    def __init__(self, reason: BaseException, ring_id: str | None) -> None:
        number = reason.errno if isinstance(reason, OSError) else None
        text = str(reason) if number is None else os.strerror(number)
        super().__init__((text or type(reason).__name__).splitlines()[0])
        self.ring_id, self.is_refused = ring_id, number is not None


def _segment_end(path: Path, is_complete: bool, wanted: str) -> tuple[str | None, int | None]:
    """Whose a segment is, and the last sequence in it, which is looked for only in the wanted ring's.

    Raises:
        _UnreadableError: It does not tell.
        OSError: This process is out of files or memory.
    """
    owner: str | None = None
    trouble: BaseException | None = None
    sums = sibling(path, SIDECAR_SUFFIX)
    try:
        with _opened(sums) as fd:
            header = sidecar.parse_header(os.pread(fd, sidecar.HEADER_BYTES, 0))
            owner = header.hex() if header else None
            if owner is not None and owner != wanted:
                return owner, None
            found = (_covered_end if is_complete else _live_end)(fd, path) if owner else None
            if found is not None:
                return owner, found
    except FileNotFoundError:
        pass
    except (OSError, SegmentFormatError) as error:
        trouble = error
    if not is_complete:
        return owner, None  # what no sidecar covers does not exist yet
    try:
        return _end_by_rows(path)
    except FileNotFoundError:
        return owner, None
    except (pa.ArrowException, OSError, UnicodeError, KeyError, IndexError) as error:
        raise _UnreadableError(_weightier(error, trouble), owner or _owner_by_schema(path)) from error


def _weightier(error: BaseException, sidecars: BaseException | None) -> BaseException:
    """Of two reasons the one that is worth telling: the system's, and never our own lack of files or memory."""
    for each in (error, sidecars):
        if isinstance(each, OSError) and each.errno in _OWN_TROUBLE:
            raise each
    return sidecars if isinstance(sidecars, OSError) and not isinstance(error, OSError) else error


def _covered_end(fd: int, path: Path) -> int | None:
    """Last sequence in a complete segment by its sidecar; None when the sidecar ends elsewhere than the messages do."""
    entries = sidecar.read_backwards(fd)
    last = next(entries, None)
    if last is None:
        return None
    with contextlib.suppress(OSError), _opened(path) as segment:  # one that we may not read: by the sidecar alone
        size = os.fstat(segment).st_size
        closing = os.pread(segment, _CLOSING_BYTES, max(0, size - _CLOSING_BYTES))
        footer = size - len(closing) - int.from_bytes(closing[:4], "little", signed=True)
        if closing[4:] != FILE_MAGIC[:6] or footer != last.end + len(END_OF_STREAM):
            return None
    return last.last_seq if last.rows else next((entry.last_seq for entry in entries if entry.rows), None)


def _live_end(fd: int, path: Path) -> int | None:
    size = path.stat().st_size
    return next((e.last_seq for e in sidecar.read_backwards(fd) if e.rows and e.end <= size), None)


def _end_by_rows(path: Path) -> tuple[str | None, int | None]:
    """From a complete segment itself: its footer, and one column of its last batch."""
    options = ipc.IpcReadOptions(included_fields=[packets_schema().get_field_index("ring_seq")])
    with pa.OSFile(str(path)) as file, ipc.open_file(file, options=options) as reader:
        owner = (reader.schema.metadata or {}).get(b"ring_id", b"").decode("ascii") or None
        for index in reversed(range(reader.num_record_batches)):
            batch = reader.get_batch(index)
            if batch.num_rows:
                return owner, batch.column(0)[-1].as_py()
    return owner, None


def _owner_by_schema(path: Path) -> str | None:
    """From the schema at a segment's beginning, which needs no footer."""
    with contextlib.suppress(pa.ArrowException, OSError, UnicodeError), pa.OSFile(str(path)) as file:
        size = file.size()
        stream = file.get_stream(FIRST_MESSAGE_OFFSET, max(0, size - FIRST_MESSAGE_OFFSET))
        with ipc.open_stream(stream) as reader:
            return (reader.schema.metadata or {}).get(b"ring_id", b"").decode("ascii") or None
    return None


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)
