"""Finishes what a dead recorder left.

A part file is cut after its last whole message, gets a footer in place and is renamed. Recovery may itself be killed
at any instant and repeated. Rows whose checksum does not match never become visible. The caller holds the lock.
"""

import contextlib
import os
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

import pyarrow as pa
import pyarrow.ipc as ipc

from nanotape.storage import sidecar
from nanotape.storage.errors import SegmentFormatError, StorageError
from nanotape.storage.file_writes import sync_directory, sync_file
from nanotape.storage.ipc_file import (
    FILE_MAGIC,
    PREFIX_BYTES,
    Message,
    MessageKind,
    ReadAt,
    build_tail,
    read_message,
    walk,
)
from nanotape.storage.segment import Fsync, finish_part
from nanotape.storage.segment_names import (
    DAMAGED_SUFFIX,
    PART_SUFFIX,
    SEGMENT_SUFFIX,
    SIDECAR_SUFFIX,
    segment_files,
    sibling,
)
from nanotape.storage.sidecar import FIRST_MESSAGE_OFFSET, NO_SEQUENCE, Sidecar, SidecarEntry, checksum

SequenceLimit = Callable[[str], int]
"""ring_id -> the last ring sequence that rows may belong to."""

_NEW_SIDECAR_SUFFIX = SIDECAR_SUFFIX + ".new"


class Outcome(StrEnum):
    """What became of a part file."""

    FINISHED = "finished"
    REMOVED = "removed"
    """It held no row."""
    SET_ASIDE = "set aside"
    """Nothing of it can be trusted: renamed to NAME.arrow.damaged, which no reader looks at."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """Report on one part file."""

    path: Path
    """The finished segment, or what the part became."""
    outcome: Outcome
    rows: int
    first_seq: int | None
    last_seq: int | None
    cut_bytes: int
    """Bytes after the last message that was kept, a footer without its rename included."""
    damage: str | None
    """What was wrong beyond a torn end, with its offset; None when nothing was."""
    rebuilt: bool
    """The sidecar was missing or damaged: what it did not cover was decoded in full instead of checked by its sum."""

    def __str__(self) -> str:
        """One line."""
        line = f"{self.path}: {self.outcome}, {self.rows} rows"
        if self.rows:
            line += f" (ring sequences {self.first_seq} to {self.last_seq})"
        if self.rebuilt:
            line += ", sidecar rebuilt"
        return line + f", cut {self.cut_bytes} bytes" + (f"; damaged: {self.damage}" if self.damage else "")


def recover_directory(directory: Path, fsync: Fsync = Fsync.INTERVAL) -> list[Recovery]:
    """Finishes every part file in ARCHIVE/segments/RING and removes sidecars that belong to nothing.

    Raises:
        StorageError: A part cannot be dealt with; the rest is untouched.
    """
    reports = []
    try:
        for name, suffixes in sorted(segment_files(directory).items()):
            if PART_SUFFIX in suffixes:
                reports.append(recover_part(directory / (name + PART_SUFFIX), fsync))
            elif not suffixes & {SEGMENT_SUFFIX, DAMAGED_SUFFIX}:
                (directory / (name + SIDECAR_SUFFIX)).unlink(missing_ok=True)
            if _NEW_SIDECAR_SUFFIX in suffixes:
                (directory / (name + _NEW_SIDECAR_SUFFIX)).unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"{directory}: cannot recover: {error.strerror or error}") from error
    return reports


def recover_part(part: Path, fsync: Fsync = Fsync.INTERVAL, limit: SequenceLimit | None = None) -> Recovery:
    """Finishes one part file.

    Args:
        part: NAME.arrow.part.
        fsync: As for writing it.
        limit: Rows that belong to later ring sequences than it says are cut off; None: none are.

    Raises:
        StorageError: It cannot be read or written, or a finished segment of the same name stands beside it.
    """
    if part.with_suffix("").exists():
        raise StorageError(f"{part}: a finished segment of the same name is there too; move one of them away")
    try:
        fd = os.open(part, os.O_RDWR | os.O_CLOEXEC)
        try:
            return _recover(fd, part, fsync, limit)
        finally:
            os.close(fd)
    except OSError as error:
        raise StorageError(f"{part}: cannot recover: {error.strerror or error}") from error


@dataclass(frozen=True, slots=True)
class CheckedPart:
    """What of a segment can be trusted."""

    ring_id: bytes | None
    entries: tuple[SidecarEntry, ...]
    messages: tuple[Message, ...]
    claimed_rows: bool
    """Rows were there once, by the sidecar or by a whole message, whether or not they can be trusted."""
    damage: str | None
    rebuilt: bool

    @property
    def rows(self) -> int:
        """Rows that can be trusted."""
        return sum(entry.rows for entry in self.entries)


def check_part(path: Path, fd: int, end: int | None = None) -> CheckedPart:
    """Verifies every message against the sidecar, and decodes in full what the sidecar should cover but does not.

    Args:
        path: The segment.
        fd: The same, open.
        end: Messages from this offset on are not looked at; None: all are.
    """

    def read_at(offset: int, length: int) -> bytes:
        return os.pread(fd, length, offset)

    sums = sidecar.read(sibling(path, SIDECAR_SUFFIX))
    if sums is None:
        return _rebuild(read_at, path, None, ())
    if end is not None:
        sums = Sidecar(sums.ring_id, tuple(each for each in sums.entries if each.end <= end), damaged=False)
    messages, damage = _verify(read_at, sums)
    entries = sums.entries[: len(messages)]
    if damage is None and sums.damaged:
        return _rebuild(read_at, path, sums, entries)
    return CheckedPart(sums.ring_id, entries, tuple(messages), sums.rows > 0, damage, rebuilt=False)


def _recover(fd: int, part: Path, fsync: Fsync, limit: SequenceLimit | None) -> Recovery:
    size = os.fstat(fd).st_size
    checked = check_part(part, fd)
    if limit is not None and checked.ring_id is not None:
        checked = _limited(checked, limit(checked.ring_id.hex()))
    sequences = [sequence for e in checked.entries if e.rows for sequence in (e.first_seq, e.last_seq)]
    first, last = (sequences[0], sequences[-1]) if sequences else (None, None)
    cut = size - (checked.entries[-1].end if checked.entries else min(size, FIRST_MESSAGE_OFFSET))

    def report(path: Path, outcome: Outcome) -> Recovery:
        return Recovery(path, outcome, checked.rows, first, last, cut, checked.damage, checked.rebuilt)

    if not checked.rows or checked.ring_id is None:
        return report(*_discard(part, checked, fsync))
    _replace_sidecar(sibling(part, SIDECAR_SUFFIX), sidecar.pack(checked.ring_id, checked.entries), fsync)
    schema = checked.messages[0]
    metadata = os.pread(fd, schema.metadata_length - PREFIX_BYTES, schema.offset + PREFIX_BYTES)
    return report(finish_part(fd, part, metadata, list(checked.messages), fsync), Outcome.FINISHED)


def _limited(checked: CheckedPart, last_seq: int) -> CheckedPart:
    """What of it belongs to sequences up to `last_seq`; what is cut off on purpose is not claimed."""
    late = [at for at, entry in enumerate(checked.entries) if entry.rows and entry.last_seq > last_seq]
    if not late:
        return checked
    entries, messages = checked.entries[: late[0]], checked.messages[: late[0]]
    return replace(checked, entries=entries, messages=messages, claimed_rows=checked.damage is not None)


def _discard(part: Path, checked: CheckedPart, fsync: Fsync) -> tuple[Path, Outcome]:
    if checked.claimed_rows:
        return set_aside(part, fsync), Outcome.SET_ASIDE
    part.unlink()
    sibling(part, SIDECAR_SUFFIX).unlink(missing_ok=True)
    if fsync != Fsync.NEVER:
        sync_directory(part.parent)
    return part, Outcome.REMOVED


def set_aside(path: Path, fsync: Fsync) -> Path:
    """Renames a part, or a complete segment, to a name that no reader looks at.

    Returns:
        The new name.

    Raises:
        OSError: The system refused.
    """
    aside = sibling(path, DAMAGED_SUFFIX)
    os.rename(path, aside)
    if fsync != Fsync.NEVER:
        sync_directory(path.parent)
    return aside


def _verify(read_at: ReadAt, sums: Sidecar) -> tuple[list[Message], str | None]:
    """The messages that are as they were written, up to the first that is not, and what is wrong with that one."""
    messages: list[Message] = []
    if sums.entries and read_at(0, len(FILE_MAGIC)) != FILE_MAGIC:
        return messages, "offset 0: no Arrow file"
    for entry in sums.entries:
        data = read_at(entry.offset, entry.length)
        if len(data) < entry.length:
            return messages, f"offset {entry.offset}: {entry.length} bytes expected, found {len(data)}"
        found = checksum(data)
        if found != entry.crc32c:
            return messages, f"offset {entry.offset}: crc32c {entry.crc32c:08x} expected, found {found:08x}"
        message = read_message(read_at, entry.offset)
        if message is None or message.end != entry.end:
            return messages, f"offset {entry.offset}: the sidecar and the message differ in length"
        messages.append(message)
    return messages, None


def _rebuild(read_at: ReadAt, path: Path, sums: Sidecar | None, trusted: tuple[SidecarEntry, ...]) -> CheckedPart:
    """Finds whole messages without a sidecar, or beyond its damage, and keeps those that decode in full."""
    size = path.stat().st_size
    found = list(walk(read_at, FIRST_MESSAGE_OFFSET, size)) if read_at(0, len(FILE_MAGIC)) == FILE_MAGIC else []
    entries = list(trusted)
    rows_seen = any(message.kind == MessageKind.RECORD_BATCH for message in found)
    ring_id = sums.ring_id if sums else None
    damage = None
    waiting: list[SidecarEntry] = []
    decoded = _decode(path, found[-1].end if found else FIRST_MESSAGE_OFFSET)
    try:
        for message in found:
            batch = next(decoded) if message.kind == MessageKind.RECORD_BATCH else None
            if message.end <= (trusted[-1].end if trusted else 0):
                continue
            waiting.append(_entry_of(message, read_at, batch))
            if batch is not None:
                entries += waiting
                waiting = []
                ring_id = ring_id or _ring_id_of(batch.schema)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError, SegmentFormatError, StopIteration) as error:
        damage = (
            f"offset {entries[-1].end if entries else FIRST_MESSAGE_OFFSET}: {str(error) or 'no batch'}".splitlines()[0]
        )
    finally:
        decoded.close()
    return CheckedPart(ring_id, tuple(entries), tuple(found[: len(entries)]), rows_seen, damage, rebuilt=True)


def _decode(path: Path, end: int) -> Generator[pa.RecordBatch, None, None]:
    with (
        pa.OSFile(str(path)) as file,
        ipc.open_stream(file.get_stream(FIRST_MESSAGE_OFFSET, end - FIRST_MESSAGE_OFFSET)) as stream,
    ):
        for batch in stream:
            batch.validate(full=True)
            yield batch


def _entry_of(message: Message, read_at: ReadAt, batch: pa.RecordBatch | None) -> SidecarEntry:
    crc = checksum(read_at(message.offset, message.length))
    if batch is None or not batch.num_rows:
        return SidecarEntry(message.offset, message.length, NO_SEQUENCE, NO_SEQUENCE, 0, crc)
    sequences = batch.column("ring_seq")
    first, last = sequences[0].as_py(), sequences[-1].as_py()
    return SidecarEntry(message.offset, message.length, first, last, batch.num_rows, crc)


def _ring_id_of(schema: pa.Schema) -> bytes:
    text = (schema.metadata or {}).get(b"ring_id", b"").decode("ascii", "replace")
    with contextlib.suppress(ValueError):
        ring_id = bytes.fromhex(text)
        if len(ring_id) == 16:
            return ring_id
    raise SegmentFormatError(f"a ring_id of 32 hexadecimal digits expected in the schema, found {text!r}")


def _replace_sidecar(path: Path, content: bytes, fsync: Fsync) -> None:
    """In one step, so that a crash leaves the old one or the new one."""
    with contextlib.suppress(FileNotFoundError):
        if path.read_bytes() == content:
            return
    new = path.with_name(path.name + ".new")
    new.write_bytes(content)
    if fsync != Fsync.NEVER:
        sync_file(new)
    os.rename(new, path)


def check_complete(path: Path) -> str | None:
    """What is wrong with a complete segment: sums, footer and closing magic; None when nothing is.

    Raises:
        StorageError: It cannot be read.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise StorageError(f"{path}: cannot read: {error.strerror}") from error
    try:
        checked = check_part(path, fd)
        if checked.damage or not checked.messages:
            return checked.damage or "no message in it"
        if not has_right_tail(fd, checked):
            return f"offset {checked.messages[-1].end}: the footer is not the one that belongs to the messages"
        return "its sidecar is missing or damaged" if checked.rebuilt else None
    finally:
        os.close(fd)


def has_right_tail(fd: int, checked: CheckedPart) -> bool:
    """Whether a complete segment ends with the footer that belongs to its messages."""
    if not checked.messages:
        return False
    schema, end = checked.messages[0], checked.messages[-1].end
    metadata = os.pread(fd, schema.metadata_length - PREFIX_BYTES, schema.offset + PREFIX_BYTES)
    tail = build_tail(metadata, checked.messages)
    return os.pread(fd, len(tail) + 1, end) == tail
