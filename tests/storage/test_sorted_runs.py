"""Sorting is compared with Python's own, on rows that do not fit into the budget."""

import itertools
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanotape.storage import sorted_runs
from nanotape.storage.sorted_runs import SortKey, block_rows, sort, sorted_batches

NAME = pa.dictionary(pa.int32(), pa.string())
KEY = SortKey(("channel",), "ts", ("line",), 10)
TEXTS = st.sampled_from([None, "", "A", "B", "itch-10", "itch-9"])
ROWS = st.lists(st.tuples(TEXTS, st.one_of(st.none(), st.integers(-30, 30)), TEXTS), max_size=60)


def table(rows: list[tuple[str | None, int | None, str | None]]) -> pa.Table:
    channels, stamps, lines = zip(*rows, strict=True) if rows else ((), (), ())
    return pa.table(
        {
            "channel": pa.array(channels, pa.string()).dictionary_encode().cast(NAME),
            "ts": pa.array(stamps, pa.int64()).cast(pa.timestamp("ns", "UTC")),
            "line": pa.array(lines, pa.string()).dictionary_encode().cast(NAME),
            "place": pa.array(range(len(rows)), pa.int64()),
        }
    )


def values(rows: pa.Table) -> list[tuple[str | None, int | None, str | None]]:
    stamps = rows.column("ts").cast(pa.int64()).to_pylist()
    texts = (rows.column(name).cast(pa.string()).to_pylist() for name in ("channel", "line"))
    channels, lines = texts
    return list(zip(channels, stamps, lines, strict=True))


def key_of(row: tuple[str | None, int | None, str | None]) -> tuple[object, ...]:
    channel, stamp, line = row
    known = -(1 << 63) if stamp is None else stamp
    return ((channel is not None, channel or ""), known // 10, (line is not None, line or ""), known)


@given(ROWS)
def test_rows_in_memory_are_sorted_as_python_sorts_them_and_equal_ones_keep_their_order(
    rows: list[tuple[str | None, int | None, str | None]],
) -> None:
    if rows:
        expected = sorted(range(len(rows)), key=lambda at: key_of(rows[at]))
        assert sort(table(rows), KEY).column("place").to_pylist() == expected


@settings(max_examples=40)
@given(st.lists(ROWS, min_size=1, max_size=9))
def test_runs_are_merged_to_the_same_order_however_small_their_blocks(
    tmp_path_factory: pytest.TempPathFactory, parts: list[list[tuple[str | None, int | None, str | None]]]
) -> None:
    work = tmp_path_factory.mktemp("work")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sorted_runs, "block_rows", lambda *_: 3)
        patch.setattr(sorted_runs, "_RUNS_MAX", 4)
        batches = itertools.chain.from_iterable(table(rows).to_batches() for rows in parts)
        found = [row for rows in sorted_batches(batches, KEY, work, budget_bytes=1) for row in values(rows)]
    assert found == sorted(itertools.chain(*parts), key=key_of)
    assert list(work.iterdir()) == []


def test_runs_are_removed_when_the_reader_stops_in_the_middle(tmp_path: Path) -> None:
    batches = [batch for _ in range(4) for batch in table([("A", 1, "B"), ("A", 2, "B")]).to_batches()]
    reader = sorted_batches(batches, KEY, tmp_path, budget_bytes=1)
    next(reader)
    assert len(list(tmp_path.iterdir())) == 4
    reader.close()  # type: ignore[attr-defined]
    assert list(tmp_path.iterdir()) == []


def test_a_block_of_long_rows_has_fewer_of_them() -> None:
    assert block_rows(150, 128 << 20) == 8192
    assert block_rows(9000, 32 << 20) * 9000 <= 1 << 20
    assert block_rows(1 << 30, 1) == 64
