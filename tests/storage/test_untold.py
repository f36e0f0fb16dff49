"""What a recorder that died had not told, found in the rows of segments and compacted files."""

import pytest
from recorder_bench import later, recorded
from synthetic import RING_ID, SyntheticRing

from nanotape.storage.archive import Archive
from nanotape.storage.compact import CompactOptions, compact
from nanotape.storage.errors import ArchiveError
from nanotape.storage.untold import rows_after


def rows(archive: Archive, after: int) -> list[tuple[int, int]]:
    batches = rows_after(archive, RING_ID, after)
    columns = ([*map(batch.column, ("ring_seq", "lost_before"))] for batch in batches)
    return [pair for each in columns for pair in zip(*(column.to_pylist() for column in each), strict=True)]


@pytest.mark.parametrize("compacted", [False, True])
@pytest.mark.parametrize("after", [0, 1, 99, 100, 101, 150, 200, 250, 299, 300])
def test_the_rows_after_a_sequence_come_once_each_and_in_order(archive: Archive, compacted: bool, after: int) -> None:
    recorded(archive, SyntheticRing(newest=100), batch_rows=30)
    recorded(archive, SyntheticRing(newest=200), batch_rows=30, clock=later(10))
    if compacted:
        compact(archive, CompactOptions(grace_ns=0), log=lambda _: None)
        assert archive.visible().parquet
    recorded(archive, SyntheticRing(oldest=221, newest=300), batch_rows=30, clock=later(20))
    recorded(archive, SyntheticRing(name="other", ring_id="ff" * 16, newest=400), clock=later(30))
    expected = [(seq, 20 if seq == 221 else 0) for seq in (*range(1, 201), *range(221, 301)) if seq > after]
    assert rows(archive, after) == expected


def test_segments_are_read_one_batch_after_the_other(archive: Archive) -> None:
    """What a later one is like is not known before its turn."""
    recorded(archive, SyntheticRing(newest=100), batch_rows=30)
    recorded(archive, SyntheticRing(newest=200), clock=later())
    second = archive.segments()[1].path
    second.write_bytes(second.read_bytes()[:-3000] + b"?" * 3000)
    batches = rows_after(archive, RING_ID, 0)
    assert [next(batches).num_rows for _ in range(4)] == [30, 30, 30, 10]
    with pytest.raises(ArchiveError, match="damaged"):
        next(batches)
