"""Sorts more rows than memory holds: by named columns of text, then by a stamp; equal rows keep their order.

What fits is sorted at once; else sorted runs go to a work folder and are merged block by block. Memory is about three
times `budget_bytes`, however many rows there are.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc as ipc

_RUN_BATCH_ROWS = 8192
_NULL_STAMP = np.iinfo(np.int64).min

Longs = npt.NDArray[np.int64]
Group = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SortKey:
    """What to sort by."""

    names: tuple[str, ...]
    """Dictionary columns of text; null comes first."""
    stamp: str
    """A timestamp column, after the names; null comes first."""


class _Ranks:
    """The rank of each group of names, among all groups that there are."""

    def __init__(self, key: SortKey, groups: Iterable[Group]) -> None:
        self._key = key
        self._ranks = {group: rank for rank, group in enumerate(sorted(set(groups)))}

    def keys(self, rows: pa.Table) -> tuple[Longs, Longs]:
        """Rank and stamp of each row."""
        flat, named = _groups(rows, self._key.names)
        table = np.array([self._ranks[group] for group in named], np.int64)
        return table[flat], _stamps(rows, self._key.stamp)


def sort(rows: pa.Table, key: SortKey) -> pa.Table:
    """All rows in memory, sorted."""
    ranks, stamps = _Ranks(key, groups_of(rows, key)).keys(rows)
    return _taken(rows, _order(ranks, stamps))


def groups_of(rows: pa.Table, key: SortKey) -> list[Group]:
    """The groups of names that occur."""
    return _groups(rows, key.names)[1]


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
    try:
        for batch in batches:
            held.append(batch)
            if sum(each.nbytes for each in held) >= budget_bytes:
                groups |= _spill(held, key, work / f"run-{len(runs)}.arrow", runs)
                held = []
        if not runs:
            yield from [sort(_together(held), key)] if held else []
            return
        if held:
            groups |= _spill(held, key, work / f"run-{len(runs)}.arrow", runs)
            held = []
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
        parts = [rows for rows, _, _ in taken if rows.num_rows]
        order = _order(*(np.concatenate([each[at] for each in taken]) for at in (1, 2)))
        yield _taken(pa.concat_tables(parts).unify_dictionaries().combine_chunks(), order)


class _Block:
    """A run as far as it is read."""

    def __init__(self, run: Iterator[pa.RecordBatch], ranks: _Ranks) -> None:
        self._run, self._key = run, ranks
        self._rows = pa.table({})
        self._ranks: Longs = np.empty(0, np.int64)
        self._stamps: Longs = np.empty(0, np.int64)
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._ranks) - self._at

    @property
    def last(self) -> tuple[int, int]:
        """Key of the last row that is read."""
        return int(self._ranks[-1]), int(self._stamps[-1])

    def load(self) -> bool:
        """Reads on; False at the end."""
        for batch in self._run:
            if batch.num_rows:
                self._rows = pa.Table.from_batches([batch])
                self._ranks, self._stamps = self._key.keys(self._rows)
                self._at = 0
                return True
        return False

    def take(self, bound: tuple[int, int]) -> tuple[pa.Table, Longs, Longs]:
        """The rows up to a key, that one included."""
        ranks, stamps = self._ranks[self._at :], self._stamps[self._at :]
        first, last = np.searchsorted(ranks, bound[0], "left"), np.searchsorted(ranks, bound[0], "right")
        count = int(first + np.searchsorted(stamps[first:last], bound[1], "right"))
        rows = self._rows.slice(self._at, count)
        self._at += count
        return rows, ranks[:count], stamps[:count]


def _spill(held: list[pa.RecordBatch], key: SortKey, path: Path, runs: list[Path]) -> set[Group]:
    rows = _together(held)
    held.clear()
    runs.append(path)
    groups = set(groups_of(rows, key))
    options = ipc.IpcWriteOptions(compression="lz4", use_threads=False)
    with pa.OSFile(str(path), "wb") as file, ipc.new_stream(file, rows.schema, options=options) as writer:
        writer.write_table(sort(rows, key), max_chunksize=_RUN_BATCH_ROWS)
    return groups


def _read_run(path: Path) -> Iterator[pa.RecordBatch]:
    with pa.OSFile(str(path)) as file, ipc.open_stream(file) as stream:
        yield from stream


def _together(batches: Sequence[pa.RecordBatch]) -> pa.Table:
    return pa.Table.from_batches(batches).unify_dictionaries().combine_chunks()


def _order(ranks: Longs, stamps: Longs) -> Longs:
    """Stable; few groups are sorted by their digits, and stamps that rise already cost next to nothing."""
    order = np.argsort(stamps, kind="stable")
    groups = ranks.astype(np.uint16) if len(ranks) and ranks.max() < 1 << 16 else ranks
    return order[np.argsort(groups[order], kind="stable")]


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
