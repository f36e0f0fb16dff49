"""Turns record batches into the messages of one Arrow IPC stream, in memory.

Whoever writes them knows each message's bytes before any of them reaches a file. Nothing is copied: what is not
compressed is the batch's own memory.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa
import pyarrow.ipc as ipc

from nanotape.storage.dictionaries import GrowingDictionary
from nanotape.storage.errors import BatchRefusedError, SegmentFormatError
from nanotape.storage.ipc_file import PREFIX_BYTES, Message, MessageKind, ReadAt, read_message


@dataclass(frozen=True, slots=True)
class EncodedMessage:
    """One message, not yet placed in a file."""

    kind: MessageKind
    metadata: bytes
    """The flatbuffer, without its prefix."""
    length: int
    """Bytes of prefix, metadata and body."""
    pieces: tuple[pa.Buffer, ...]
    """Those bytes, in order; none of the pieces is empty."""

    def placed(self, offset: int) -> Message:
        """The same message at `offset` of a file."""
        metadata_length = PREFIX_BYTES + len(self.metadata)
        return Message(offset, metadata_length, self.length - metadata_length, self.kind)


class _Collector:
    """What pyarrow writes into: keeps the pieces."""

    closed = False

    def __init__(self) -> None:
        self._pieces: list[pa.Buffer] = []

    def write(self, data: pa.Buffer | bytes) -> int:
        if len(data):
            self._pieces.append(data if isinstance(data, pa.Buffer) else pa.py_buffer(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        self.closed = True

    def take(self) -> list[pa.Buffer]:
        pieces, self._pieces = self._pieces, []
        return pieces


@dataclass(frozen=True, slots=True)
class Compression:
    """How the buffers of a segment are compressed."""

    kind: Literal["zstd", "lz4", "none"] = "zstd"
    level: int | None = None
    """Of zstd; None: 1, the fastest."""

    def codec(self) -> pa.Codec | None:
        """For pyarrow; None: uncompressed."""
        if self.kind == "zstd":
            return pa.Codec("zstd", compression_level=self.level or 1)
        return pa.Codec("lz4") if self.kind == "lz4" else None


class StreamEncoder:
    """One stream: the schema first, dictionaries as they grow, a message for each batch."""

    def __init__(self, schema: pa.Schema, compression: Compression | None = None) -> None:
        """Prepares a stream.

        Args:
            schema: Of every batch, with the metadata that the file shall carry.
            compression: Of the buffers; None: zstd, level 1.
        """
        self._schema = schema
        self._collector = _Collector()
        options = ipc.IpcWriteOptions(
            compression=(compression or Compression()).codec(),
            emit_dictionary_deltas=True,
            use_threads=False,
        )
        self._writer = ipc.new_stream(pa.PythonFile(self._collector, "w"), schema, options=options)
        self._dictionaries = {
            index: GrowingDictionary(field.type)
            for index, field in enumerate(schema)
            if pa.types.is_dictionary(field.type)
        }

    def encode(self, batch: pa.RecordBatch) -> list[EncodedMessage]:
        """The messages that this batch adds to the stream; the last one is the batch itself.

        Raises:
            BatchRefusedError: The batch has other columns.
        """
        if not batch.schema.equals(self._schema, check_metadata=False):
            raise BatchRefusedError(
                f"a batch with the segment's columns expected, found {_difference(batch.schema, self._schema)}"
            )
        columns = [
            self._dictionaries[index].encode(column) if index in self._dictionaries else column
            for index, column in enumerate(batch.columns)
        ]
        self._writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=self._schema))
        return list(_messages(self._collector.take()))


def _messages(pieces: list[pa.Buffer]) -> Iterator[EncodedMessage]:
    """Puts together what pyarrow wrote piece by piece; it begins each message with a piece of its own."""
    begin = 0
    while begin < len(pieces):
        head, end = _head(pieces, begin)
        message = read_message(_reading(head), 0)
        length = sum(len(piece) for piece in pieces[begin:end])
        while message is not None and length < message.length and end < len(pieces):
            length += len(pieces[end])
            end += 1
        if message is None or length != message.length:
            raise SegmentFormatError(f"pyarrow {pa.__version__}: expected messages that end with a piece, found other")
        metadata = head[PREFIX_BYTES : message.metadata_length]
        yield EncodedMessage(message.kind, metadata, length, tuple(pieces[begin:end]))
        begin = end


def _reading(data: bytes) -> ReadAt:
    return lambda offset, length: data[offset : offset + length]


def _head(pieces: list[pa.Buffer], begin: int) -> tuple[bytes, int]:
    """The pieces from `begin` on that hold a message's prefix and metadata, and where they end."""
    head, end, needed = b"", begin, PREFIX_BYTES
    while len(head) < needed and end < len(pieces):
        head += pieces[end].to_pybytes()
        end += 1
        if len(head) >= PREFIX_BYTES:
            needed = PREFIX_BYTES + int.from_bytes(head[4:PREFIX_BYTES], "little")
    return head, end


def _difference(found: pa.Schema, expected: pa.Schema) -> str:
    for one, other in zip(found, expected, strict=False):
        if not one.equals(other):
            return (
                f"{one.name}: {one.type}{'' if one.nullable else ' not null'} where {other.name}: {other.type} belongs"
            )
    return f"{len(found)} columns instead of {len(expected)}"
