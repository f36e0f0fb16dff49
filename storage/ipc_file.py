r"""Arrow IPC files from the outside: finds the messages in one, and builds the footer that turns messages into a file.

Every length is checked before it is used. It never decodes a column: its cost does not depend on the number of rows.

An Arrow file (columnar format, "IPC File Format"):

    offset 0   "ARROW1\0\0"
    offset 8   schema message, dictionary messages, record batches: an IPC stream
    then       ff ff ff ff 00 00 00 00              end of stream
    then       Footer (flatbuffer), i32 its length, "ARROW1"

A message: ff ff ff ff, i32 metadata length (a multiple of 8), metadata (flatbuffer Message), body (a multiple of 8).

The footer built here, for d dictionaries and b record batches (little-endian; unsigned offsets point forward from
where they stand):

    0            u32 16                root: the table at 16
    4            u16 12, u16 20        vtable: its own size, the table's size
    8            u16 4, 8, 12, 16      where version, schema, dictionaries, recordBatches stand in the table
    16           i32 12                back to the vtable
    20           i16 4, 2 bytes 0      version: V5
    24           u32, u32, u32         to the Schema table, to the two vectors
    36           u32 d, d * 24         Block {i64 offset, i32 metaDataLength, i32 0, i64 bodyLength}
    40+24d       u32 0                 so that the next vector's elements are 8-byte aligned
    44+24d       u32 b, b * 24
    48+24(d+b)   the schema message's metadata, whole: the Schema table is inside it and its offsets are relative
"""

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

from nanotape.storage.errors import SegmentFormatError

FILE_MAGIC = b"ARROW1\0\0"
END_OF_STREAM = b"\xff\xff\xff\xff\0\0\0\0"
PREFIX_BYTES = 8
METADATA_MAX = 64 << 20
"""No schema of ours comes near; a longer one is a corrupt length."""

ReadAt = Callable[[int, int], bytes]
"""(offset, length) -> the bytes, fewer at the end of the file."""


class MessageKind(IntEnum):
    """The `MessageHeader` union of Arrow's Message.fbs."""

    SCHEMA = 1
    DICTIONARY = 2
    RECORD_BATCH = 3


@dataclass(frozen=True, slots=True)
class Message:
    """Where one message stands."""

    offset: int
    metadata_length: int
    """With the 8-byte prefix, as a footer's Block wants it."""
    body_length: int
    kind: MessageKind

    @property
    def length(self) -> int:
        """All its bytes."""
        return self.metadata_length + self.body_length

    @property
    def end(self) -> int:
        """Offset of what follows."""
        return self.offset + self.length


def read_message(read_at: ReadAt, offset: int) -> Message | None:
    """The message at `offset`, or None at the end of the stream.

    Raises:
        SegmentFormatError: Neither whole metadata nor an end of stream stands there. The body is not looked at.
    """
    prefix = read_at(offset, PREFIX_BYTES)
    if prefix in (b"", END_OF_STREAM):
        return None
    length = int.from_bytes(prefix[4:], "little", signed=True)
    if len(prefix) < PREFIX_BYTES or prefix[:4] != b"\xff\xff\xff\xff" or not 0 < length <= METADATA_MAX or length % 8:
        raise SegmentFormatError(f"offset {offset}: an Arrow message expected, found {prefix.hex(' ')}")
    metadata = read_at(offset + PREFIX_BYTES, length)
    if len(metadata) < length:
        raise SegmentFormatError(f"offset {offset}: {length} bytes of metadata expected, found {len(metadata)}")
    try:
        kind, body_length = _read_metadata(metadata)
    except (struct.error, ValueError) as error:
        raise SegmentFormatError(f"offset {offset}: unreadable Arrow message ({error})") from error
    if body_length < 0 or body_length % 8:
        raise SegmentFormatError(f"offset {offset}: a body length of {body_length} is none of Arrow's")
    return Message(offset, PREFIX_BYTES + length, body_length, kind)


def walk(read_at: ReadAt, offset: int, end: int) -> Iterator[Message]:
    """Whole messages from `offset` on, none beyond `end`; stops in silence at the first that is not whole."""
    while offset < end:
        try:
            message = read_message(read_at, offset)
        except SegmentFormatError:
            return
        if message is None or message.end > end:
            return
        yield message
        offset = message.end


def build_tail(schema_metadata: bytes, messages: Sequence[Message]) -> bytes:
    """End of stream, footer and closing magic for a file of `messages`.

    Args:
        schema_metadata: Metadata of the schema message, without its prefix.
        messages: All messages of the file, in order.
    """
    footer = _build_footer(schema_metadata, messages)
    return END_OF_STREAM + footer + struct.pack("<i", len(footer)) + FILE_MAGIC[:6]


def _build_footer(schema_metadata: bytes, messages: Sequence[Message]) -> bytes:
    dictionaries = [message for message in messages if message.kind == MessageKind.DICTIONARY]
    batches = [message for message in messages if message.kind == MessageKind.RECORD_BATCH]
    batches_at = 44 + 24 * len(dictionaries)
    schema_at = batches_at + 4 + 24 * len(batches)
    schema_table = schema_at + _table_at(schema_metadata, _table_field(schema_metadata, _root(schema_metadata), 2))
    head = struct.pack(
        "<I HHHHHH i hH III", 16, 12, 20, 4, 8, 12, 16, 12, 4, 0, schema_table - 24, 36 - 28, batches_at - 32
    )
    vectors = struct.pack("<I", len(dictionaries)) + _blocks(dictionaries)
    vectors += struct.pack("<II", 0, len(batches)) + _blocks(batches)
    return head + vectors + schema_metadata


def _blocks(messages: Sequence[Message]) -> bytes:
    return b"".join(struct.pack("<qiiq", m.offset, m.metadata_length, 0, m.body_length) for m in messages)


def _read_metadata(metadata: bytes) -> tuple[MessageKind, int]:
    """Kind and body length of a flatbuffer Message {version, header_type, header, bodyLength}."""
    root = _root(metadata)
    kind_at, body_at = (_table_field(metadata, root, slot) for slot in (1, 3))
    kind = MessageKind(metadata[kind_at] if kind_at else 0)
    return kind, _unpack("<q", metadata, body_at) if body_at else 0


def _root(buffer: bytes) -> int:
    return _unpack("<I", buffer, 0)


def _table_at(buffer: bytes, reference: int) -> int:
    if not reference:
        raise ValueError("a table is missing")
    return reference + _unpack("<I", buffer, reference)


def _table_field(buffer: bytes, table: int, slot: int) -> int:
    """Where field `slot` of the table stands; 0 when it is left out."""
    vtable = table - _unpack("<i", buffer, table)
    if 4 + 2 * slot >= _unpack("<H", buffer, vtable):
        return 0
    inside = _unpack("<H", buffer, vtable + 4 + 2 * slot)
    if inside and table + inside >= len(buffer):
        raise ValueError("a field lies outside")
    return table + inside if inside else 0


def _unpack(layout: str, buffer: bytes, offset: int) -> int:
    if offset < 0:  # Python would count from the end
        raise ValueError("an offset is negative")
    value: int = struct.unpack_from(layout, buffer, offset)[0]
    return value
