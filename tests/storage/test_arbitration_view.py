"""The view `arbitrated` says what arbitration in Python says."""

import random

import duckdb
import pytest
from feed_archive import FeedPacket, write_packets
from recorder_bench import HandClock

from nanotape.storage import open_archive
from nanotape.storage.arbitration import SCHEMA
from nanotape.storage.archive import Archive
from nanotape.storage.compact import CompactOptions, compact
from nanotape.storage.named_queries import Options, build
from nanotape.storage.views import write_sql

NAMES = ", ".join(f"ns(ts) AS {name}" if name == "ts" else name for name in SCHEMA.names)
ORDER = "ORDER BY ts, feed_key, feed_seq"


def traffic(seed: int) -> list[FeedPacket]:
    """Lines that lose, double and delay, in sessions and keys, and begin anew now and then."""
    chance = random.Random(seed)
    packets = []
    for key in (None, "2"):
        for line in "ABC"[: chance.choice([2, 3])]:
            at_ns, lag = 0, chance.randrange(3000)
            for session in ("S1", "S2"):
                for _ in range(chance.choice([1, 2])):
                    seq = 1
                    while seq < 1500:
                        count = chance.choice([1, 1, 2, 5])
                        at_ns = seq * 1000 + (0 if session == "S1" else 10**10)
                        for _ in range(chance.choice([0, 1, 1, 1, 1, 1, 2])):
                            late = chance.choice([0, 0, 0, 0, 2 * 10**9])
                            status = "retransmit" if late else "data"
                            stamp = at_ns + lag + chance.randrange(500) + late
                            packets.append(FeedPacket(stamp, line, seq, count, status, session, key))
                        seq += count
    packets.sort(key=lambda each: each.at_ns)
    return packets


@pytest.mark.parametrize("seed", range(6))
def test_it_has_the_rows_that_python_has(archive: Archive, seed: int) -> None:
    write_packets(archive, traffic(seed), batch_rows=500)
    reader = open_archive(archive.path)
    streamed = reader.arbitrate("itch-1").rows.read_all()
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("CREATE MACRO ns(ts) AS epoch_ns(ts)")
    connection.register("streamed", streamed)
    expected = connection.sql(f"SELECT {NAMES} FROM streamed {ORDER}").fetchall()
    assert len(expected) > 1000
    assert reader.sql(f"SELECT {NAMES} FROM arbitrated {ORDER}", sealed=True).fetchall() == expected


def test_a_sequence_beyond_all_reason_is_none(archive: Archive) -> None:
    packets = [FeedPacket(at, "A", seq, 60_000) for at, seq in enumerate([2**63 - 1, 2**62, -5])]
    write_packets(archive, [*packets, FeedPacket(9, "A", 7), FeedPacket(10, "B", 2**62 - 1, 60_000)])
    reader = open_archive(archive.path)
    assert reader.arbitrate("itch-1").rows.read_all().column("feed_seq").to_pylist() == [7, 2**62 - 1]
    assert sorted(reader.sql("SELECT feed_seq, feed_count FROM arbitrated").fetchall()) == [(7, 1), (2**62 - 1, 60_000)]


def test_lines_that_begin_anew_one_after_the_other_meet_again(archive: Archive) -> None:
    packets = [FeedPacket(seq * 10 + lag, line, seq) for seq in range(1, 2001) for line, lag in (("A", 0), ("B", 500))]
    packets += [
        FeedPacket(20_010 + seq * 10 + lag, line, seq) for seq in range(1, 100) for line, lag in (("A", 0), ("B", 500))
    ]
    packets.sort(key=lambda each: each.at_ns)
    write_packets(archive, packets)
    found = open_archive(archive.path).sql(
        "SELECT restarts, line, other_delay_ns, count(*) FROM arbitrated GROUP BY ALL"
    )
    assert sorted(found.fetchall()) == [(0, "A", 500, 2000), (1, "A", 500, 99)]


def test_a_bare_duckdb_shell_has_it_too(archive: Archive) -> None:
    write_packets(archive, [FeedPacket(1, "A", 1, 3), FeedPacket(4, "B", 1, 2)])
    compact(archive, CompactOptions(grace_ns=0), clock=HandClock(), log=lambda _: None)
    text = write_sql(archive).read_text().replace("read_parquet(['", f"read_parquet(['{archive.path}/")
    connection = duckdb.connect()
    connection.execute(text)
    found = connection.sql("SELECT feed_seq, feed_count, line, other_delay_ns FROM arbitrated ORDER BY feed_seq")
    assert found.fetchall() == [(1, 2, "A", 3), (3, 1, "A", None)]


def test_an_archive_without_packets_has_an_empty_one(archive: Archive) -> None:
    assert open_archive(archive.path).sql("SELECT * FROM arbitrated").fetchall() == []
    assert open_archive(archive.path).sql("SELECT * FROM messages").fetchall() == []
    assert open_archive(archive.path).arbitrate("none").statistics().messages == 0


def test_named_queries_say_what_the_statistics_of_an_arbitration_say(archive: Archive) -> None:
    write_packets(archive, traffic(1), batch_rows=500)
    reader = open_archive(archive.path)
    told = reader.arbitrate("itch-1").statistics()
    lines = reader.sql(build("first-arrivals", Options("itch-1"))).fetchall()
    assert [(each[2], each[3], each[5]) for each in lines] == [
        (each.line, each.first, each.only) for each in told.lines
    ]
    skews = reader.sql(build("skew", Options("itch-1"))).fetchall()
    assert sum(each[4] for each in skews) == told.messages - sum(each.only for each in told.lines)
    assert max(each[-1] for each in skews) == told.skew_max_ns
    missing = (
        reader.sql(build("missing", Options("itch-1"))).to_arrow_table().select(["seq_first", "seq_last", "messages"])
    )
    assert sum(missing.column("messages").to_pylist()) == told.missing > 0
    ranges = sorted((each.seq_first, each.seq_last) for each in told.missing_ranges)
    assert sorted(zip(*missing.to_pydict().values(), strict=True)) == [(a, b, b - a + 1) for a, b in ranges]
    assert reader.sql(build("missing", Options("itch-2"))).fetchall() == []
