"""Turns record batches into the messages of one Arrow IPC stream, in memory.

Whoever writes them knows each message's bytes before any of them reaches a file.
"""

from dataclasses import dataclass
from typing import Literal

import pyarrow as pa
import pyarrow.ipc as ipc

from nanotape.storage.dictionaries import GrowingDictionary
from nanotape.storage.errors import BatchRefusedError
from nanotape.storage.ipc_file import Message, MessageKind, walk


@dataclass(frozen=True, slots=True)
class EncodedMessage:
    """One message, not yet placed in a file."""

    kind: MessageKind
    metadata_length: int
    data: bytes

    @property
    def metadata(self) -> bytes:
        """The flatbuffer, without its prefix."""
        return self.data[8 : self.metadata_length]

    def placed(self, offset: int) -> Message:
        """The same message at `offset` of a file."""
        return Message(offset, self.metadata_length, len(self.data) - self.metadata_length, self.kind)


class _Collector:
    """What pyarrow writes into: keeps the pieces."""

    closed = False

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        self.closed = True

    def take(self) -> bytes:
        data = b"".join(self._pieces)
        self._pieces.clear()
        return data


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
        data = self._collector.take()

        def read_at(offset: int, length: int) -> bytes:
            return data[offset : offset + length]

        return [
            EncodedMessage(message.kind, message.metadata_length, data[message.offset : message.end])
            for message in walk(read_at, 0, len(data))
        ]


def _difference(found: pa.Schema, expected: pa.Schema) -> str:
    for one, other in zip(found, expected, strict=False):
        if not one.equals(other):
            return (
                f"{one.name}: {one.type}{'' if one.nullable else ' not null'} where {other.name}: {other.type} belongs"
            )
    return f"{len(found)} columns instead of {len(expected)}"
