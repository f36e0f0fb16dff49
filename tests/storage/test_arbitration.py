"""Arbitration against a model that looks at each sequence alone."""

from collections import defaultdict

import pyarrow as pa
import pytest
from feed_archive import BEGIN_NS, FeedPacket, write_packets
from hypothesis import given, settings
from hypothesis import strategies as st
from recorder_bench import HandClock

from nanotape.storage import open_archive
from nanotape.storage.arbitration import SCHEMA, WAIT_NS
from nanotape.storage.archive import Archive
from nanotape.storage.compact import CompactOptions, compact
from nanotape.storage.errors import QueryError

Answer = dict[tuple[str | None, str | None, int], tuple[str, int, int | None]]
"""(session, key, sequence): line that was first, its stamp, and the delay of another."""
A, B = "A", "B"


def model(packets: list[FeedPacket], wait_ns: int = WAIT_NS) -> Answer:
    """Each sequence alone, without restarts."""
    came: dict[tuple[str | None, str | None, int], list[tuple[int, int, str]]] = defaultdict(list)
    for place, packet in enumerate(packets):
        if packet.seq is not None and packet.status in ("data", "reset", "retransmit"):
            for seq in range(packet.seq, packet.seq + (packet.count or 0)):
                came[packet.session, packet.key, seq].append((packet.at_ns, place, packet.line))
    answer = {}
    for name, copies in came.items():
        at_ns, _, line = min(copies)
        others = [at - at_ns for at, _, other in copies if other != line and at - at_ns <= wait_ns]
        answer[name] = (line, at_ns, min(others, default=None))
    return answer


def answered(archive: Archive, **chosen: object) -> Answer:
    """What arbitration says, a sequence a row; no sequence is there twice."""
    answer: Answer = {}
    before = None
    for row in open_archive(archive.path).arbitrate("itch-1", **chosen).rows.read_all().cast(_numbers()).to_pylist():
        assert before is None or row["ts"] >= before
        before = row["ts"]
        for seq in range(row["feed_seq"], row["feed_seq"] + row["feed_count"]):
            name = (row["feed_session"], row["feed_key"], seq)
            assert name not in answer
            answer[name] = (row["line"], row["ts"] - BEGIN_NS, row["other_delay_ns"])
    return answer


def _numbers() -> pa.Schema:
    return pa.schema([pa.field(each.name, pa.int64() if each.name == "ts" else each.type) for each in SCHEMA])


def compacted(archive: Archive) -> None:
    compact(archive, CompactOptions(grace_ns=0), clock=HandClock(), log=lambda _: None)


def test_a_sequence_is_there_once_from_the_line_that_brought_it_first(archive: Archive) -> None:
    packets = [FeedPacket(10, A, 1), FeedPacket(15, B, 1), FeedPacket(20, B, 2), FeedPacket(27, A, 2)]
    write_packets(archive, packets)
    found = open_archive(archive.path).arbitrate("itch-1").rows.read_all()
    assert found.schema.equals(SCHEMA)
    assert found.column("line").to_pylist() == ["A", "B"]
    assert found.column("feed_seq").to_pylist() == [1, 2]
    assert found.column("other_delay_ns").to_pylist() == [5, 7]
    assert found.column("other_line").to_pylist() == ["B", "A"]
    assert found.column("ring_seq").to_pylist() == [1, 3]


def test_lines_that_pack_the_same_messages_differently_meet_message_by_message(archive: Archive) -> None:
    packets = [FeedPacket(10, A, 1, 3), FeedPacket(12, B, 1, 2), FeedPacket(19, B, 3, 1)]
    write_packets(archive, packets)
    found = open_archive(archive.path).arbitrate("itch-1").rows.read_all()
    assert found.column("feed_seq").to_pylist() == [1, 3]
    assert found.column("feed_count").to_pylist() == [2, 1]
    assert found.column("other_delay_ns").to_pylist() == [2, 9]


def test_a_packet_that_was_partly_there_gives_only_what_is_new_of_it(archive: Archive) -> None:
    write_packets(archive, [FeedPacket(10, A, 3, 1), FeedPacket(12, B, 1, 5)])
    found = open_archive(archive.path).arbitrate("itch-1").rows.read_all()
    rows = zip(*(found.column(name).to_pylist() for name in ("feed_seq", "feed_count", "line")), strict=True)
    assert sorted(rows) == [(1, 2, "B"), (3, 1, "A"), (4, 2, "B")]


def test_a_retransmission_fills_and_is_no_second_copy(archive: Archive) -> None:
    packets = [
        FeedPacket(10, A, 1), FeedPacket(11, B, 1), FeedPacket(30, A, 3), FeedPacket(31, B, 3),
        FeedPacket(3 * WAIT_NS, A, 2, status="retransmit"), FeedPacket(9 * WAIT_NS, A, 1, 2, status="retransmit"),
    ]  # fmt: skip
    write_packets(archive, packets)
    answer = answered(archive)
    assert answer == model(packets)
    assert answer["S1", None, 2] == (A, 3 * WAIT_NS, None)


def test_what_carries_no_sequence_is_left_out(archive: Archive) -> None:
    packets = [
        FeedPacket(1, A, 1), FeedPacket(2, A, 2, 0, "heartbeat"), FeedPacket(3, A, None, None, None),
        FeedPacket(4, A, 1, 1, "snapshot"), FeedPacket(5, A, 0, 1, "unsequenced"), FeedPacket(6, A, None, None, "bad"),
    ]  # fmt: skip
    write_packets(archive, packets)
    assert answered(archive) == {("S1", None, 1): (A, 1, None)}


def test_sequences_that_begin_anew_are_other_ones_and_the_lines_meet_again(archive: Archive) -> None:
    packets = [FeedPacket(seq * 10 + lag, line, seq) for seq in range(1, 2001) for line, lag in ((A, 0), (B, 500))]
    # A begins anew before B has brought the last fifty
    packets += [
        FeedPacket(20_010 + seq * 10 + lag, line, seq) for seq in range(1, 100) for line, lag in ((A, 0), (B, 500))
    ]
    packets.sort(key=lambda each: each.at_ns)
    write_packets(archive, packets)
    arbitration = open_archive(archive.path).arbitrate("itch-1")
    found = arbitration.rows.read_all()
    assert found.column("restarts").to_pylist() == [0] * 2000 + [1] * 99
    assert set(found.column("line").to_pylist()) == {"A"}
    assert found.column("other_delay_ns").to_pylist() == [500] * 2099
    assert arbitration.statistics().missing == 0


def test_a_line_that_was_away_while_sequences_began_anew_catches_up(archive: Archive) -> None:
    packets = [FeedPacket(seq * 10, A, seq) for seq in range(1, 2001)]
    packets += [FeedPacket(seq * 10 + 3, B, seq) for seq in range(1, 1500)]
    packets += [FeedPacket(30_000 + seq * 10, A, seq) for seq in range(1, 1801)]
    packets += [FeedPacket(60_000 + seq * 10, A, seq) for seq in range(1, 101)]
    packets += [FeedPacket(60_000 + seq * 10 + 3, B, seq) for seq in range(1, 101)]
    packets.sort(key=lambda each: each.at_ns)
    write_packets(archive, packets)
    found = open_archive(archive.path).arbitrate("itch-1").rows.read_all()
    restarts = found.column("restarts").to_pylist()
    assert restarts == [0] * 2000 + [1] * 1800 + [2] * 100
    assert found.column("other_delay_ns").to_pylist() == [3] * 1499 + [None] * 2301 + [3] * 100


def test_a_clock_that_is_set_back_begins_nothing_anew(archive: Archive) -> None:
    packets = [
        FeedPacket(at * 1_000_000 - (5 * WAIT_NS if at >= 3000 else 0) + lag, line, 1 + at * 100, 100)
        for at in range(6000)
        for line, lag in ((A, 0), (B, 7))
    ]
    write_packets(archive, packets, batch_rows=100)
    arbitration = open_archive(archive.path).arbitrate("itch-1")
    found = arbitration.rows.read_all()
    assert set(found.column("restarts").to_pylist()) == {0}
    assert sum(found.column("feed_count").to_pylist()) == 600_000
    assert set(found.column("other_delay_ns").to_pylist()) == {7}
    assert arbitration.statistics().missing == 0


def test_a_copy_later_than_the_wait_never_came_and_comes_not_again(archive: Archive) -> None:
    packets = [FeedPacket(0, A, 1), FeedPacket(100, B, 1), FeedPacket(101, A, 2), FeedPacket(102, B, 2)]
    write_packets(archive, packets)
    assert answered(archive, wait_ns=99) == model(packets, 99)
    assert answered(archive, wait_ns=100)["S1", None, 1] == (A, 0, 100)


def test_statistics_say_who_was_first_what_is_alone_and_what_is_missing(archive: Archive) -> None:
    packets = [FeedPacket(seq * 1000, A, seq) for seq in range(1, 101) if seq not in (7, 50, 51)]
    packets += [
        FeedPacket(seq * 1000 + (-3 if seq > 90 else seq), B, seq) for seq in range(1, 101) if seq not in (8, 50, 51)
    ]
    packets.sort(key=lambda each: each.at_ns)
    write_packets(archive, packets)
    told = open_archive(archive.path).arbitrate("itch-1").statistics()
    assert told.messages == 98
    by_line = {each.line: (each.first, each.only) for each in told.lines}
    assert by_line == {"A": (87, 1), "B": (11, 1)}
    assert [round(each.share, 3) for each in told.lines] == [round(87 / 98, 3), round(11 / 98, 3)]
    skews = sorted([3] * 10 + [seq for seq in range(1, 91) if seq not in (7, 8, 50, 51)])
    assert told.skew_p50_ns == skews[len(skews) // 2 - 1]
    assert told.skew_max_ns == 90
    assert told.missing == 2
    assert [(each.seq_first, each.seq_last, each.feed_session) for each in told.missing_ranges] == [(50, 51, "S1")]


def test_three_lines_tell_the_next_one(archive: Archive) -> None:
    write_packets(archive, [FeedPacket(1, "C", 1), FeedPacket(4, A, 1), FeedPacket(6, B, 1)])
    found = open_archive(archive.path).arbitrate("itch-1").rows.read_all()
    assert found.column("line").to_pylist() == ["C"]
    assert found.column("other_line").to_pylist() == ["A"]
    assert found.column("other_delay_ns").to_pylist() == [3]


def test_segments_parquet_and_many_files_give_the_same(archive: Archive) -> None:
    packets = [
        FeedPacket(seq * 700_000 + lag, line, seq) for seq in range(1, 400) for line, lag in ((A, 0), (B, 90_000_000))
    ]
    packets.sort(key=lambda each: each.at_ns)
    packets += [FeedPacket(each.at_ns, each.line, each.seq, channel="itch-2") for each in packets]
    half = len(packets) // 2
    following = write_packets(archive, packets[:half])
    compacted(archive)
    following = write_packets(archive, packets[half : half + 300], following)
    compacted(archive)
    write_packets(archive, packets[half + 300 :], following, batch_rows=37)
    assert answered(archive) == model([each for each in packets if each.channel == "itch-1"])


def test_a_wrong_wait_is_refused(archive: Archive) -> None:
    with pytest.raises(QueryError, match="wait_ns"):
        open_archive(archive.path).arbitrate("itch-1", wait_ns=-1)


@st.composite
def traffic(draw: st.DrawFn) -> list[FeedPacket]:
    """Two or three lines of one feed, each with its own packets, losses, order, duplicates and lag."""
    packets = []
    for line in draw(st.sampled_from(["AB", "ABC"])):
        seq, lag, last = 1, draw(st.integers(0, 40)), draw(st.integers(5, 60))
        while seq < last:
            count = draw(st.integers(1, 5))
            copies = draw(st.sampled_from([0, 1, 1, 1, 2]))
            stamps = [seq * 10 + lag + draw(st.integers(0, 30)) for _ in range(copies)]
            packets += [FeedPacket(at_ns, line, seq, count) for at_ns in stamps]
            seq += count
    return sorted(packets, key=lambda each: each.at_ns)


@settings(max_examples=30, deadline=None)
@given(packets=traffic(), wait_ns=st.sampled_from([0, 15, WAIT_NS]))
def test_whatever_lines_do_each_sequence_is_as_the_model_has_it(
    packets: list[FeedPacket], wait_ns: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    if packets:
        archive = Archive.create(tmp_path_factory.mktemp("arbitration") / "archive")
        write_packets(archive, packets, batch_rows=7)
        assert answered(archive, wait_ns=wait_ns) == model(packets, wait_ns)
