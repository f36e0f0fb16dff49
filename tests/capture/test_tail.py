"""`tail` as a loop over a ring of its own: what it shows, what it tells of losses, how it ends."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from frames import market_data
from hypothesis import given
from hypothesis import strategies as st
from ring_batch import Row, ring_batch
from ring_writer import RingWriter, Written

from nanotape.capture.counters import Flow
from nanotape.capture.errors import RingReplaced
from nanotape.capture.flow_table import FlowTable
from nanotape.capture.packet_filter import BatchFilter, PacketFilter
from nanotape.capture.ring import Ring
from nanotape.capture.tail import Tail, TailTotals

CAPACITY = 64 << 10


class Collected:
    """A sink that keeps what it is shown."""

    def __init__(self) -> None:
        """Of nothing."""
        self.rows: list[tuple[int, int]] = []
        self.ticks = self.finished = 0

    def show(self, batch: pa.RecordBatch) -> None:
        """Ring sequence and what was lost before."""
        self.rows += zip(batch["ring_seq"].to_pylist(), batch["lost_before"].to_pylist(), strict=True)

    def tick(self) -> None:
        """Counts."""
        self.ticks += 1

    def finish(self) -> None:
        """Counts."""
        self.finished += 1


class Table:
    """A flow table."""

    def __init__(self, *flows: Flow) -> None:
        """Of these."""
        self.entries = flows

    def flows(self) -> tuple[Flow, ...]:
        """All."""
        return self.entries


@pytest.fixture
def writer() -> RingWriter:
    return RingWriter.private(CAPACITY)


@pytest.fixture
def ring(writer: RingWriter) -> Iterator[Ring]:
    with Ring(writer.handle) as opened:
        yield opened


def followed(
    ring: Ring,
    wanted: PacketFilter | None = None,
    count: int | None = None,
    when_idle: Callable[[], None] | None = None,
) -> tuple[Collected, TailTotals, list[str]]:
    """What a tail from the oldest on shows, until it has waited once."""
    sink, totals, said, stop = Collected(), TailTotals(), list[str](), threading.Event()

    def nap(_seconds: float) -> None:
        if when_idle and not stop.is_set():
            when_idle()
        stop.set()

    with ring.reader("oldest") as reader:
        chosen = BatchFilter(wanted or PacketFilter(), FlowTable(ring))
        Tail(reader, chosen, sink, said.append, totals, count).run(stop, nap)
    assert sink.finished == 1
    return sink, totals, said


def write(writer: RingWriter, count: int, port: int = 15000, size: int = 100) -> None:
    writer.write(*(Written(market_data(bytes(size), dst_port=port)) for _ in range(count)))


def test_all_is_shown_and_then_it_waits_and_ticks(writer: RingWriter, ring: Ring) -> None:
    write(writer, 5)
    sink, totals, said = followed(ring)
    assert sink.rows == [(number, 0) for number in range(1, 6)]
    assert (totals, said) == (TailTotals(5, 0, 0), [])
    assert sink.ticks == 2


@pytest.mark.parametrize("count", [1, 3, 5])
def test_a_count_ends_it_without_waiting(count: int, writer: RingWriter, ring: Ring) -> None:
    write(writer, 5)
    sink, totals, _ = followed(ring, count=count, when_idle=lambda: pytest.fail("it waited"))
    assert [sequence for sequence, _ in sink.rows] == list(range(1, count + 1))
    assert totals.shown == count


def test_a_count_is_of_what_is_shown(writer: RingWriter, ring: Ring) -> None:
    for _ in range(4):
        write(writer, 2, port=15000)
        write(writer, 1, port=9)
    sink, totals, _ = followed(ring, PacketFilter(ports=frozenset({9})), count=3)
    assert [sequence for sequence, _ in sink.rows] == [3, 6, 9]
    assert totals.shown == 3


def lapped(writer: RingWriter) -> Callable[[], None]:
    """Writes more than the ring holds, unknown port first and last."""

    def go() -> None:
        for number in range(3):
            write(writer, 300, port=9 if number == 1 else 15000, size=200)

    return go


def test_each_loss_is_told_at_once_and_adds_up(writer: RingWriter, ring: Ring) -> None:
    write(writer, 2)
    sink, totals, said, stop = Collected(), TailTotals(), list[str](), threading.Event()
    laps = iter([lapped(writer), lapped(writer), stop.set])
    with ring.reader("oldest") as reader:
        chosen = BatchFilter(PacketFilter(), FlowTable(ring))
        Tail(reader, chosen, sink, said.append, totals).run(stop, lambda _seconds: next(laps)())
        assert (reader.lost, reader.loss_events) == (totals.lost, 2)
    assert totals.lost == sum(lost for _, lost in sink.rows) > 0
    assert totals.shown + totals.lost == writer.next_seq - 1
    losses = [(sequence, lost) for sequence, lost in sink.rows if lost]
    assert said == [
        f"lost {lost:,} packets before ring sequence {sequence}: the ring had moved on" for sequence, lost in losses
    ]


def test_a_loss_before_rows_that_are_left_out_counts_with_the_next_that_is_shown(
    writer: RingWriter, ring: Ring
) -> None:
    lapped(writer)()
    write(writer, 3, port=7)
    sink, totals, said, stop = Collected(), TailTotals(), list[str](), threading.Event()
    chosen = BatchFilter(PacketFilter(ports=frozenset({7})), FlowTable(ring))
    with ring.reader(1) as reader:
        Tail(reader, chosen, sink, said.append, totals).run(stop, lambda _seconds: stop.set())
        assert totals.lost == reader.lost > 0
    assert [lost for _, lost in sink.rows] == [totals.lost, 0, 0]
    assert len(said) == totals.loss_events == 1


@given(
    st.lists(st.tuples(st.sampled_from([0, 0, 1, 7, 2**32 - 1]), st.booleans()), min_size=1, max_size=20),
    st.integers(1, 5),
)
def test_no_loss_is_forgotten_or_told_twice_whatever_is_left_out(rows: list[tuple[int, bool]], batch: int) -> None:
    sink, totals = Collected(), TailTotals()
    chosen = BatchFilter(PacketFilter(ports=frozenset({9})), FlowTable(Table()))
    with Ring(RingWriter.private(CAPACITY).handle) as ring:
        tail = Tail(ring.reader(), chosen, sink, lambda _line: None, totals)
    for at in range(0, len(rows), batch):
        part = rows[at : at + batch]
        tail._take(
            ring_batch(
                [Row(market_data(b"", dst_port=9 if shown else 1), lost_before=lost) for lost, shown in part], at + 1
            )
        )
    last = max((at for at, (_, shown) in enumerate(rows) if shown), default=-1)
    expected, since = [], 0
    for at, (lost, shown) in enumerate(rows[: last + 1]):
        since += lost
        if shown:
            expected.append((at + 1, min(since, 2**32 - 1)))
            since = 0
    assert sink.rows == expected
    assert totals.lost == sum(lost for lost, _ in rows)


def test_a_ring_that_is_removed_is_read_to_its_end_and_then_an_error(tmp_path: Path) -> None:
    written = RingWriter.attach(tmp_path)
    write(written, 3)
    with Ring.open("test", tmp_path) as opened, opened.reader("oldest") as reader:
        (tmp_path / "test.ring").unlink()
        sink, totals = Collected(), TailTotals()
        tail = Tail(reader, BatchFilter(PacketFilter(), FlowTable(opened)), sink, pytest.fail, totals)
        with pytest.raises(RingReplaced, match="removed or made anew"):
            tail.run(lambda: False, lambda _seconds: None)
    assert (totals.shown, sink.finished) == (3, 1)
    written.close()
