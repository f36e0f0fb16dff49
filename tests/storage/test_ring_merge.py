from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanotape.storage import ring_merge
from nanotape.storage.ring_merge import merge_rings

Rows = list[tuple[int, int, int]]  # place of the ring, sequence, stamp


def in_order(rings: list[list[int]]) -> Rows:
    """By the latest stamp that each ring had come to, then by ring, then by sequence."""
    keyed = []
    for place, stamps in enumerate(rings):
        latest = -(2**62)
        for seq, stamp in enumerate(stamps):
            latest = max(latest, stamp)
            keyed.append((latest, place, seq, stamp))
    return [(place, seq, stamp) for _, place, seq, stamp in sorted(keyed)]


def merged(rings: list[list[int]], batch_rows: int, work: Path) -> Rows:
    rows = [(place, seq, stamp) for place, stamps in enumerate(rings) for seq, stamp in enumerate(stamps)]
    columns = np.array(rows, np.int64).reshape(-1, 3)
    table = pa.table({name: columns[:, at] for at, name in enumerate(("ring", "seq", "ts"))})
    found = merge_rings(table.to_batches(max_chunksize=batch_rows), "ring", "ts", len(rings), work)
    return [tuple(row.values()) for part in found for row in part.to_pylist()]  # type: ignore[misc]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(st.integers(-5, 20), max_size=30), max_size=5), st.integers(1, 7), st.integers(1, 9))
def test_rows_come_by_time_and_each_ring_s_in_its_own_order(
    tmp_path_factory: pytest.TempPathFactory, rings: list[list[int]], batch_rows: int, held: int
) -> None:
    work = tmp_path_factory.mktemp("work")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ring_merge, "_ROWS_HELD", held)
        patch.setattr(ring_merge, "_RUN_ROWS_MIN", 1)
        assert merged(rings, batch_rows, work) == in_order(rings)
    assert list(work.iterdir()) == []


def test_rings_that_do_not_meet_are_opened_one_after_the_other(tmp_path: Path) -> None:
    rings = [[100 * place + at for at in range(3)] for place in range(1500)]  # more than files may be open at once
    assert merged(rings, 1000, tmp_path) == in_order(rings)
