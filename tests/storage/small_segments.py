"""Small segments of three columns, for tests that visit every byte."""

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.ipc as ipc

from nanotape.storage.segment import Fsync, SegmentIdentity, SegmentWriter

IDENTITY = SegmentIdentity("demo", "000102030405060708090a0b0c0d0e0f", "box")
SCHEMA = pa.schema(
    [("ring_seq", pa.int64()), ("name", pa.dictionary(pa.int32(), pa.string())), ("payload", pa.binary())]
)
OPENED_NS = 1_795_207_020_123_456_789
NAMES = ["alpha", "beta", "gamma", "delta", "epsilon"]


def batch(first: int, rows: int, names: list[str]) -> pa.RecordBatch:
    sequences = range(first, first + rows)
    column = pa.DictionaryArray.from_arrays(pa.array([s % len(names) for s in sequences], pa.int32()), pa.array(names))
    payload = pa.array([s.to_bytes(8, "big") * 3 for s in sequences], pa.binary())
    return pa.RecordBatch.from_arrays([pa.array(sequences, pa.int64()), column, payload], schema=SCHEMA)


BATCHES = [batch(7, 5, NAMES[:1]), batch(12, 3, NAMES[:3]), batch(15, 4, NAMES[:3]), batch(25, 6, NAMES[:5])]


def open_segment(directory: Path, first_seq: int = 7, **options: object) -> SegmentWriter:
    options.setdefault("fsync", Fsync.NEVER)
    return SegmentWriter(directory, SCHEMA, IDENTITY, first_seq, OPENED_NS, **options)  # type: ignore[arg-type]


def write_part(directory: Path) -> tuple[Path, list[int]]:
    """A part file as a killed recorder leaves it, and where each batch ends in it."""
    writer = open_segment(directory)
    ends = []
    for one in BATCHES:
        writer.write(one)
        ends.append(writer.size_bytes)
    writer.abandon()
    assert writer.path.stat().st_size == ends[-1]
    return writer.path, ends


def read_back(path: Path) -> list[pa.RecordBatch]:
    """All batches of a finished segment, mapped, each checked in full."""
    with pa.memory_map(str(path)) as file, ipc.open_file(file) as reader:
        batches = [reader.get_batch(index) for index in range(reader.num_record_batches)]
        for one in batches:
            one.validate(full=True)
        return batches


def sequences(batches: list[pa.RecordBatch]) -> list[int]:
    return [sequence for one in batches for sequence in one.column("ring_seq").to_pylist()]


def decoded(batches: list[pa.RecordBatch]) -> list[dict[str, object]]:
    return [row for one in batches for row in one.to_pylist()]


def sidecar_of(part: Path) -> Path:
    return part.with_suffix(".sum")


def names_in(directory: Path) -> list[str]:
    return sorted(os.listdir(directory))
