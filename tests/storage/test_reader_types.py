"""What columns and stamps of an archive are to each library that reads them: the traps that docs/query.md names.

A trap that goes away fails its test: the page and the macros can then be simpler.
"""

import csv
import importlib.util
import warnings
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv
import pyarrow.parquet as pq
import pytest
from recorder_bench import Bench, HandClock, later, recorded
from synthetic import FIRST_TS, SyntheticRing

from nanotape.storage import ArchiveReader, open_archive
from nanotape.storage.archive import Archive
from nanotape.storage.compact import CompactOptions, compact
from nanotape.storage.schema import TIMESTAMP
from nanotape.storage.table_schemas import TABLES

ROWS = 300
Make = Callable[[Archive], object]


def nothing(archive: Archive) -> None:
    """An archive without a row."""


def segment(archive: Archive) -> None:
    recorded(archive, SyntheticRing(newest=ROWS))


def parquet(archive: Archive) -> None:
    segment(archive)
    compact(archive, CompactOptions(grace_ns=0), clock=HandClock(), log=lambda _: None)


def live(archive: Archive) -> Bench:
    bench = Bench(archive, SyntheticRing(newest=ROWS), batch_rows=100)
    bench.recorder.begin()
    bench.record_all()
    return bench


@pytest.fixture
def reader(archive: Archive) -> ArchiveReader:
    """Rows 1 to 300 in Parquet files, 301 to 600 in a segment."""
    parquet(archive)
    recorded(archive, SyntheticRing(newest=2 * ROWS), clock=later())
    return open_archive(archive.path)


def described(archive: Archive) -> dict[str, list[tuple[str, str]]]:
    connection = open_archive(archive.path).connect()
    return {
        table: [(name, kind) for name, kind, *_ in connection.sql(f"DESCRIBE {table}").fetchall()] for table in TABLES
    }


@pytest.mark.parametrize("make", [nothing, segment, live])
def test_columns_have_the_same_types_wherever_the_rows_are(archive: Archive, make: Make) -> None:
    made = make(archive)
    other = Archive.create(archive.path.with_name("other"))
    parquet(other)
    assert described(archive) == described(other)
    assert open_archive(archive.path).dataset().schema.equals(open_archive(other.path).dataset().schema)
    assert open_archive(archive.path).to_polars().collect_schema() == (
        open_archive(other.path).to_polars().collect_schema()
    )
    del made


def test_stamps_are_of_nanoseconds_with_a_zone_in_duckdb(reader: ArchiveReader) -> None:
    kinds = dict(described(reader.archives[0])["packets"])
    assert {kinds[name] for name in ("ts", "ts_switch", "ts_send")} == {"TIMESTAMPTZ_NS"}
    connection = reader.connect()
    assert connection.execute("SELECT current_setting('TimeZone')").fetchall() == [("UTC",)]


def test_fetchall_ends_at_microseconds_or_needs_pytz_and_ns_does_not(reader: ArchiveReader) -> None:
    stamp = reader.sql("SELECT ts FROM packets WHERE ring_seq = 7")
    if importlib.util.find_spec("pytz"):
        rounded = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=(FIRST_TS + 7) // 1000)
        assert stamp.fetchall() == [(rounded,)]
    else:
        with pytest.raises(duckdb.InvalidInputException, match="pytz"):
            stamp.fetchall()
    assert reader.sql("SELECT ns(ts) FROM packets WHERE ring_seq = 7").fetchall() == [(FIRST_TS + 7,)]
    assert stamp.to_arrow_table().column(0).cast(pa.int64()).to_pylist() == [FIRST_TS + 7]


@pytest.mark.parametrize("kind", ["TIMESTAMPTZ", "TIMESTAMP_MS", "TIMESTAMP_S"])
def test_a_cast_to_a_coarser_stamp_rounds_silently(reader: ArchiveReader, kind: str) -> None:
    answer = reader.sql(f"SELECT epoch_ns(ts::{kind}) FROM packets WHERE ring_seq = 7").fetchall()
    assert answer == [((FIRST_TS + 7) // 1000 * 1000,)]


@pytest.mark.parametrize("trap", ["ts::TIMESTAMP", "ts + INTERVAL 1 second", "extract('hour' FROM ts)", "epoch_us(ts)"])
def test_what_duckdb_does_not_have_for_such_stamps_it_refuses(reader: ArchiveReader, trap: str) -> None:
    with pytest.raises(duckdb.Error):
        reader.sql(f"SELECT {trap} FROM packets").to_arrow_table()


def test_text_of_a_stamp_and_the_stamp_of_a_text_are_exact(reader: ArchiveReader) -> None:
    texts = "SELECT ts::VARCHAR, strftime(ts, '%H:%M:%S.%n') FROM packets WHERE ring_seq = 7"
    assert reader.sql(texts).fetchall() == [("2026-10-14 17:46:40.000000008+00", "17:46:40.000000008")]
    assert reader.sql("SELECT bool_and(ts::VARCHAR::TIMESTAMPTZ_NS = ts) FROM packets").fetchall() == [(True,)]


def test_a_median_of_nanoseconds_is_a_rounded_float_and_a_discrete_quantile_is_not(reader: ArchiveReader) -> None:
    [(median, middle)] = reader.sql("SELECT median(ns(ts)), quantile_disc(ns(ts), 0.5) FROM packets").fetchall()
    assert isinstance(median, float)
    assert middle == FIRST_TS + ROWS


def test_a_bound_datetime_cannot_be_compared_with_a_stamp_and_a_bound_number_can(reader: ArchiveReader) -> None:
    connection = reader.connect()
    moment = datetime(2026, 10, 14, tzinfo=UTC)
    with pytest.raises(duckdb.Error):
        connection.execute("SELECT count(*) FROM packets WHERE ts > ?", [moment]).fetchall()
    counted = "SELECT count(*) FROM packets WHERE ts >= instant(?)"
    assert connection.execute(counted, [FIRST_TS + 11]).fetchall() == [(2 * ROWS - 10,)]


def test_a_literal_is_compared_to_the_nanosecond(reader: ArchiveReader) -> None:
    for literal in ("2026-10-14 17:46:40.000000011Z", "2026-10-14 13:46:40.000000011-04:00"):
        assert reader.sql(f"SELECT ring_seq FROM packets WHERE ts = '{literal}'").fetchall() == [(10,)]


def test_a_relation_keeps_its_connection_and_can_be_run_again(reader: ArchiveReader) -> None:
    relation = reader.sql("SELECT max(ts) AS ts FROM packets")
    first, second = relation.to_arrow_table(), relation.to_arrow_table()
    assert first.schema.field("ts").type == TIMESTAMP
    assert first.equals(second)
    assert first.column(0).cast(pa.int64()).to_pylist() == [FIRST_TS + 2 * ROWS]


def test_a_relation_becomes_a_polars_frame_with_every_nanosecond(reader: ArchiveReader) -> None:
    frame = reader.sql("SELECT ts FROM packets ORDER BY ts").pl()
    assert frame.schema["ts"] == pl.Datetime("ns", "UTC")
    assert frame["ts"].dt.epoch("ns").to_list() == [FIRST_TS + sequence for sequence in range(1, 2 * ROWS + 1)]


def test_pyarrow_gives_no_datetime_of_a_stamp_that_it_would_have_to_round(reader: ArchiveReader) -> None:
    column = reader.packets(columns=["ts"]).read_all().column("ts")
    assert column.cast(pa.int64())[0].as_py() == column[0].value
    try:
        import pandas  # noqa: F401 # with it a Timestamp is given, which has nanoseconds
    except ImportError:
        with pytest.raises(ValueError, match="not safely convertible to microseconds"):
            column.to_pylist()


def test_pyarrow_compares_and_subtracts_to_the_nanosecond(reader: ArchiveReader) -> None:
    rows = reader.packets(columns=["ts", "ring_seq"]).read_all().sort_by("ts")
    assert pc.subtract(rows["ts"][-1], rows["ts"][0]).value == 2 * ROWS - 1
    wanted = pc.field("ts") == pa.scalar(FIRST_TS + 9, pa.int64()).cast(TIMESTAMP)
    assert reader.dataset().to_table(["ring_seq"], filter=wanted).column(0).to_pylist() == [9]


def test_polars_filters_and_subtracts_to_the_nanosecond(reader: ArchiveReader) -> None:
    frame = reader.to_polars().select("ts", "ring_seq")
    wanted = pl.col("ts") == pl.lit(FIRST_TS + 9, pl.Int64).cast(pl.Datetime("ns", "UTC"))
    assert frame.filter(wanted).collect()["ring_seq"].to_list() == [9]
    spread = frame.select((pl.col("ts").max() - pl.col("ts").min()).dt.total_nanoseconds()).collect().item()
    assert spread == 2 * ROWS - 1


def test_a_moment_of_python_ends_at_microseconds_in_a_filter_of_polars(reader: ArchiveReader) -> None:
    """So a bound that must be exact goes to `to_polars(start=, end=)`."""
    first = datetime(2026, 10, 14, 17, 46, 40, tzinfo=UTC)
    assert reader.to_polars().filter(pl.col("ts") >= first).collect().height == 2 * ROWS
    assert reader.to_polars(start=FIRST_TS + 2, end=FIRST_TS + 5).collect().height == 3


def test_pandas_has_datetime64_of_nanoseconds_with_the_zone(reader: ArchiveReader) -> None:
    pytest.importorskip("pandas", reason="pandas is not installed")
    frame = reader.sql("SELECT ts FROM packets ORDER BY ts").to_arrow_table().to_pandas()
    assert str(frame["ts"].dtype) == "datetime64[ns, UTC]"
    assert frame["ts"].astype("int64").tolist() == [FIRST_TS + sequence for sequence in range(1, 2 * ROWS + 1)]


def test_the_parquet_files_say_nanoseconds_and_utc_themselves(reader: ArchiveReader) -> None:
    """Spark reads them with spark.sql.legacy.parquet.nanosAsLong=true, as numbers."""
    [*files] = reader.archives[0].visible().parquet
    assert files
    for file in files:
        column = pq.ParquetFile(file.path).schema.column(0)
        assert (column.name, column.physical_type) == ("ts", "INT64")
        assert "isAdjustedToUTC=true, timeUnit=nanoseconds" in str(column.logical_type)


def test_csv_of_pyarrow_keeps_all_nine_digits(reader: ArchiveReader, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("csv") / "out.csv"
    pcsv.write_csv(reader.packets(columns=["ts"], start=FIRST_TS + 1, end=FIRST_TS + 2).read_all(), path)
    with path.open() as file:
        [_, [text]] = csv.reader(file)
    assert text == "2026-10-14 17:46:40.000000002Z"


def test_nothing_of_this_warns(reader: ArchiveReader) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert reader.to_polars().select(pl.len()).collect().item() == 2 * ROWS
        assert reader.dataset().count_rows() == 2 * ROWS
