"""One segment: NAME.arrow.part with its sidecar while it grows, NAME.arrow when it has its footer.

Bytes of a message are written before the sidecar's entry for it, so what the sidecar covers is whole whenever the
process dies. A write that fails leaves the segment as it was.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import pyarrow as pa

from nanotape.storage import sidecar
from nanotape.storage.encoder import Compression, EncodedMessage, StreamEncoder
from nanotape.storage.errors import BatchRefusedError, SegmentWriteError
from nanotape.storage.file_writes import sync_directory, sync_file, write_at, write_summed
from nanotape.storage.ipc_file import FILE_MAGIC, Message, MessageKind, build_tail
from nanotape.storage.segment_names import PART_SUFFIX, SEGMENT_SUFFIX, SIDECAR_SUFFIX, segment_name
from nanotape.storage.sidecar import NO_SEQUENCE, SidecarEntry
from nanotape.storage.stamp_facts import STAMPS_KEY


class Fsync(StrEnum):
    """When the disk is told to keep what was written.

    A killed process loses nothing under any of them. What a power cut may lose is said below.
    """

    NEVER = "never"
    """whatever the kernel had not written back, and the renaming of finished segments."""
    INTERVAL = "interval"
    """what was written since the last `sync()`: the recorder's flush interval, and as long as the disk took to sync;
    finished segments are safe."""
    BATCH = "batch"
    """only the batch being written."""


@dataclass(frozen=True, slots=True)
class SegmentIdentity:
    """Where a segment's rows come from; it stands in the segment's schema metadata."""

    ring: str
    ring_id: str
    """32 hexadecimal digits."""
    host: str
    stamps: str | None = None
    """By what packets are stamped as the segment begins, see `stamp_facts.stamps_text`; None: nobody said."""


class SegmentWriter:
    """Writes one segment. Not for two threads, but `sync` may go on while another writes."""

    def __init__(
        self,
        directory: Path,
        schema: pa.Schema,
        identity: SegmentIdentity,
        first_seq: int,
        opened_ns: int,
        *,
        fsync: Fsync = Fsync.INTERVAL,
        compression: Compression | None = None,
    ) -> None:
        """Creates the part file and its sidecar.

        Args:
            directory: ARCHIVE/segments/RING; exists.
            schema: Of the batches, with its table's metadata; has a column ring_seq.
            identity: Goes into the metadata.
            first_seq: Ring sequence of the first row to come.
            opened_ns: UTC, for the name.
            fsync: When to sync.
            compression: See StreamEncoder.

        Raises:
            SegmentWriteError: The files cannot be created. Nothing is left of them where that can be helped.
        """
        self.name = segment_name(opened_ns, first_seq)
        self.directory = directory
        self.rows = 0
        self.first_seq: int | None = None
        self.last_seq: int | None = None
        self.broken = False
        """True after a failed write that could not be undone: only recovery can finish this part."""
        self._fsync = fsync
        self._is_named = False  # on the disk too, under Fsync.INTERVAL
        metadata = {
            **(schema.metadata or {}),
            b"ring": identity.ring,
            b"ring_id": identity.ring_id,
            b"host": identity.host,
        }
        if identity.stamps is not None:
            metadata[STAMPS_KEY] = identity.stamps
        self._encoder = StreamEncoder(schema.with_metadata({**metadata, b"first_seq": str(first_seq)}), compression)
        self._sequence_column = schema.get_field_index("ring_seq")
        # One row of packets for each sequence at most; rows beside them belong to whatever was recorded last.
        self._is_of_packets = metadata.get(b"nanotape_table", b"packets") == b"packets"
        self._waiting: list[EncodedMessage] = []
        self._messages: list[Message] = []
        self._schema_metadata = b""
        self._end = self._synced_end = len(FILE_MAGIC)
        self._sidecar_end = sidecar.HEADER_BYTES
        self._part_fd, self._sidecar_fd = self._create(bytes.fromhex(identity.ring_id))

    @property
    def path(self) -> Path:
        """The part file."""
        return self.directory / (self.name + PART_SUFFIX)

    @property
    def size_bytes(self) -> int:
        """Bytes of the part file that hold whole messages."""
        return self._end

    def write(self, batch: pa.RecordBatch) -> int:
        """Appends a batch; its rows are visible to readers of the archive on return.

        Returns:
            Bytes that the part file grew by.

        Raises:
            BatchRefusedError: Other columns, or sequences that do not follow the last ones.
            SegmentWriteError: The system refused; none of the rows is in the segment, which goes on unless `broken`.
        """
        first, last = self._sequences(batch)
        encoded = self._waiting + self._encoder.encode(batch)
        messages = self._place(encoded)
        try:
            self._append(encoded, messages, (first, last, batch.num_rows))
        except OSError as error:
            # Later dictionary messages build on these, so they go out with the next batch; only the rows are given up.
            self._waiting = encoded[:-1]
            self._undo()
            raise SegmentWriteError(
                f"{self.path}: cannot write {batch.num_rows} rows: {error.strerror or error}"
            ) from error
        self._waiting = []
        if not self._messages:
            self._schema_metadata = encoded[0].metadata
        self._messages += messages
        grown, self._end = messages[-1].end - self._end, messages[-1].end
        self._sidecar_end += sidecar.ENTRY_BYTES * len(messages)
        self.rows += batch.num_rows
        self.first_seq, self.last_seq = (first if self.first_seq is None else self.first_seq), last
        return grown

    def sync(self) -> None:
        """Under Fsync.INTERVAL, has the disk keep what was written so far.

        Raises:
            SegmentWriteError: The disk refused.
        """
        if self._fsync == Fsync.INTERVAL:
            self._guarded(self._sync_data)

    def close(self) -> Path | None:
        """Finishes the segment: footer, rename. A segment without rows is removed.

        Returns:
            The finished file, or None without rows.

        Raises:
            SegmentWriteError: The system refused. The part file holds its rows all the same and recovery can finish it.
        """
        try:
            if not self._messages:
                self.path.unlink(missing_ok=True)
                (self.directory / (self.name + SIDECAR_SUFFIX)).unlink(missing_ok=True)
                return None
            self._guarded(self._finish)
            return self.directory / (self.name + SEGMENT_SUFFIX)
        except OSError as error:
            raise SegmentWriteError(f"{self.path}: cannot remove: {error.strerror or error}") from error
        finally:
            self.abandon()

    def close_again(self) -> Path | None:
        """Finishes what `close` could not, or what is `broken`, out of memory: nothing of the part is read again.

        Returns:
            As `close`.

        Raises:
            SegmentWriteError: As `close`; worth yet another try.
        """
        finished, sums = self.directory / (self.name + SEGMENT_SUFFIX), self.directory / (self.name + SIDECAR_SUFFIX)
        if finished.exists() and not self.path.exists():
            if self._fsync != Fsync.NEVER:  # its renaming is what could not be synced
                self._guarded(lambda: sync_directory(self.directory))
            return finished
        try:
            self._part_fd = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
            self._sidecar_fd = os.open(sums, os.O_RDWR | os.O_CLOEXEC)
            os.ftruncate(self._sidecar_fd, self._sidecar_end)
        except OSError as error:
            self.abandon()
            raise SegmentWriteError(f"{self.path}: cannot finish: {error.strerror or error}") from error
        return self.close()

    def abandon(self) -> None:
        """Lets go of the files as they are; the part is left to recovery."""
        for fd in (self._part_fd, self._sidecar_fd):
            if fd >= 0:
                os.close(fd)
        self._part_fd = self._sidecar_fd = -1

    def _create(self, ring_id: bytes) -> tuple[int, int]:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        opened: list[tuple[Path, int]] = []
        try:
            for suffix, head in ((PART_SUFFIX, FILE_MAGIC), (SIDECAR_SUFFIX, sidecar.pack_header(ring_id))):
                path = self.directory / (self.name + suffix)
                opened.append((path, os.open(path, flags, 0o644)))
                write_at(opened[-1][1], head, 0)
            if self._fsync == Fsync.BATCH:
                sync_directory(self.directory)
        except OSError as error:
            for path, fd in opened:
                os.close(fd)
                path.unlink(missing_ok=True)
            raise SegmentWriteError(f"{self.path}: cannot create: {error.strerror or error}") from error
        return opened[0][1], opened[1][1]

    def _sequences(self, batch: pa.RecordBatch) -> tuple[int, int]:
        if not batch.num_rows:
            raise BatchRefusedError(f"{self.path}: a batch with rows expected, found none")
        sequences = batch.column(self._sequence_column)
        first, last = sequences[0].as_py(), sequences[-1].as_py()
        step = 1 if self._is_of_packets else 0
        if last - first < step * (batch.num_rows - 1) or (self.last_seq is not None and first < self.last_seq + step):
            raise BatchRefusedError(
                f"{self.path}: rising ring sequences after {self.last_seq} expected, "
                f"found {first} to {last} in {batch.num_rows} rows"
            )
        return first, last

    def _place(self, encoded: list[EncodedMessage]) -> list[Message]:
        messages: list[Message] = []
        offset = self._end
        for each in encoded:
            messages.append(each.placed(offset))
            offset += each.length
        return messages

    def _append(self, encoded: list[EncodedMessage], messages: list[Message], rows: tuple[int, int, int]) -> None:
        """Writes messages, then their sidecar entries. `rows`: first and last sequence and number of the batch's."""
        entries = b""
        for each, message in zip(encoded, messages, strict=True):
            of_rows = rows if each.kind == MessageKind.RECORD_BATCH else (NO_SEQUENCE, NO_SEQUENCE, 0)
            crc = write_summed(self._part_fd, each.pieces, message.offset)
            entries += SidecarEntry(message.offset, message.length, *of_rows, crc).pack()
        if self._fsync == Fsync.BATCH:
            os.fdatasync(self._part_fd)
        write_at(self._sidecar_fd, entries, self._sidecar_end)
        if self._fsync == Fsync.BATCH:
            os.fdatasync(self._sidecar_fd)

    def _undo(self) -> None:
        """The sidecar first: as long as an entry stands, its message must."""
        try:
            os.ftruncate(self._sidecar_fd, self._sidecar_end)
            os.ftruncate(self._part_fd, self._end)
        except OSError:
            self.broken = True

    def _finish(self) -> None:
        finish_part(self._part_fd, self.path, self._schema_metadata, self._messages, self._fsync)

    def _sync_data(self) -> None:
        end = self._end  # what is written meanwhile is the next one's
        os.fdatasync(self._part_fd)
        os.fdatasync(self._sidecar_fd)
        if not self._is_named:
            sync_directory(self.directory)
            self._is_named = True
        # A recorder would fill the memory with pages that nobody reads soon, and each new one costs more than to use
        # an old one again. Those since the last sync stay: whoever follows the archive finds them there.
        with suppress(OSError):
            os.posix_fadvise(self._part_fd, 0, self._synced_end, os.POSIX_FADV_DONTNEED)
        self._synced_end = end

    def _guarded(self, action: Callable[[], None]) -> None:
        try:
            action()
        except OSError as error:
            raise SegmentWriteError(f"{self.path}: cannot finish or sync: {error.strerror or error}") from error


def finish_part(fd: int, part: Path, schema_metadata: bytes, messages: list[Message], fsync: Fsync) -> Path:
    """Cuts the part after its last message, appends the footer and renames it. May be repeated after a crash.

    Raises:
        OSError: The system refused; the part is cut back to its messages where that can be done.
    """
    end = messages[-1].end
    os.ftruncate(fd, end)
    try:
        write_at(fd, build_tail(schema_metadata, messages), end)
        if fsync != Fsync.NEVER:
            os.fsync(fd)
            sync_file(part.with_suffix(".sum"))
    except OSError:
        os.ftruncate(fd, end)
        raise
    finished = part.with_suffix("")
    os.rename(part, finished)
    if fsync != Fsync.NEVER:
        sync_directory(part.parent)
    return finished
