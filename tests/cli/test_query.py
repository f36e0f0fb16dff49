"""`nanotape query` as somebody types it, on an archive of known rows."""

import io
import json
import shutil
import subprocess
from pathlib import Path

import pyarrow as pa
import pyarrow.ipc as ipc
import pyarrow.parquet as pq
import pytest
from command_line import NANOTAPE
from fork_server import fork_server
from simulated_packets import START_NS, Feed, batches

from nanotape.storage import open_archive
from nanotape.storage.archive import Archive
from nanotape.storage.compact import CompactOptions, compact
from nanotape.storage.named_queries import QUERIES, Options, build
from nanotape.storage.schema import packets_schema
from nanotape.storage.segment import Fsync, SegmentIdentity, SegmentWriter


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = Archive.create(tmp_path_factory.mktemp("query") / "archive")
    identity = SegmentIdentity("main", "5" * 32, "box")
    writer = SegmentWriter(found.ring_directory("main"), packets_schema(), identity, 1, START_NS, fsync=Fsync.NEVER)
    for batch in batches(Feed(packets=8000)):
        writer.write(batch)
    writer.close()
    compact(found, CompactOptions(), log=lambda _: None)
    return found.path


def run(*words: object, stdin: str = "") -> tuple[int, bytes, str]:
    status, out, errors = fork_server().run(["query", *map(str, words)], stdin.encode(), 60)
    return status, out, errors.decode()


def test_a_table_is_aligned_and_keeps_nanoseconds(archive: Path) -> None:
    status, out, _ = run(archive, "SELECT min(ts) AS first, count(*) AS packets FROM packets")
    lines = out.decode().splitlines()
    assert status == 0
    assert lines[0].split() == ["first", "packets"]
    assert lines[2].startswith("2026-10-14T17:46:40.0000")
    assert len(lines[2].split()[0]) == len("2026-10-14T17:46:40.000000000Z")


def test_every_format_says_the_same(archive: Path) -> None:
    sql = "SELECT channel, line, count(*) AS packets, max(ts) AS last FROM packets GROUP BY ALL ORDER BY ALL"
    rows = [json.loads(line) for line in run(archive, sql, "--format", "json")[1].splitlines()]
    assert len(rows) == 8
    assert sum(row["packets"] for row in rows) == 8008
    csv = run(archive, sql, "--format", "csv")[1].decode().splitlines()
    assert csv[1] == f'"itch-1","A",{rows[0]["packets"]},"{rows[0]["last"]}"'
    arrow = ipc.open_stream(io.BytesIO(run(archive, sql, "--format", "arrow")[1])).read_all()
    assert arrow.column("packets").to_pylist() == [row["packets"] for row in rows]
    assert arrow.schema.field("last").type == pa.timestamp("ns", "UTC")


def test_a_file_is_written_whole_or_not_at_all(archive: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.parquet"
    assert run(archive, "FROM packets", "--format", "parquet", "-o", target)[0] == 0
    assert pq.read_table(target).num_rows == 8008
    assert pq.read_schema(target).field("ts").type == pa.timestamp("ns", "UTC")
    assert run(archive, "SELECT error('no') FROM packets", "--format", "csv", "-o", tmp_path / "bad.csv")[0] == 2
    assert [path.name for path in tmp_path.iterdir()] == ["out.parquet"]


def test_sql_comes_from_standard_input_too(archive: Path) -> None:
    assert b"8008" in run(archive, stdin="SELECT count(*) FROM packets")[1]
    assert b"8008" in run(archive, "-", stdin="SELECT count(*) FROM packets")[1]
    assert run(archive)[0] == 2


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["SELECT nothing FROM packets"], 2, "SQL: Binder Error"),
        (["SELEC 1 FROM"], 2, "SQL: Parser Error"),
        (["FROM packets", "--format", "xml"], 2, "--format"),
        (["--name", "nothing"], 1, "one of traffic, bursts"),
        (["--name", "traffic", "--interval", "fast"], 1, "a duration such as"),
        (["FROM packets", "--start", "now"], 1, "a moment such as"),
    ],
)
def test_what_is_wrong_is_said_without_a_traceback(archive: Path, words: list[str], status: int, said: str) -> None:
    code, out, error = run(archive, *words)
    assert (code, out) == (status, b"")
    assert said in error
    assert "Traceback" not in error


def test_no_archive_is_one_line(tmp_path: Path) -> None:
    status, _, error = run(tmp_path / "none", "SELECT 1 AS one")
    assert (status, error.count("\n")) == (1, 1)
    assert "an archive directory expected, found nothing" in error


@pytest.mark.parametrize("name", QUERIES)
def test_every_named_query_runs_with_and_without_its_options(archive: Path, name: str) -> None:
    reader = open_archive(archive)
    every = reader.sql(build(name, Options())).to_arrow_table()
    some = Options("itch-1", "itch", "2026-10-14 12:00", "2026-10-15", "America/New_York", "1ms", 3)
    assert reader.sql(build(name, some)).to_arrow_table().schema == every.schema


def test_a_named_query_is_printed_as_sql_that_can_be_run(archive: Path) -> None:
    words = ("--name", "inter-arrival", "--start", "2026-10-14", "--end", "2026-10-15")
    shown = run(archive, *words, "--show")[1].decode()
    assert run(archive, shown)[1] == run(archive, *words)[1] != b""


def test_named_queries_are_right(archive: Path) -> None:
    def rows(*words: str) -> list[dict[str, object]]:
        return [json.loads(line) for line in run(archive, *words, "--format", "json")[1].splitlines()]

    traffic = rows("--name", "traffic", "--interval", "10ms", "--channel", "itch-2")
    assert {row["channel"] for row in traffic} == {"itch-2"}
    assert sum(int(str(row["packets"])) for row in traffic) == 2002
    bursts = rows("--name", "bursts", "--top", "3")
    assert len(bursts) == 3
    assert bursts[0]["packets"] >= bursts[2]["packets"]  # type: ignore[operator]
    talkers = rows("--name", "talkers")
    assert [row["packets"] for row in talkers] == [1001] * 8
    [arrival, *_] = rows("--name", "inter-arrival", "--channel", "itch-1")
    assert arrival["packets"] == 1000
    assert arrival["min_ns"] <= arrival["p50_ns"] <= arrival["p99_ns"] <= arrival["max_ns"]  # type: ignore[operator]


def test_the_list_of_named_queries_is_printed() -> None:
    status, out, _ = run("--list")
    assert status == 0
    assert [line.split()[0] for line in out.decode().splitlines()] == list(QUERIES)


@pytest.mark.parametrize(
    "sql",
    [
        "COPY (SELECT 1) TO '{0}/new.csv'",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '{0}/new.csv'",
        "ATTACH '{0}/new.db' AS other; SELECT 1",
        "SET enable_external_access = true",
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT * FROM glob('{0}/*')",
        "SELECT 1 AS one; SELECT 2 AS two",
        "FROM found",
    ],
)
def test_a_query_reads_nothing_but_the_archive_and_writes_nothing(archive: Path, tmp_path: Path, sql: str) -> None:
    held = {path: path.read_bytes() for path in archive.rglob("*") if path.is_file()}
    status, out, error = run(archive, sql.format(tmp_path))
    assert (status != 0, out) == (True, b"")
    assert error.startswith("nanotape: SQL: ")
    assert "Traceback" not in error
    assert list(tmp_path.iterdir()) == []
    assert held == {path: path.read_bytes() for path in archive.rglob("*") if path.is_file()}


def test_a_query_cannot_overwrite_a_file_that_it_may_read(archive: Path) -> None:
    [file] = archive.rglob("*.parquet")
    held = file.read_bytes()
    status, _, error = run(archive, f"COPY (SELECT 1) TO '{file}' (USE_TMP_FILE false)")
    assert status == 1
    assert "one SELECT expected, found COPY; an archive is only read" in error
    assert file.read_bytes() == held


def test_start_and_end_choose_rows_and_not_only_files(archive: Path) -> None:
    ordered = "SELECT ns(ts) AS ns FROM packets ORDER BY ts"
    stamps = [json.loads(line)["ns"] for line in run(archive, ordered, "--format", "json")[1].splitlines()]
    assert stamps[200] // 10**9 == START_NS // 10**9, "both are in the first second"
    first, last = (f"2026-10-14 17:46:40.{stamps[at] % 10**9:09d}Z" for at in (100, 200))
    some = run(archive, ordered, "--format", "json", "--start", first, "--end", last)[1].splitlines()
    assert [json.loads(line)["ns"] for line in some] == [each for each in stamps if stamps[100] <= each < stamps[200]]


def test_a_damaged_parquet_file_is_no_wrong_sql(archive: Path, tmp_path: Path) -> None:
    copy = tmp_path / "archive"
    shutil.copytree(archive, copy)
    [file] = copy.rglob("*.parquet")
    content = bytearray(file.read_bytes())
    footer = int.from_bytes(content[-8:-4], "little")
    content[-8 - footer : -8] = bytes([255]) * footer
    file.write_bytes(content)
    status, _, error = run(copy, "SELECT max(payload) FROM packets")
    assert (status, error.count("\n")) == (1, 1)
    assert error.startswith("nanotape: query: ")


def test_memory_can_be_bounded(archive: Path) -> None:
    words = ("SELECT * FROM packets ORDER BY payload", "--memory", "64", "--format", "arrow")
    assert ipc.open_stream(io.BytesIO(run(archive, *words)[1])).read_all().num_rows == 8008


def test_a_device_is_written_to_and_never_replaced(archive: Path) -> None:
    done = subprocess.run(
        [*NANOTAPE, "query", archive, "SELECT 1 AS one", "-o", "/dev/null"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert Path("/dev/null").is_char_device()
