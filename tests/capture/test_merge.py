"""Rings merged by stamp: when a row goes out, what is late, what a quiet, dead or removed ring does to the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from frames import ethernet, ipv4, market_data, udp
from merge_rig import MS, Clock, Rig, Script, names_of, row
from ring_batch import Row, ring_batch
from ring_writer import RingWriter, Written

from nanotape.capture.columns import FLAG_BITS, RING_SCHEMA
from nanotape.capture.errors import RingCorrupt, RingReplaced
from nanotape.capture.merge import MERGED_SCHEMA, MergedReader
from nanotape.capture.ring import Ring


@pytest.fixture
def rig() -> Iterator[Rig]:
    """Two rings, `a` and `b`, held for 10 ms."""
    with Rig(2) as made:
        yield made


def test_a_row_goes_out_once_every_other_ring_has_shown_a_later_one(rig: Rig) -> None:
    seen: list[list[str]] = []
    rig.follow(
        lambda: rig.write(0, 10, 30),
        lambda: (seen.append(names_of(rig.out)), rig.write(1, 20, 40)),
        lambda: seen.append(names_of(rig.out)),
    )
    assert seen == [[], ["a1", "b1", "a2"]]  # b2 may still be preceded by what ring a brings
    assert names_of(rig.out) == ["a1", "b1", "a2", "b2"]
    assert rig.merged.late == 0


def test_a_quiet_ring_delays_the_others_by_the_hold_and_no_more(rig: Rig) -> None:
    waited: list[tuple[float, int]] = []

    def look(milliseconds: float) -> Callable[[], None]:
        def act() -> None:
            waited.append((rig.clock.now, len(rig.out)))
            rig.clock.now += milliseconds * MS

        return act

    rig.follow(lambda: rig.write(1, 10, 11, 12), look(9), look(1.5), look(0))
    assert [count for _, count in waited] == [0, 0, 3]
    assert [at for at, _ in waited] == pytest.approx([0, 9 * MS, 10.5 * MS])


def test_rows_of_one_stamp_stand_in_the_order_of_the_rings_and_of_their_sequences(rig: Rig) -> None:
    rig.follow(
        lambda: rig.write(1, 10, 10),
        lambda: rig.write(0, 10, 10),
        lambda: rig.write(0, 11),
        lambda: rig.write(1, 10),  # behind what ring b has shown, but not late: nothing behind it went out
    )
    assert names_of(rig.out) == ["a1", "a2", "b1", "b2", "b3", "a3"]
    assert rig.merged.late == 0


def test_what_comes_after_its_turn_goes_out_at_once_and_is_counted(rig: Rig) -> None:
    seen: list[list[str]] = []
    rig.follow(
        lambda: rig.write(0, 10, 20, 30),
        lambda: rig.pass_time(11),
        lambda: rig.write(1, 5, 15, 31, 25),
        lambda: seen.append(names_of(rig.out)),
    )
    assert seen == [["a1", "a2", "a3", "b1", "b2", "b4"]]
    assert names_of(rig.out) == ["a1", "a2", "a3", "b1", "b2", "b4", "b3"]
    assert (rig.merged.late, rig.merged.late_by_ring) == (3, {"a": 0, "b": 3})


def test_a_row_that_is_late_does_not_wait_for_a_quiet_ring(rig: Rig) -> None:
    seen: list[list[str]] = []
    rig.follow(
        lambda: rig.write(0, 10, 20),
        lambda: rig.pass_time(11),
        lambda: rig.write(0, 15, 30),
        lambda: seen.append(names_of(rig.out)),
    )
    assert seen == [["a1", "a2", "a3"]]
    assert rig.merged.late == 1


def test_a_stop_hands_out_what_is_held(rig: Rig) -> None:
    rig.follow(lambda: rig.write(1, 20, 22), lambda: rig.write(0, 21))
    assert names_of(rig.out) == ["b1", "a1", "b2"]
    assert rig.merged.held == 0


def test_who_leaves_in_the_middle_finds_the_rest_at_the_next_call(rig: Rig) -> None:
    rig.write(0, *range(10))
    rig.write(1, *range(10))
    for batch in rig.merged.batches(max_rows=3, idle=0):
        rig.out += rig.rows(batch)
        break
    assert rig.merged.held == 3  # of two reads of three
    for batch in rig.merged.batches(max_rows=3, idle=0):
        rig.out += rig.rows(batch)
    assert names_of(rig.out) == [f"{ring}{number}" for number in range(1, 11) for ring in "ab"]


def test_idle_ends_it_only_when_no_ring_has_brought_anything_for_so_long(rig: Rig) -> None:
    script = Script(rig, *[lambda: rig.pass_time(5), lambda: rig.write(0, 1), *[lambda: rig.pass_time(6)] * 9])
    out = [each for batch in rig.merged.batches(wait=script, idle=12 * MS) for each in rig.rows(batch)]
    assert (names_of(out), rig.clock.now) == (["a1"], pytest.approx(17 * MS))


def test_each_row_is_what_a_reader_of_its_ring_alone_gives_and_dictionaries_only_grow(rig: Rig) -> None:
    def frame(source: int) -> bytes:
        return ethernet(ipv4(udp(bytes([source])), src=f"10.0.0.{source}", dst=f"239.1.2.{source % 3}"), (0x8100, 5))

    rig.writers[0].write(*(row(at, frame(at % 5), flow_id=at % 3) for at in range(0, 40, 2)))
    rig.writers[1].write(*(row(at, frame(at % 7 + 3), source=1) for at in range(1, 40, 2)))
    rig.writers[1].write(row(50, b"no packet at all, and yet long enough to be captured"))
    dictionary: list[str] = []
    merged: dict[str, list[dict[str, object]]] = {"a": [], "b": []}
    for batch in rig.merged.batches(max_rows=7, idle=0):
        assert batch.schema.equals(MERGED_SCHEMA, check_metadata=True)
        batch.validate(full=True)
        known = batch["src_ip"].dictionary.to_pylist()
        assert known[: len(dictionary)] == dictionary
        assert batch["dst_ip"].dictionary.to_pylist() == known
        dictionary = known
        for entry in entries(batch):
            merged[entry.pop("ring")].append(entry)
    assert len(dictionary) > 7
    for name, ring in zip("ab", rig.rings, strict=True):
        assert merged[name] == [entry for batch in ring.batches("oldest", idle=0) for entry in entries(batch)]


def entries(batch: pa.RecordBatch) -> list[dict[str, object]]:
    """Its rows, with stamps as numbers: a datetime has no nanoseconds."""
    return batch.set_column(1, "ts", batch["ts"].cast(pa.int64())).to_pylist()  # type: ignore[no-any-return]


def test_packets_say_their_ring(rig: Rig) -> None:
    rig.write(1, 3)
    rig.write(0, 4)
    first, second = rig.merged.packets(idle=0)
    assert [(first.ring, first.ring_seq, first.ts), (second.ring, second.ts)] == [("b", 1, 3), ("a", 4)]
    assert first.frame == second.frame == market_data(b"x" * 60)


def test_a_stamp_that_cannot_be_right_stands_with_the_row_before_it(rig: Rig) -> None:
    rig.write(0, 10)
    rig.writers[0].write(row(2**63 - 1, flags=FLAG_BITS["bad_stamp"]))
    rig.write(0, 20)
    rig.write(1, 15, 25)
    assert [each[:2] for each in rig.read_all()] == [("a", 1), ("a", 2), ("b", 1), ("a", 3), ("b", 2)]
    assert rig.merged.late == 0


def test_no_readers_are_refused() -> None:
    with pytest.raises(ValueError, match="expected one at least"):
        MergedReader({})


def test_a_ring_that_is_removed_is_an_error_once_all_rings_are_read(tmp_path: Path) -> None:
    """The other has more than may be held, so that it takes several rounds."""
    clock = Clock()
    writers = [RingWriter.attach(tmp_path, name) for name in "ab"]
    writers[0].write(row(5), row(500))
    writers[1].write(*(row(at) for at in range(100)))
    with Ring.open("a", tmp_path) as first, Ring.open("b", tmp_path) as second:
        readers = {ring.name: ring.reader("oldest") for ring in (first, second)}
        merged = MergedReader(readers, held_rows=30, clock=clock)
        (tmp_path / "a.ring").unlink()
        out: list[tuple[str, int]] = []
        with pytest.raises(RingReplaced, match=r"^a: the ring was removed or made anew; open it again$"):
            out.extend((each.ring, each.ring_seq) for each in merged.packets(wait=clock))
    assert out == [*(("b", at) for at in range(1, 6)), ("a", 1), *(("b", at) for at in range(6, 101)), ("a", 2)]
    assert clock.now < 1
    for writer in writers:
        writer.close()


def test_a_ring_that_is_removed_is_an_error_although_another_brings_something_at_every_look(tmp_path: Path) -> None:
    clock = Clock()
    writers = [RingWriter.attach(tmp_path, name) for name in "ab"]
    writers[0].write(row(5))

    def come_on() -> bool:
        clock.now += MS
        writers[1].write(row(round(clock.now * 1e9)))
        return clock.now > 5

    with Ring.open("a", tmp_path) as first, Ring.open("b", tmp_path) as second:
        merged = MergedReader({ring.name: ring.reader("oldest") for ring in (first, second)}, clock=clock)
        (tmp_path / "a.ring").unlink()
        out: list[tuple[str, int]] = []
        with pytest.raises(RingReplaced, match=r"^a: "):
            out.extend((each.ring, each.ring_seq) for each in merged.packets(wait="spin", stop=come_on))
    assert out == [("a", 1), *(("b", at) for at in range(1, writers[1].next_seq))]
    assert clock.now < 1
    for writer in writers:
        writer.close()


class Failing:
    """A reader of a ring that breaks after one batch."""

    position = lag_bytes = 0

    def __init__(self) -> None:
        self._batches = [ring_batch([Row(market_data(b""), ts_ns=3), Row(market_data(b""), ts_ns=90)])]

    def read(self, _max_rows: int, _max_bytes: int) -> pa.RecordBatch | None:
        if self._batches:
            return self._batches.pop()
        raise RingCorrupt("broken")

    def is_replaced(self) -> bool:
        return False


def test_a_ring_that_breaks_is_an_error_once_all_that_came_before_is_out(rig: Rig) -> None:
    rig.write(0, 1, 2, 4)
    merged = MergedReader({"a": rig.rings[0].reader("oldest"), "broken": Failing()}, clock=rig.clock)
    out: list[tuple[str, int]] = []
    with pytest.raises(RingCorrupt):
        out.extend((packet.ring, packet.ts) for packet in merged.packets(wait=rig.clock))
    assert out == [("a", 1), ("a", 2), ("broken", 3), ("a", 4), ("broken", 90)]


def test_the_merged_schema_is_the_rings_with_one_column_behind() -> None:
    assert MERGED_SCHEMA.names == [*RING_SCHEMA.names, "ring"]


def test_a_ring_that_is_overtaken_keeps_its_losses_in_its_own_rows(rig: Rig) -> None:
    rig.write(0, *range(0, 200, 2))
    written = 0
    while written < 3000:
        rig.writers[1].write(*(Written(market_data(bytes(60)), ts_ns=at) for at in range(written, written + 100)))
        written += 100
    out = rig.read_all()
    sequences, losses = zip(*((seq, lost) for ring, seq, _, lost in out if ring == "b"), strict=True)
    assert losses[0] > 1000
    assert losses[0] + len(sequences) == 3000
    assert set(losses[1:]) == {0}
    assert [lost for ring, _, _, lost in out if ring == "a"] == [0] * 100
