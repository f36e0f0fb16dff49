import os
import shutil
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from recorder_bench import Bench, HandClock, later, recorded
from synthetic import FIRST_TS, RING_ID, SyntheticRing

from nanotape.storage import open_archive
from nanotape.storage.archive import Archive
from nanotape.storage.compact import CompactOptions, compact
from nanotape.storage.errors import ArchiveError, QueryError
from nanotape.storage.instants import instant_ns
from nanotape.storage.schema import TIMESTAMP
from nanotape.storage.table_schemas import TABLES, table_schema
from nanotape.storage.views import write_sql

DAY = "2026-11-20"


@pytest.fixture
def mixed(archive: Archive) -> Archive:
    """1 to 1000 in Parquet files, 1001 to 1300 in a segment, 1301 to 1500 live."""
    recorded(archive, SyntheticRing(newest=1000))
    compact(archive, CompactOptions(grace_ns=0), clock=HandClock(), log=lambda _: None)
    recorded(archive, SyntheticRing(newest=1300), clock=later())
    live = Bench(archive, SyntheticRing(newest=1500), batch_rows=100, clock=later(20))
    live.recorder.begin()
    live.record_all()
    archive.bench = live  # type: ignore[attr-defined] # keeps it from being collected
    return archive


def test_every_way_of_reading_shows_parquet_segments_and_live_rows_each_row_once(mixed: Archive) -> None:
    reader = open_archive(mixed.path)
    everything = list(range(1, 1501))
    assert sorted(reader.dataset().to_table(columns=["ring_seq"]).column(0).to_pylist()) == everything
    assert sorted(reader.packets(columns=["ring_seq"]).read_all().column(0).to_pylist()) == everything
    assert sorted(row[0] for row in reader.sql("SELECT ring_seq FROM packets").fetchall()) == everything
    assert reader.to_polars().select(pl.col("ring_seq").sort()).collect()["ring_seq"].to_list() == everything
    assert reader.dataset(live=False).count_rows() == 1300
    for table in TABLES:
        assert reader.dataset(table).schema.equals(table_schema(table))
        assert len(reader.dataset(table).to_table()) == len(mixed.rows(table))


def test_it_grows_while_it_is_read(mixed: Archive) -> None:
    reader = open_archive(mixed.path)
    assert reader.sql("SELECT count(*) FROM packets").fetchall() == [(1500,)]
    bench: Bench = mixed.bench  # type: ignore[attr-defined]
    bench.ring.newest = 1600
    bench.record_all()
    assert reader.sql("SELECT count(*) FROM packets").fetchall() == [(1600,)]
    assert reader.dataset().count_rows() == 1600


def test_live_rows_can_be_read_several_times_by_one_query_and_in_part(mixed: Archive) -> None:
    connection = open_archive(mixed.path).connect()
    twice = "SELECT count(*) FROM packets a JOIN packets b USING (ring_seq) WHERE ring_seq > 1300"
    assert connection.sql(twice).fetchall() == [(200,)]
    assert len(connection.sql("SELECT payload FROM packets WHERE ring_seq > 1400 LIMIT 3").fetchall()) == 3
    assert connection.sql(twice).fetchall() == [(200,)]


def test_an_empty_archive_answers_every_question_with_nothing(archive: Archive) -> None:
    reader = open_archive(archive.path)
    assert reader.dataset().count_rows() == 0
    assert reader.packets().read_all().num_rows == 0
    for table in TABLES:
        assert reader.sql(f"SELECT * FROM {table}").fetchall() == []
    assert reader.events().num_rows == reader.stats().num_rows == reader.clock().num_rows == 0
    assert reader.to_polars().collect().height == 0


def test_archives_of_several_hosts_open_as_one(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        recorded(Archive.create(tmp_path / name / "archive"), SyntheticRing(host=name, newest=10))
    for path in (str(tmp_path / "*" / "archive"), [tmp_path / "one/archive", tmp_path / "two/archive"]):
        reader = open_archive(path)
        assert reader.sql("SELECT host, count(*) FROM packets GROUP BY 1 ORDER BY 1").fetchall() == [
            ("one", 10),
            ("two", 10),
        ]
    with pytest.raises(ArchiveError, match="an archive directory expected, found nothing"):
        open_archive(str(tmp_path / "three" / "*"))


def at(sequence: int) -> int:
    return sequence + FIRST_TS


def test_packets_are_chosen_by_names_and_moments_in_every_notation(mixed: Archive) -> None:
    reader = open_archive(mixed.path)

    def chosen(**what: object) -> list[int]:
        return sorted(reader.packets(columns=["ring_seq"], **what).read_all().column(0).to_pylist())  # type: ignore[arg-type]

    assert chosen(start=at(999), end=at(1302)) == [999, 1000, 1001, *range(1002, 1302)]
    text = "2026-10-14 17:46:40.000001000"  # nanosecond 999 after FIRST_TS
    assert chosen(start=text, end=at(1003)) == [999, 1000, 1001, 1002]
    assert chosen(start="2026-10-14 13:46:40.000001", tz="America/New_York", end=at(1002)) == [999, 1000, 1001]
    assert chosen(start=datetime(2026, 10, 14, 17, 46, 40, 1, tzinfo=UTC), end=at(1001)) == [999, 1000]
    assert chosen(start=datetime(2026, 10, 14, 13, 46, 40, 1), tz="America/New_York", end=at(1000)) == [999]
    assert len(chosen(channel="itch-1", line="A")) == 500
    assert len(chosen(line=["A", "B"], feed="itch")) == 1000
    assert chosen(channel="none") == []
    assert len(chosen(date=DAY)) == 1500
    assert chosen(date="2026-11-21") == []
    assert reader.packets(columns=["line", "ts"], start=at(5), end=at(6)).schema.names == ["line", "ts"]


@pytest.mark.parametrize(
    ("value", "tz", "said"),
    [
        ("yesterday", None, "a moment such as"),
        ("2026-02-30", None, "no calendar"),
        ("2026-03-08 02:30", "America/New_York", "found one that it had never"),
        ("2026-11-01 01:30", "America/New_York", "found one that it had twice"),
        ("2026-11-01 01:30", "Mars/Olympus", "time zone 'Mars/Olympus'"),
        (1.5, None, "nanoseconds, a text or a datetime expected"),
    ],
)
def test_what_is_no_moment_is_refused_in_one_line(value: object, tz: str | None, said: str) -> None:
    with pytest.raises(QueryError, match=said):
        instant_ns(value, tz)  # type: ignore[arg-type]


def test_moments_are_exact() -> None:
    assert instant_ns("1970-01-01T00:00:00.000000001Z") == 1
    assert instant_ns("2026-11-20 09:30-05:00") == instant_ns("2026-11-20 14:30Z") == instant_ns("2026-11-20 14:30")
    assert instant_ns(date(2026, 11, 20)) == instant_ns(DAY) == instant_ns(DAY, "UTC")
    assert instant_ns(datetime(2026, 11, 20, 9, 30, 0, 123456, ZoneInfo("America/New_York"))) % 10**9 == 123_456_000
    assert instant_ns("1969-12-31 23:59:59.999999999") == -1


def test_events_stats_counters_and_channels_come_as_tables(mixed: Archive) -> None:
    reader = open_archive(mixed.path)
    assert set(reader.events(kind="restart").column("kind").to_pylist()) == {"restart"}
    assert sum(reader.stats(channel="itch-1").column("packets").to_pylist()) > 0
    assert reader.counters().num_rows > 0
    assert reader.channels(line="B").column("channel").to_pylist() == ["itch-1"]
    with pytest.raises(QueryError, match="line: a column of counters expected"):
        reader.counters(line="A")


def test_stamps_keep_every_nanosecond_and_their_zone_through_arrow_duckdb_and_polars(mixed: Archive) -> None:
    reader = open_archive(mixed.path)
    expected = [at(sequence) for sequence in range(1, 1501)]

    def exact(column: pa.ChunkedArray) -> None:
        assert column.type == TIMESTAMP
        assert sorted(column.cast(pa.int64()).to_pylist()) == expected

    exact(reader.dataset().to_table(columns=["ts"]).column(0))
    exact(reader.packets(columns=["ts"]).read_all().column(0))
    exact(reader.sql("SELECT ts FROM packets").to_arrow_table().column(0))
    frame = reader.to_polars().select("ts").collect()
    assert frame.schema["ts"] == pl.Datetime("ns", "UTC")
    assert sorted(frame["ts"].dt.epoch("ns").to_list()) == expected
    assert sorted(row[0] for row in reader.sql("SELECT ns(ts) FROM packets").fetchall()) == expected


def test_stamps_keep_every_nanosecond_and_their_zone_through_pandas(mixed: Archive) -> None:
    pytest.importorskip("pandas", reason="pandas is not installed")
    frame = open_archive(mixed.path).packets(columns=["ts"]).read_pandas()
    assert str(frame["ts"].dtype) == "datetime64[ns, UTC]"
    assert sorted(frame["ts"].astype("int64").tolist()) == [at(sequence) for sequence in range(1, 1501)]


@pytest.mark.parametrize(
    "trap",
    [
        "ts - ts",
        "max(ts) - min(ts)",
        "time_bucket(INTERVAL '1 second', ts)",
        "date_trunc('second', ts)",
        "bool_or(ts > now())",
    ],
)
def test_what_duckdb_does_not_do_with_such_stamps_it_refuses_and_does_not_round(mixed: Archive, trap: str) -> None:
    """As long as it does: docs/query.md says so."""
    with pytest.raises(duckdb.BinderException):
        open_archive(mixed.path).sql(f"SELECT {trap} FROM packets")


def test_macros_do_it_to_the_nanosecond(mixed: Archive) -> None:
    reader = open_archive(mixed.path)
    assert reader.sql("SELECT max(ns(ts)) - min(ns(ts)) FROM packets").fetchall() == [(1499,)]
    assert reader.sql("SELECT ns(bucket(ts, 1000)), count(*) FROM packets GROUP BY 1 ORDER BY 1").fetchall() == [
        (FIRST_TS - 1, 998), (FIRST_TS + 999, 502)
    ]  # fmt: skip
    between = "between_utc(ts, '2026-10-14 17:46:40.000000005', '2026-10-14 17:46:40.000000008')"
    assert reader.sql(f"SELECT ring_seq FROM packets WHERE {between} ORDER BY 1").fetchall() == [(4,), (5,), (6,)]
    assert reader.sql("SELECT count(*) FROM packets WHERE ts < utc_now() AND ts < utc_ago(-3600)").fetchall() == [
        (1500,)
    ]
    assert reader.sql(f"SELECT ring_seq FROM packets WHERE ts = instant({at(7)})").fetchall() == [(7,)]
    assert reader.sql("SELECT ns(bucket(instant(-1), 1000))").fetchall() == [(-1000,)]
    assert reader.sql(
        "SELECT any_value(diff_ns(ts, ts)), any_value(send_delay_ns(ts, ts_send)) FROM packets"
    ).fetchall() == [(0, None)]
    zoned = reader.sql("SELECT ts FROM packets WHERE ts = '2026-10-14 17:46:40.000000003+00'").to_arrow_table()
    assert zoned.column(0).cast(pa.int64()).to_pylist() == [at(2)]


def test_flags_are_shown_as_booleans(mixed: Archive) -> None:
    [row] = open_archive(mixed.path).sql("SELECT any_value(truncated), any_value(bad_stamp) FROM packets").fetchall()
    assert row == (False, False)


def test_a_filter_on_the_stamp_opens_no_other_file(archive: Archive) -> None:
    """The others are not even there any more."""
    for part in range(5):
        recorded(archive, SyntheticRing(newest=1000 * (part + 1)), clock=later(part * 10))
        compact(archive, CompactOptions(grace_ns=0), clock=later(part * 10), log=lambda _: None)
    reader = open_archive(archive.path)
    files = archive.visible().parquet
    assert len(files) == 10
    for file in files:
        if file.entry.rings[RING_ID].first_seq // 1000 != 2:
            file.path.unlink()
    wanted = {"start": at(2001), "end": at(3001)}
    assert reader.packets(columns=["ring_seq"], **wanted).read_all().num_rows == 1000  # type: ignore[arg-type]
    assert reader.sql("SELECT count(*) FROM packets", **wanted).fetchall() == [(1000,)]  # type: ignore[arg-type]
    bounds = (pc.field("ts") >= pa.scalar(at(2001), pa.int64()).cast(TIMESTAMP)) & (
        pc.field("ts") < pa.scalar(at(3001), pa.int64()).cast(TIMESTAMP)
    )
    assert reader.dataset().count_rows(filter=bounds) == 1000
    frame = reader.to_polars(**wanted).select(pl.len()).collect()  # type: ignore[arg-type]
    assert frame.item() == 1000


def test_a_filter_on_the_stamp_in_sql_reads_no_row_group_of_another_file(archive: Archive) -> None:
    """DuckDB opens the footers of all files, and no page of those that cannot have a wanted row."""
    for part in range(3):
        recorded(archive, SyntheticRing(newest=1000 * (part + 1)), clock=later(part * 10))
        compact(archive, CompactOptions(grace_ns=0), clock=later(part * 10), log=lambda _: None)
    for file in archive.visible().parquet:
        if file.entry.rings[RING_ID].first_seq // 1000 == 1:
            continue
        content = bytearray(file.path.read_bytes())
        footer = int.from_bytes(content[-8:-4], "little") + 8
        content[4:-footer] = bytes(len(content) - footer - 4)  # all pages are noughts
        file.path.write_bytes(content)
    reader = open_archive(archive.path)
    wanted = f"ts >= instant({at(1001)}) AND ts < '2026-10-14 17:46:40.000001999+00'"
    assert reader.sql(f"SELECT count(*), sum(ring_seq) FROM packets WHERE {wanted}").fetchall()[0][0] == 997
    with pytest.raises(duckdb.Error):
        reader.sql("SELECT sum(ring_seq) FROM packets").fetchall()


def test_a_bare_duckdb_reads_the_archive_by_its_sql_file(mixed: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    text = write_sql(mixed).read_text()
    monkeypatch.chdir(mixed.path)
    connection = duckdb.connect()
    connection.execute(text)
    assert connection.sql("SELECT count(*), max(ns(ts)) FROM packets").fetchall() == [(1000, at(1000))]
    assert connection.sql("SELECT count(*) FROM clock").fetchall() == [(0,)]
    for table in TABLES:
        names = connection.sql(f"SELECT * FROM {table}").columns
        assert names[: len(table_schema(table).names)] == table_schema(table).names
    assert os.fspath(mixed.path) not in text, "it can be moved"
    moved = mixed.path.parent / "moved"
    shutil.copytree(mixed.path, moved)
    monkeypatch.chdir(moved)
    assert duckdb.connect().execute(text).execute("SELECT count(*) FROM packets").fetchall() == [(1000,)]


def test_a_damaged_segment_is_refused_whatever_reads_it(mixed: Archive) -> None:
    [facts] = [each for each in mixed.segments() if each.complete]
    content = bytearray(facts.path.read_bytes())
    content[len(content) // 2] ^= 1
    facts.path.write_bytes(content)
    reader = open_archive(mixed.path)
    for read in (reader.dataset, lambda: reader.sql("FROM packets"), lambda: reader.packets().read_all()):
        with pytest.raises(ArchiveError, match=f"{facts.path}: damaged at offset"):
            read()
