import contextlib
import struct
from pathlib import Path

import pyarrow as pa
import pyarrow.ipc as ipc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanotape.storage.errors import SegmentFormatError
from nanotape.storage.ipc_file import END_OF_STREAM, FILE_MAGIC, MessageKind, ReadAt, build_tail, read_message, walk
from nanotape.storage.schema import packets_schema

SCHEMA = pa.schema(
    [
        pa.field("ring_seq", pa.int64(), metadata={"unit": "records"}),
        ("name", pa.dictionary(pa.int32(), pa.string())),
        ("other", pa.dictionary(pa.int32(), pa.string())),
        ("payload", pa.binary()),
    ],
    metadata={"nanotape_schema": "1", "odd": "x" * 13},
)


def batch(first: int, rows: int, names: list[str]) -> pa.RecordBatch:
    indices = pa.array([row % len(names) for row in range(rows)], pa.int32())
    payload = pa.array([bytes([row % 251]) * (row % 7) for row in range(rows)], pa.binary())
    column = pa.DictionaryArray.from_arrays(indices, pa.array(names))
    return pa.RecordBatch.from_arrays([pa.array(range(first, first + rows)), column, column, payload], schema=SCHEMA)


BATCHES = [
    batch(1, 10, ["a"]),
    batch(11, 1, ["a", "bb"]),
    batch(12, 30, ["a", "bb"]),
    batch(42, 9, ["a", "bb", "c" * 9]),
]


def pyarrow_file(batches: list[pa.RecordBatch], schema: pa.Schema = SCHEMA) -> bytes:
    sink = pa.BufferOutputStream()
    options = ipc.IpcWriteOptions(compression="zstd", emit_dictionary_deltas=True)
    with ipc.new_file(sink, schema, options=options) as writer:
        for one in batches:
            writer.write_batch(one)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def reading(data: bytes) -> ReadAt:
    return lambda offset, length: data[offset : offset + length]


def footer_facts(data: bytes) -> dict[str, object]:
    """A footer read by following the flatbuffer's offsets, whatever its layout: shares no code with the builder."""
    assert data.endswith(b"ARROW1")
    length = struct.unpack_from("<i", data, len(data) - 10)[0]
    start = len(data) - 10 - length
    footer = data[start : start + length]

    def field(table: int, slot: int) -> int:
        vtable = table - struct.unpack_from("<i", footer, table)[0]
        return table + struct.unpack_from("<H", footer, vtable + 4 + 2 * slot)[0]

    def blocks(reference: int) -> list[tuple[int, int, int]]:
        at = reference + struct.unpack_from("<I", footer, reference)[0]
        count = struct.unpack_from("<I", footer, at)[0]
        assert not count or (at + 4) % 8 == 0, "a Block's i64 must be aligned"
        return [struct.unpack_from("<qi4xq", footer, at + 4 + 24 * index) for index in range(count)]

    root = struct.unpack_from("<I", footer, 0)[0]
    return {
        "start": start,
        "version": struct.unpack_from("<h", footer, field(root, 0))[0],
        "dictionaries": blocks(field(root, 2)),
        "batches": blocks(field(root, 3)),
    }


def rebuilt(data: bytes) -> bytes:
    """The file with its footer replaced by ours."""
    messages = list(walk(reading(data), 8, len(data)))
    schema = messages[0]
    return data[: messages[-1].end] + build_tail(
        data[schema.offset + 8 : schema.offset + schema.metadata_length], messages
    )


def test_a_file_is_magic_then_the_stream_then_an_end_marker_and_the_footer() -> None:
    data = pyarrow_file(BATCHES)
    sink = pa.BufferOutputStream()
    with ipc.new_stream(
        sink, SCHEMA, options=ipc.IpcWriteOptions(compression="zstd", emit_dictionary_deltas=True)
    ) as writer:
        for one in BATCHES:
            writer.write_batch(one)
    stream = sink.getvalue().to_pybytes()
    assert data[:8] == FILE_MAGIC
    assert stream.endswith(END_OF_STREAM)
    assert data[8 : 8 + len(stream)] == stream
    assert footer_facts(data)["start"] == 8 + len(stream)


def test_the_messages_found_are_the_blocks_that_pyarrow_lists() -> None:
    data = pyarrow_file(BATCHES)
    messages = list(walk(reading(data), 8, len(data)))
    facts = footer_facts(data)
    assert messages[0].kind == MessageKind.SCHEMA
    for kind, listed in ((MessageKind.DICTIONARY, "dictionaries"), (MessageKind.RECORD_BATCH, "batches")):
        assert [(m.offset, m.metadata_length, m.body_length) for m in messages if m.kind == kind] == facts[listed]
    assert len(facts["dictionaries"]) == 6, "two columns, each begun once and grown twice"  # type: ignore[arg-type]


@pytest.mark.parametrize("count", range(5))
def test_our_footer_says_what_pyarrows_says(count: int, tmp_path: Path) -> None:
    data = pyarrow_file(BATCHES[:count])
    ours = rebuilt(data)
    assert footer_facts(ours) == footer_facts(data)
    path = tmp_path / "ours.arrow"
    path.write_bytes(ours)
    with pa.memory_map(str(path)) as file, ipc.open_file(file) as reader, ipc.open_file(pa.py_buffer(data)) as expected:
        assert reader.schema.equals(expected.schema, check_metadata=True)
        assert reader.num_record_batches == count
        for index in range(count):
            reader.get_batch(index).validate(full=True)
            assert reader.get_batch(index).equals(expected.get_batch(index), check_metadata=True)


def test_the_packets_schema_survives_our_footer() -> None:
    ours = rebuilt(pyarrow_file([], packets_schema()))
    assert ipc.open_file(pa.py_buffer(ours)).schema.equals(packets_schema(), check_metadata=True)


def test_a_wrong_offset_in_the_footer_is_noticed() -> None:
    ours = bytearray(rebuilt(pyarrow_file(BATCHES)))
    start = footer_facts(bytes(ours))["start"]
    assert isinstance(start, int)
    ours[start + 24] += 4  # the reference to the schema
    with pytest.raises((pa.ArrowInvalid, OSError)):
        ipc.open_file(pa.py_buffer(bytes(ours)))


def test_walking_stops_before_the_first_message_that_is_not_whole() -> None:
    data = pyarrow_file(BATCHES)
    whole = list(walk(reading(data), 8, len(data)))
    for length in range(len(data)):
        assert list(walk(reading(data[:length]), 8, length)) == [m for m in whole if m.end <= length]


@given(st.binary(max_size=200), st.booleans())
def test_garbage_is_refused_and_nothing_worse(data: bytes, framed: bool) -> None:
    if framed:
        data = data[: len(data) // 8 * 8]
        data = b"\xff\xff\xff\xff" + struct.pack("<i", len(data)) + data
    with contextlib.suppress(SegmentFormatError):
        message = read_message(reading(data), 0)
        assert message is None or message.length >= 8


@given(st.integers(0, 8 * 600), st.integers(0, 255))
def test_a_damaged_message_is_refused_and_nothing_worse(position: int, value: int) -> None:
    data = bytearray(pyarrow_file(BATCHES[:2]))
    data[8 + position % (len(data) - 8)] = value
    for message in walk(reading(bytes(data)), 8, len(data)):
        assert 8 <= message.offset < message.end <= len(data)
