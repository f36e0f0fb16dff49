r"""The sidecar NAME.arrow.sum: a segment's messages and their checksums, appended after the messages themselves.

What it covers is whole; what it does not cover does not exist yet. Little-endian, no padding; each sum is a crc32c.

    header, 32 bytes                                   example (ring_id 00 01 .. 0f)
    +--------+---------------------------------+
    | 0      | magic    "NTSUM\0\r\n"          |   4e 54 53 55 4d 00 0d 0a
    | 8      | version  u32 = 1                |   01 00 00 00
    | 12     | ring_id  16 bytes               |   00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f
    | 28     | crc32c   u32 of bytes 0..28     |   e2 d5 02 c2
    +--------+---------------------------------+

    entry, 44 bytes, one for each message              example (a record batch of 3 rows, sequences 7 to 9)
    +--------+---------------------------------+
    | 0      | offset    u64  in the segment   |   08 02 00 00 00 00 00 00
    | 8      | length    u64  prefix and body  |   80 01 00 00 00 00 00 00
    | 16     | first_seq i64  -1: no rows      |   07 00 00 00 00 00 00 00
    | 24     | last_seq  i64  -1: no rows      |   09 00 00 00 00 00 00 00
    | 32     | rows      u32  0: schema or     |   03 00 00 00
    |        |                dictionary       |
    | 36     | crc32c    u32  of the message   |   44 33 22 11
    | 40     | crc32c    u32  of bytes 0..40   |   9c 0d 09 b4
    +--------+---------------------------------+

Entries follow each other without a hole in the segment: the first is at offset 8, each next where the one before ends.
"""

import os
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import google_crc32c
import pyarrow as pa

from nanotape.storage.errors import SegmentFormatError

MAGIC = b"NTSUM\0\r\n"
VERSION = 1
NO_SEQUENCE = -1
FIRST_MESSAGE_OFFSET = 8
"""Where a segment's first message begins: after the magic of an Arrow file."""

_HEADER = struct.Struct("<8sI16s")
_ENTRY = struct.Struct("<QQqqII")
_CRC = struct.Struct("<I")
HEADER_BYTES = _HEADER.size + _CRC.size
ENTRY_BYTES = _ENTRY.size + _CRC.size
_BACKWARDS_ENTRIES = 16


@dataclass(frozen=True, slots=True)
class SidecarEntry:
    """One message of a segment."""

    offset: int
    """Bytes from the start of the segment."""
    length: int
    """Bytes of prefix, metadata and body."""
    first_seq: int
    """Ring sequence of its first row; NO_SEQUENCE without rows."""
    last_seq: int
    """Ring sequence of its last row; NO_SEQUENCE without rows."""
    rows: int
    """0 for a schema or a dictionary."""
    crc32c: int
    """Of all its bytes."""

    @property
    def end(self) -> int:
        """Offset of what follows."""
        return self.offset + self.length

    def pack(self) -> bytes:
        """The entry's bytes."""
        body = _ENTRY.pack(self.offset, self.length, self.first_seq, self.last_seq, self.rows, self.crc32c)
        return body + _CRC.pack(checksum(body))


@dataclass(frozen=True, slots=True)
class Sidecar:
    """What was readable of a sidecar."""

    ring_id: bytes
    entries: tuple[SidecarEntry, ...]
    damaged: bool
    """An entry other than the last is not what was written. A torn last entry is no damage."""

    @property
    def end(self) -> int:
        """Bytes of the segment that are covered."""
        return self.entries[-1].end if self.entries else FIRST_MESSAGE_OFFSET

    @property
    def rows(self) -> int:
        """Rows covered."""
        return sum(entry.rows for entry in self.entries)

    @property
    def first_seq(self) -> int | None:
        """Lowest ring sequence covered; None without rows."""
        return next((entry.first_seq for entry in self.entries if entry.rows), None)

    @property
    def last_seq(self) -> int | None:
        """Highest ring sequence covered; None without rows."""
        return next((entry.last_seq for entry in reversed(self.entries) if entry.rows), None)


def checksum(data: bytes | pa.Buffer, before: int = 0) -> int:
    """crc32c of `data`, or, with the sum of what stands `before` it, of both."""
    return int(google_crc32c.extend(before, data))


def pack_header(ring_id: bytes) -> bytes:
    """The header's bytes. `ring_id` is 16 bytes."""
    body = _HEADER.pack(MAGIC, VERSION, ring_id)
    return body + _CRC.pack(checksum(body))


def pack(ring_id: bytes, entries: Iterable[SidecarEntry]) -> bytes:
    """A whole sidecar."""
    return pack_header(ring_id) + b"".join(entry.pack() for entry in entries)


def parse_header(data: bytes) -> bytes | None:
    """The ring_id; None when the header is not whole.

    Raises:
        SegmentFormatError: A whole header of another version.
    """
    if len(data) < HEADER_BYTES or _CRC.unpack_from(data, _HEADER.size)[0] != checksum(data[: _HEADER.size]):
        return None
    magic, version, ring_id = _HEADER.unpack_from(data)
    if magic != MAGIC or version != VERSION:
        raise SegmentFormatError(
            f"sidecar version {VERSION} expected, found {version}: read it with the nanotape that wrote it"
        )
    return bytes(ring_id)


def read_backwards(fd: int) -> Iterator[SidecarEntry]:
    """The entries of an open sidecar from the last whole one on, as far as each is what was written."""
    end = HEADER_BYTES + (os.fstat(fd).st_size - HEADER_BYTES) // ENTRY_BYTES * ENTRY_BYTES
    whole_yet = False
    while end > HEADER_BYTES:
        begin = max(HEADER_BYTES, end - _BACKWARDS_ENTRIES * ENTRY_BYTES)
        data = os.pread(fd, end - begin, begin)
        for offset in range(len(data) - ENTRY_BYTES, -1, -ENTRY_BYTES):
            entry = _parse_entry(data, offset)
            if entry is not None:
                whole_yet = True
                yield entry
            elif whole_yet:
                return
        end = begin


def parse(data: bytes) -> Sidecar | None:
    """Reads what is whole.

    Returns:
        None when not even the header is.

    Raises:
        SegmentFormatError: A whole header of another version.
    """
    ring_id = parse_header(data)
    if ring_id is None:
        return None
    entries: list[SidecarEntry] = []
    slots = (len(data) - HEADER_BYTES) // ENTRY_BYTES
    for slot in range(slots):
        entry = _parse_entry(data, HEADER_BYTES + slot * ENTRY_BYTES)
        if entry is None or entry.offset != (entries[-1].end if entries else FIRST_MESSAGE_OFFSET):
            last = HEADER_BYTES + (slot + 1) * ENTRY_BYTES == len(data)
            return Sidecar(ring_id, tuple(entries), damaged=not last)
        entries.append(entry)
    return Sidecar(ring_id, tuple(entries), damaged=False)


def read(path: Path) -> Sidecar | None:
    """Reads the sidecar at `path`; None when there is none, or not even its header is whole."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    return parse(data)


def _parse_entry(data: bytes, offset: int) -> SidecarEntry | None:
    body = data[offset : offset + _ENTRY.size]
    if _CRC.unpack_from(data, offset + _ENTRY.size)[0] != checksum(body):
        return None
    return SidecarEntry(*_ENTRY.unpack(body))
