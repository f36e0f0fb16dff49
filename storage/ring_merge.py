"""Merges the rows of several rings by time, each ring's rows staying in the order of its sequences.

A row whose stamp is earlier than one before it in its ring comes right after that one. Rings wait in files; memory is
about `_ROWS_HELD` rows, however many rings and rows there are.
"""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.ipc as ipc

_ROWS_HELD = 1 << 17
_RUN_ROWS_MIN = 64

Longs = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Run:
    """The rows of one ring, in a file."""

    place: int
    """Among the rings: the first wins where stamps are equal."""
    path: Path
    first_ns: int


def merge_rings(rows: Iterable[pa.RecordBatch], ring: str, stamp: str, rings: int, work: Path) -> Iterator[pa.Table]:
    """Rows that are sorted by ring, in the order of time.

    Args:
        rows: Batches, sorted by the ring's place, then by its sequences.
        ring: The column of the ring's place, an integer.
        stamp: The column of the stamp, nanoseconds as an integer.
        rings: How many rings there can be.
        work: An empty folder for files, which are removed when they are done with.
    """
    run_rows = max(_RUN_ROWS_MIN, _ROWS_HELD // max(1, rings))
    runs = sorted(_spilled(rows, ring, stamp, run_rows, work), key=lambda run: (run.first_ns, run.place))
    blocks: list[_Block] = []
    while runs or blocks:
        while runs and (not blocks or runs[0].first_ns <= min(block.bound for block in blocks)[0]):
            blocks.append(_Block(runs.pop(0), stamp))
        bound, place = min(block.bound for block in blocks)
        blocks.sort(key=lambda block: block.run.place)
        taken = [block.take(bound, inclusive=block.run.place <= place) for block in blocks]
        blocks = [block for block in blocks if block.is_left()]
        # Stable: equal stamps stay in the order of the rings, and of their sequences.
        order = np.argsort(np.concatenate([keys for _, keys in taken]), kind="stable")
        merged = pa.concat_tables([part for part, _ in taken]).combine_chunks()
        yield merged if (order[1:] > order[:-1]).all() else merged.take(pa.array(order))


def _spilled(rows: Iterable[pa.RecordBatch], ring: str, stamp: str, run_rows: int, work: Path) -> Iterator[_Run]:
    """Writes the rows of each ring to a file of its own."""
    options = ipc.IpcWriteOptions(compression="lz4", use_threads=False)
    for place, parts in itertools.groupby(_by_ring(rows, ring), key=lambda part: part[0]):
        _, first = next(parts)
        run = _Run(place, work / f"ring-{place}.arrow", first.column(stamp)[0].as_py())
        with ipc.new_stream(str(run.path), first.schema, options=options) as writer:
            for _, part in itertools.chain([(place, first)], parts):
                writer.write_table(pa.Table.from_batches([part]), max_chunksize=run_rows)
        yield run


def _by_ring(rows: Iterable[pa.RecordBatch], ring: str) -> Iterator[tuple[int, pa.RecordBatch]]:
    """The rows in pieces of one ring each."""
    for batch in rows:
        places = batch.column(ring).to_numpy()
        cuts = [0, *(np.flatnonzero(places[1:] != places[:-1]) + 1).tolist(), len(places)]
        for begin, end in itertools.pairwise(cuts):
            if end > begin:
                yield int(places[begin]), batch.slice(begin, end - begin)


class _Block:
    """A ring's rows as far as they are read; never without any."""

    def __init__(self, run: _Run, stamp: str) -> None:
        self.run, self._stamp = run, stamp
        self._file = pa.OSFile(str(run.path))
        self._stream = ipc.open_stream(self._file)
        self._latest_ns = np.iinfo(np.int64).min
        self._rows = pa.table({})
        self._keys: Longs = np.empty(0, np.int64)
        self.is_left()

    @property
    def bound(self) -> tuple[int, int]:
        """Time of the last row that is read, and the ring's place."""
        return int(self._keys[-1]), self.run.place

    def take(self, bound: int, *, inclusive: bool) -> tuple[pa.Table, Longs]:
        """The rows up to a time, and their times: the latest stamp in the ring up to each."""
        count = int(np.searchsorted(self._keys, bound, "right" if inclusive else "left"))
        rows, keys = self._rows.slice(0, count), self._keys[:count]
        self._rows, self._keys = self._rows.slice(count), self._keys[count:]
        return rows, keys

    def is_left(self) -> bool:
        """Whether there are rows; reads on, and removes the file at its end."""
        while not len(self._keys):
            try:
                batch = self._stream.read_next_batch()
            except StopIteration:
                self._file.close()
                self.run.path.unlink()
                return False
            stamps = batch.column(self._stamp).to_numpy()
            self._keys = np.maximum.accumulate(np.maximum(stamps, self._latest_ns))
            self._latest_ns = int(self._keys[-1]) if len(stamps) else self._latest_ns
            self._rows = pa.Table.from_batches([batch])
        return True
