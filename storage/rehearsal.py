"""Records a row into a scratch folder, and goes on for a while, so that what Python imports on first use is imported.

For a process that is about to become a user who may not read the folder that its own code lies in. Leaves nothing.
"""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from nanotape.storage.archive import Archive
from nanotape.storage.packets import ring_columns
from nanotape.storage.recorder import Recorder, RecorderOptions
from nanotape.storage.schema import packets_schema


class _Clock:
    """Is some seconds on whenever it is asked, so that all that a recorder does now and then is due."""

    def __init__(self) -> None:
        self._now_ns = 0

    def utc_ns(self) -> int:
        return time.time_ns()

    def monotonic_ns(self) -> int:
        self._now_ns += 5 * 10**9
        return self._now_ns

    def sleep(self, seconds: float) -> None:
        pass


class _Ring:
    """A ring of no flows."""

    name = host = "rehearsal"
    ring_id = "0" * 32
    writer_alive = False

    def flows(self) -> Sequence[Any]:
        return ()

    def sources(self) -> Sequence[Any]:
        return ()


class _Reader:
    """Gives one row, once."""

    lost = 0

    def __init__(self, sequence: int) -> None:
        self.next_seq = sequence
        fields = [pa.field("flow_id", pa.uint32(), nullable=False), pa.field("source", pa.uint8(), nullable=False)]
        fields += [packets_schema().field(name) for name in ring_columns()]
        arrays = [pa.nulls(1, field.type) if field.nullable else _one(field.type, sequence) for field in fields]
        self._batches = [pa.RecordBatch.from_arrays(arrays, names=[field.name for field in fields])]

    @property
    def gathered_rows(self) -> int:
        return len(self._batches)

    @property
    def gathered_bytes(self) -> int:
        return 0

    def gather(self, max_rows: int, max_bytes: int) -> int:
        return len(self._batches)

    def take(self) -> pa.RecordBatch | None:
        return self._batches.pop() if self._batches else None

    def newest_seq(self) -> int:
        return self.next_seq

    def seek(self, start: object) -> None:
        pass

    def publish_status(self, *_: object, **__: object) -> None:
        pass

    def is_replaced(self) -> bool:
        return False


def rehearse() -> None:
    """Begins, writes, ends and recovers once, like a recorder of a quiet ring."""
    with tempfile.TemporaryDirectory(prefix="nanotape-rehearsal-") as name:
        for sequence in (1, 2):  # the second finds what the first one left
            archive, reader = Archive.create(Path(name) / "archive"), _Reader(sequence)
            recorder = Recorder(_Ring(), reader, archive, RecorderOptions(), clock=_Clock(), log=lambda _: None)
            recorder.recording.told.path = Path(name) / "told.json"
            recorder.begin()
            recorder.step()
            recorder.finish()


def _one(kind: pa.DataType, sequence: int) -> pa.Array:
    if pa.types.is_dictionary(kind):
        return pa.DictionaryArray.from_arrays(pa.array([0], pa.int32()), pa.array([""]))
    if pa.types.is_binary(kind):
        return pa.array([b""])
    return pa.array([sequence], pa.int64()).cast(kind)
