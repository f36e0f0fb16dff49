"""A recorder that leaves out packets of no channel: what it wrote, what it owes, and what its successor takes for lost.

In the synthetic ring every third sequence, 3, 6, 9..., is of no channel.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recorder_bench import Bench, later, recorded
from synthetic import SyntheticRing, assert_rows_are_theirs
from test_segment import no_file_larger_than

from nanotape.storage.archive import Archive
from nanotape.storage.events import RECORDER_LAPPED
from nanotape.storage.rotation import SegmentRotation
from nanotape.storage.settlement import MARK_NAME, Loss, accounted_end
from nanotape.storage.verify import verify


def rows(archive: Archive) -> list[tuple[int, int]]:
    table = archive.table(["ring_seq", "lost_before"])
    return list(zip(table.column("ring_seq").to_pylist(), table.column("lost_before").to_pylist(), strict=True))


def of_channels(first: int, last: int) -> list[int]:
    return [sequence for sequence in range(first, last + 1) if sequence % 3]


def end_of(archive: Archive) -> int:
    return accounted_end(archive.path / "segments" / "demo", SyntheticRing().ring_id)


def mark(archive: Archive) -> Path:
    return archive.path / "segments" / "demo" / MARK_NAME


def test_only_packets_of_channels_are_recorded_and_none_of_the_others_is_called_lost(archive: Archive) -> None:
    bench = recorded(archive, SyntheticRing(newest=100), batch_rows=30, keep_other=False)
    assert rows(archive) == [(sequence, 0) for sequence in of_channels(1, 100)]
    totals = bench.recorder.totals
    assert (totals.recorded, totals.left_out, totals.lost, totals.backlog) == (67, 33, 0, 0)
    assert bench.ring.newest + 1 - (totals.begin_seq or 0) == totals.recorded + totals.left_out
    assert_rows_are_theirs(archive.table())
    assert verify(archive).findings == []


def test_without_the_option_all_are_recorded(archive: Archive) -> None:
    bench = recorded(archive, SyntheticRing(newest=100))
    assert len(rows(archive)) == 100
    assert bench.recorder.totals.left_out == 0
    assert not mark(archive).exists()


def test_a_loss_before_a_packet_that_is_left_out_stands_in_the_next_row(archive: Archive) -> None:
    ring = SyntheticRing(newest=10)
    bench = Bench(archive, ring, keep_other=False, largest=1)
    bench.recorder.begin()
    bench.record_all()
    ring.oldest, ring.newest = 33, 40  # 33 is of no channel
    bench.record_all()
    bench.recorder.finish()
    assert [row for row in rows(archive) if row[1]] == [(34, 22)]


def test_rows_that_could_not_be_written_and_those_left_out_are_told_apart(archive: Archive) -> None:
    ring = SyntheticRing(newest=100)
    bench = Bench(archive, ring, batch_rows=100, keep_other=False)
    bench.recorder.begin()
    bench.record_all()
    with no_file_larger_than(archive.segments()[0].bytes + 500):
        ring.newest = 200
        bench.record_all()
    ring.newest = 250
    bench.record_all()
    bench.recorder.finish()
    totals = bench.recorder.totals
    assert totals.write_failures == len(of_channels(101, 200))
    assert [row for row in rows(archive) if row[1]] == [(202, totals.write_failures)]  # 201 is of no channel
    assert 251 - 1 == totals.recorded + totals.left_out + totals.write_failures


def test_rows_that_could_not_be_written_are_recorded_by_a_successor_and_never_called_left_out(archive: Archive) -> None:
    bench = Bench(archive, SyntheticRing(newest=99), batch_rows=99, keep_other=False)
    bench.recorder.begin()
    bench.record_all()
    with no_file_larger_than(archive.segments()[0].bytes + 500):  # the mark has room all the same
        bench.ring.newest = 198
        bench.record_all()
    bench.recorder.finish()
    assert bench.recorder.totals.write_failures == len(of_channels(100, 198))
    assert end_of(archive) == 99, "rows that are on no disk are not accounted for"
    second = recorded(archive, SyntheticRing(newest=198), keep_other=False, clock=later())
    assert second.reader.sought == [100]
    assert rows(archive) == [(sequence, 0) for sequence in of_channels(1, 198)]


def test_a_batch_of_nothing_but_others_does_not_settle_rows_that_could_not_be_written(archive: Archive) -> None:
    bench = Bench(archive, SyntheticRing(newest=99), batch_rows=99, keep_other=False)
    bench.recorder.begin()
    bench.record_all()
    with no_file_larger_than(archive.segments()[0].bytes + 500):
        for bench.ring.newest in (197, 198):  # 198 is of no channel
            bench.record_all()
            bench.clock.sleep(2)
            bench.record_all()
    bench.recorder.finish()
    assert end_of(archive) == 99


class Killed(BaseException):
    """Nothing of the recorder runs after it."""


def killed_in(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, write: Callable[[SegmentRotation, pa.RecordBatch], int]
) -> None:
    """Records until it writes."""
    with monkeypatch.context() as patch:
        patch.setattr(SegmentRotation, "write", write)
        with pytest.raises(Killed):
            bench.record_all()
    bench.die()


def test_a_recorder_that_is_killed_right_after_a_write_leaves_the_mark_that_goes_with_it(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ring has moved on when the next one comes: what the first one had left out is not lost."""
    bench = Bench(archive, SyntheticRing(newest=99), batch_rows=99, keep_other=False)
    bench.recorder.begin()
    write = SegmentRotation.write

    def write_and_die(rotation: SegmentRotation, batch: pa.RecordBatch) -> int:
        write(rotation, batch)
        raise Killed

    killed_in(bench, monkeypatch, write_and_die)
    second = recorded(archive, SyntheticRing(oldest=100, newest=101), keep_other=False, clock=later())
    assert second.reader.sought == [100]
    assert rows(archive) == [(sequence, 0) for sequence in of_channels(1, 101)]


def test_a_recorder_that_is_killed_right_before_a_write_goes_on_from_its_mark(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(archive, SyntheticRing(newest=99), batch_rows=99, keep_other=False)
    bench.recorder.begin()
    bench.record_all()

    def die(_rotation: SegmentRotation, _batch: pa.RecordBatch) -> int:
        raise Killed

    bench.ring.newest = 198
    killed_in(bench, monkeypatch, die)
    assert end_of(archive) == 99
    recorded(archive, SyntheticRing(oldest=100, newest=198), keep_other=False, clock=later())
    assert rows(archive) == [(sequence, 0) for sequence in of_channels(1, 198)]


def test_a_successor_does_not_take_for_lost_what_was_left_out(archive: Archive) -> None:
    """Channels that are silent while others talk: the ring has moved on long since when the recorder comes back."""
    bench = Bench(archive, SyntheticRing(newest=3), keep_other=False)
    bench.recorder.begin()
    bench.record_all()
    bench.recorder.finish()
    second = recorded(archive, SyntheticRing(oldest=4, newest=6), keep_other=False, clock=later())
    assert second.reader.sought == [4]
    assert rows(archive) == [(1, 0), (2, 0), (4, 0), (5, 0)]
    assert accounted_end(archive.path / "segments" / "demo", SyntheticRing().ring_id) == 6


def test_an_archive_of_nothing_but_left_out_packets_is_gone_on_with(archive: Archive) -> None:
    ring = SyntheticRing(oldest=3, newest=3)
    first = Bench(archive, ring, keep_other=False)
    first.recorder.begin()
    first.record_all()
    first.recorder.finish()
    assert json.loads(mark(archive).read_text()) == [
        {
            "ring_id": ring.ring_id,
            "after": 0,
            "through": 3,
            "owed": 2,
            "losses": [asdict(Loss(1, 2, 2, RECORDER_LAPPED))],
        }
    ]
    second = recorded(archive, SyntheticRing(oldest=4, newest=5), keep_other=False, clock=later())
    assert second.reader.sought == [4]
    assert rows(archive) == [(4, 2), (5, 0)], "what the first one lost, 1 and 2, is not forgotten"


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "[1]",
        "7",
        '[{"ring_id": 1}]',
        '[{"ring_id": "ff", "after": 2, "through": 900, "owed": 0}]',
        '{"ring_id": "000102030405060708090a0b0c0d0e0f", "after": 2, "through": 900, "owed": 0}',
    ],
)
def test_a_mark_that_is_damaged_or_another_rings_says_nothing(archive: Archive, content: str) -> None:
    recorded(archive, SyntheticRing(newest=3), keep_other=False)
    mark(archive).write_text(content)
    second = recorded(archive, SyntheticRing(newest=6), keep_other=False, clock=later())
    assert second.reader.sought == [3]
    assert rows(archive) == [(1, 0), (2, 0), (4, 0), (5, 0)]


def test_a_mark_is_void_once_the_archive_does_not_end_where_it_says(archive: Archive) -> None:
    """A power cut took the newest rows, but not the mark."""
    ring = SyntheticRing(newest=3)
    recorded(archive, ring, keep_other=False)
    kept = mark(archive).read_text()
    recorded(archive, SyntheticRing(newest=8), keep_other=False, clock=later())
    mark(archive).write_text(kept)
    third = recorded(archive, SyntheticRing(newest=9), keep_other=False, clock=later(20))
    assert third.reader.sought == [9]


def steps() -> st.SearchStrategy[list[tuple[int, int, bool]]]:
    """Records that come, records that the ring drops meanwhile, and whether the recorder is killed then."""
    return st.lists(st.tuples(st.integers(1, 40), st.integers(0, 20), st.booleans()), min_size=1, max_size=12)


@given(steps(), st.integers(1, 50))
@settings(max_examples=25, deadline=None)
def test_every_sequence_is_a_row_a_loss_or_left_out_whatever_happens(
    tmp_path_factory: pytest.TempPathFactory, history: list[tuple[int, int, bool]], largest: int
) -> None:
    archive = Archive.create(tmp_path_factory.mktemp("archive") / "a")
    ring = SyntheticRing()
    lost: set[int] = set()
    for bench, (come, dropped, _) in zip(recorders(archive, ring, history, largest), history, strict=True):
        seen = max(ring.oldest - 1, bench.reader.next_seq - 1 if bench.reader.next_seq else 0)
        ring.newest += come
        oldest = min(seen + 1 + dropped, ring.newest)
        lost |= set(range(seen + 1, oldest))
        ring.oldest = max(ring.oldest, oldest)
        bench.record_all()
    found = rows(archive)
    assert [sequence for sequence, _ in found] == [s for s in of_channels(1, ring.newest) if s not in lost]
    for (before, _), (sequence, said) in pairwise([(0, 0), *found]):
        assert said == len(lost & set(range(before + 1, sequence)))


def recorders(
    archive: Archive, ring: SyntheticRing, history: list[tuple[int, int, bool]], largest: int
) -> Iterator[Bench]:
    """The one at work before each step; one that ends is followed by another."""
    bench: Bench | None = None
    for number, (_, _, ends) in enumerate(history):
        if bench is None:
            bench = Bench(archive, ring, later(1 + number), largest=largest, keep_other=False)
            bench.recorder.begin()
        yield bench
        if ends:
            bench.recorder.finish()
            bench = None
    if bench:
        bench.recorder.finish()
