"""Sorts more rows than memory holds: by named columns of text, then by a stamp; equal rows keep their order.

What fits is sorted at once; else sorted runs go to a work folder and are merged block by block. Memory is about three
times `budget_bytes`, however many rows there are and however long they are.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc as ipc

BLOCK_ROWS = 8192
_BLOCKS_OF_BUDGET = _RUNS_MAX = 32
_NULL_STAMP = np.iinfo(np.int64).min

Longs = npt.NDArray[np.int64]
Group = tuple[str, ...]
Keys = tuple[Longs, ...]
"""From the first sort key to the last."""


@dataclass(frozen=True, slots=True)
class SortKey:
    """What to sort by."""

    names: tuple[str, ...]
    """Dictionary columns of text; null comes first."""
    stamp: str
    """A timestamp column, after the names; null comes first."""
    within: tuple[str, ...] = ()
    """Dictionary columns of text: rows of one slice of time are sorted by these before the stamp."""
    slice_ns: int = 1
    """Length of a slice; slices begin at multiples of it."""

    @property
    def texts(self) -> tuple[str, ...]:
        """All columns of text."""
        return self.names + self.within


class _Ranks:
    """The rank of each group of texts, among all groups that there are."""

    def __init__(self, key: SortKey, groups: Iterable[Group]) -> None:
        self._key, count = key, len(key.names)
        groups = set(groups)
        self._of_names = {each: rank for rank, each in enumerate(sorted({group[:count] for group in groups}))}
        self._within = {each: rank for rank, each in enumerate(sorted({group[count:] for group in groups}))}

    def keys(self, rows: pa.Table) -> Keys:
        """Rank, slice of time, rank within it, and stamp of each row."""
        flat, named = _groups(rows, self._key.texts)
        count = len(self._key.names)
        first = np.array([self._of_names[group[:count]] for group in named], np.int64)[flat]
        stamps = _stamps(rows, self._key.stamp)
        if not self._key.within:
            return first, stamps
        second = np.array([self._within[group[count:]] for group in named], np.int64)[flat]
        return first, stamps // self._key.slice_ns, second, stamps


def sort(rows: pa.Table, key: SortKey) -> pa.Table:
    """All rows in memory, sorted."""
    return _taken(rows, _order(_Ranks(key, groups_of(rows, key)).keys(rows)))


def groups_of(rows: pa.Table, key: SortKey) -> list[Group]:
    """The groups of texts that occur."""
    return _groups(rows, key.texts)[1]


def block_rows(row_bytes: float, budget_bytes: int) -> int:
    """How many rows of each run are read at once, so that many runs of long rows take no more than short ones."""
    return int(min(BLOCK_ROWS, max(64, budget_bytes / _BLOCKS_OF_BUDGET / max(row_bytes, 1))))


def sorted_batches(
    batches: Iterable[pa.RecordBatch], key: SortKey, work: Path, budget_bytes: int
) -> Iterator[pa.Table]:
    """All rows, sorted, in tables of moderate size.

    Args:
        batches: Of one schema; dictionaries may differ.
        key: What to sort by.
        work: A folder for runs, which are removed when they are done with.
        budget_bytes: Rows that take more are not sorted at once.
    """
    runs: list[Path] = []
    groups: set[Group] = set()
    held: list[pa.RecordBatch] = []
    held_bytes = 0
    try:
        for batch in batches:
            held.append(batch)
            held_bytes += batch.nbytes
            if held_bytes >= budget_bytes:
                groups |= _spill(held, key, work, runs, budget_bytes)
                held_bytes = 0
            if len(runs) >= _RUNS_MAX:
                _fold(runs, key, groups, work, budget_bytes)
        if not runs:
            yield from [sort(_together(held), key)] if held else []
            return
        if held:
            groups |= _spill(held, key, work, runs, budget_bytes)
        yield from merge([_read_run(path) for path in runs], key, groups)
    finally:
        for path in runs:
            path.unlink(missing_ok=True)


def merge(runs: Sequence[Iterator[pa.RecordBatch]], key: SortKey, groups: Iterable[Group]) -> Iterator[pa.Table]:
    """Merges runs, each of them sorted, block by block.

    Args:
        runs: Each gives batches; those of them that stand first win where keys are equal, as a rule.
        key: What they are sorted by.
        groups: All groups of names that occur.
    """
    ranks = _Ranks(key, groups)
    blocks = [block for block in (_Block(run, ranks) for run in runs) if block.load()]
    while blocks:
        bound = min(block.last for block in blocks)
        taken = [block.take(bound) for block in blocks]
        blocks = [block for block in blocks if block.left or block.load()]
        parts = [rows for rows, _ in taken if rows.num_rows]
        order = _order(tuple(map(np.concatenate, zip(*(keys for _, keys in taken), strict=True))))
        yield _taken(pa.concat_tables(parts).unify_dictionaries().combine_chunks(), order)


class _Block:
    """A run as far as it is read."""

    def __init__(self, run: Iterator[pa.RecordBatch], ranks: _Ranks) -> None:
        self._run, self._key = run, ranks
        self._rows = pa.table({})
        self._keys: Keys = ()
        self._at = 0

    @property
    def left(self) -> int:
        return int(self._rows.num_rows) - self._at

    @property
    def last(self) -> tuple[int, ...]:
        """Key of the last row that is read."""
        return tuple(int(each[-1]) for each in self._keys)

    def load(self) -> bool:
        """Reads on; False at the end."""
        for batch in self._run:
            if batch.num_rows:
                self._rows = pa.Table.from_batches([batch])
                self._keys = self._key.keys(self._rows)
                self._at = 0
                return True
        return False

    def take(self, bound: tuple[int, ...]) -> tuple[pa.Table, Keys]:
        """The rows up to a key, that one included."""
        first, last = self._at, self._rows.num_rows
        for keys, most in zip(self._keys, bound, strict=True):
            among = keys[first:last]
            first, last = (first + int(np.searchsorted(among, most, side)) for side in ("left", "right"))
        begin, self._at = self._at, last
        return self._rows.slice(begin, self._at - begin), tuple(each[begin : self._at] for each in self._keys)


def _spill(held: list[pa.RecordBatch], key: SortKey, work: Path, runs: list[Path], budget_bytes: int) -> set[Group]:
    rows = _together(held)
    held.clear()
    groups = set(groups_of(rows, key))
    _write_run(iter([sort(rows, key)]), work, runs, budget_bytes)
    return groups


def _fold(runs: list[Path], key: SortKey, groups: set[Group], work: Path, budget_bytes: int) -> None:
    """Makes one run of all: each that is read costs memory."""
    several = list(runs)
    _write_run(merge([_read_run(path) for path in several], key, groups), work, runs, budget_bytes)
    runs[:] = runs[-1:]
    for path in several:
        path.unlink()


def _write_run(tables: Iterator[pa.Table], work: Path, runs: list[Path], budget_bytes: int) -> None:
    first = next(tables)
    path = work / f"run-{uuid4().hex}.arrow"
    runs.append(path)
    options = ipc.IpcWriteOptions(compression="lz4", use_threads=False)
    with pa.OSFile(str(path), "wb") as file, ipc.new_stream(file, first.schema, options=options) as writer:
        for rows in itertools.chain([first], tables):
            writer.write_table(rows, max_chunksize=block_rows(rows.nbytes / max(rows.num_rows, 1), budget_bytes))


def _read_run(path: Path) -> Iterator[pa.RecordBatch]:
    with pa.OSFile(str(path)) as file, ipc.open_stream(file) as stream:
        yield from stream


def _together(batches: Sequence[pa.RecordBatch]) -> pa.Table:
    return pa.Table.from_batches(batches).unify_dictionaries().combine_chunks()


def _order(keys: Keys) -> Longs:
    """Stable; few groups are sorted by their digits, and stamps that rise already cost next to nothing."""
    order = np.argsort(keys[-1], kind="stable")
    for each in reversed(keys[:-1]):
        among = each[order]
        narrow = among.astype(np.uint16) if len(each) and 0 <= each.min() and each.max() < 1 << 16 else among
        order = order[np.argsort(narrow, kind="stable")]
    return order


def _taken(rows: pa.Table, order: Longs) -> pa.Table:
    """The rows in another order. Most columns of most tables are the same in all rows: those are as they were."""
    if not rows.num_rows or bool((order[1:] > order[:-1]).all()):
        return rows
    places = pa.array(order)
    columns = [column if _is_constant(column) else column.take(places) for column in rows.columns]
    return pa.Table.from_arrays(columns, schema=rows.schema)


def _is_constant(column: pa.ChunkedArray) -> bool:
    if column.null_count:
        return bool(column.null_count == len(column))
    if pa.types.is_dictionary(column.type):
        bounds = [pc.min_max(chunk.indices) for chunk in column.chunks]
        return column.num_chunks == 1 and bool(bounds[0]["min"] == bounds[0]["max"])
    if pa.types.is_integer(column.type):
        bound = pc.min_max(column)
        return bool(bound["min"] == bound["max"])
    return False


def _groups(rows: pa.Table, names: Sequence[str]) -> tuple[Longs, list[Group]]:
    """For each row the place of its group in the list of those that occur; as texts they sort as they should."""
    flat = np.zeros(rows.num_rows, np.int64)
    dictionaries = []
    for name in names:
        column = rows.column(name).unify_dictionaries().combine_chunks()
        array = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
        dictionaries.append([None, *array.dictionary.to_pylist()])
        flat = flat * len(dictionaries[-1]) + pc.fill_null(array.indices, -1).to_numpy() + 1
    present, places = np.unique(flat, return_inverse=True) if len(flat) else (flat, flat)
    named = []
    for code in present.tolist():
        parts = []
        for values in reversed(dictionaries):
            code, at = divmod(code, len(values))
            parts.append("" if values[at] is None else f"\x01{values[at]}")
        named.append(tuple(reversed(parts)))
    return places, named


def _stamps(rows: pa.Table, name: str) -> Longs:
    column = rows.column(name).cast(pa.int64())
    stamps: Longs = pc.fill_null(column, _NULL_STAMP).to_numpy()
    return stamps
