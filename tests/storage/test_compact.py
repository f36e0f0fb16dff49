"""Rows of the archive are counted before and after; files are taken from it while it is compacted."""

import os
import random
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from recorder_bench import HandClock, later, recorded
from simulated_packets import RING_ID as SIMULATED_ID
from simulated_packets import Feed, batches
from synthetic import SyntheticRing, assert_rows_are_theirs

from nanotape.storage import compact_piece
from nanotape.storage.archive import Archive
from nanotape.storage.compact import CompactOptions, CompactReport, compact
from nanotape.storage.compact_piece import SLICE_NS
from nanotape.storage.errors import ArchiveError, CompactionError
from nanotape.storage.manifest import MANIFEST_NAME, read_manifest
from nanotape.storage.parquet_writing import file_checksum
from nanotape.storage.schema import packets_schema
from nanotape.storage.segment import Fsync, SegmentIdentity, SegmentWriter
from nanotape.storage.table_schemas import TABLES

DAY = "2026-11-20"
NOW = HandClock()


def tomorrow() -> HandClock:
    return later(86_400)


def run(archive: Archive, clock: HandClock = NOW, **options: object) -> CompactReport:
    return compact(archive, CompactOptions(**options), clock=clock, log=lambda _: None)  # type: ignore[arg-type]


def contents(archive: Archive, table: str = "packets") -> list[str]:
    """Every value of every row, in an order of its own."""
    rows = archive.rows(table)
    at = [each for each in rows.column_names if pa.types.is_timestamp(rows.schema.field(each).type)]
    for name in at:
        rows = rows.set_column(rows.column_names.index(name), name, rows.column(name).cast(pa.int64()))
    return sorted(map(str, rows.to_pylist()))


def in_order(archive: Archive) -> pa.Table:
    """The packets as they were captured, whatever their columns' encoding: quicker to compare than `contents`."""
    rows = archive.rows("packets").sort_by("ring_seq")
    for name in rows.column_names:
        kind = rows.schema.field(name).type
        if pa.types.is_dictionary(kind):
            rows = rows.set_column(rows.column_names.index(name), name, rows.column(name).cast(kind.value_type))
    return rows


def keys_of(rows: pa.Table) -> list[tuple[str, int, str, int]]:
    """What packets are sorted by: channel, slice of time, line, stamp."""
    stamps = rows.column("ts").cast(pa.int64()).to_pylist()
    names = (rows.column(name).cast(pa.string()).to_pylist() for name in ("channel", "line"))
    return [(channel, ts // SLICE_NS, line, ts) for channel, line, ts in zip(*names, stamps, strict=True)]


def simulated(archive: Archive, packets: int, first: int = 1, parts: int = 1) -> None:
    """Segments of simulated packets."""
    directory = archive.ring_directory("main")
    held = list(batches(Feed(packets=packets), rows=max(1, packets // parts)))
    for number, batch in enumerate(held):
        identity = SegmentIdentity("main", SIMULATED_ID, "box")
        opened = 1_795_207_020_000_000_000 + number
        first_seq = batch.column("ring_seq")[0].as_py()
        writer = SegmentWriter(directory, packets_schema(), identity, first_seq, opened, fsync=Fsync.NEVER)
        writer.write(batch)
        writer.close()


def test_every_row_of_every_table_is_there_as_before_and_once(archive: Archive) -> None:
    recorded(archive, SyntheticRing(newest=1000), batch_rows=300, rotate_bytes=1)
    recorded(archive, SyntheticRing(oldest=1101, newest=2000), clock=later(), batch_rows=300, rotate_bytes=1)
    before = {table: contents(archive, table) for table in TABLES}
    assert [len(before[table]) > 0 for table in ("packets", "events", "stats", "counters", "channels")] == [True] * 5
    report = run(archive)
    assert report.errors == []
    assert archive.segments() == []
    assert {table: contents(archive, table) for table in TABLES} == before
    assert_rows_are_theirs(archive.table())
    assert len(list(archive.path.glob("segments/demo/*.arrow"))) == 7, "somebody may be reading them"
    assert run(archive, later(601)).freed_bytes > 0
    assert list(archive.path.glob("segments/**/*.arrow*")) == []
    assert {table: contents(archive, table) for table in TABLES} == before
    assert read_manifest(archive.path, "packets", DAY).replaces == ()


def test_a_recorder_goes_on_after_what_is_compacted(archive: Archive) -> None:
    recorded(archive, SyntheticRing(newest=1000))
    run(archive, grace_ns=0)
    second = recorded(archive, SyntheticRing(newest=1500), clock=later())
    assert second.reader.sought == [1001]
    assert sorted(second.sequences()) == list(range(1, 1501))


def test_files_are_sorted_say_what_is_in_them_and_keep_the_schemas_words(archive: Archive) -> None:
    simulated(archive, 20_000, parts=3)
    run(archive)
    [file] = archive.visible().parquet
    assert file.path.parent == archive.path / "packets" / f"date={DAY}" / "itch"
    rows = pq.read_table(file.path)
    keys = keys_of(rows)
    assert keys == sorted(keys)
    entry = file.entry
    assert (entry.rows, entry.bytes) == (rows.num_rows, file.path.stat().st_size)
    assert entry.crc32c == file_checksum(file.path)
    assert (entry.ts_min_ns, entry.ts_max_ns) == (min(key[3] for key in keys), max(key[3] for key in keys))
    assert entry.rings[SIMULATED_ID].last_seq == rows.num_rows
    assert pq.read_schema(file.path).field("ts").metadata[b"unit"] == packets_schema().field("ts").metadata[b"unit"]
    assert pq.read_schema(file.path).metadata[b"nanotape_schema"] == b"1"
    group = pq.ParquetFile(file.path).metadata.row_group(0)
    assert group.column(0).has_column_index
    assert "DELTA_BINARY_PACKED" in group.column(0).encodings


def test_a_row_group_has_about_a_quarter_of_a_million_rows(archive: Archive) -> None:
    recorded(archive, SyntheticRing(newest=300_000))
    run(archive)
    files = [pq.ParquetFile(each.path).metadata for each in archive.visible().parquet]
    groups = [file.row_group(at).num_rows for file in files for at in range(file.num_row_groups)]
    assert max(groups) <= 262_144
    assert sum(groups) == 300_000


def test_what_does_not_fit_into_memory_is_sorted_all_the_same(archive: Archive) -> None:
    simulated(archive, 30_000, parts=7)
    before = contents(archive)
    run(archive, budget_bytes=1 << 20)
    assert contents(archive) == before
    rows = archive.table(["channel", "line", "ts"])
    keys = keys_of(rows)
    assert keys == sorted(keys)
    assert [path.name for path in (archive.path / ".compact").iterdir()] == ["lock"]


def test_small_files_of_a_day_that_is_over_become_one(archive: Archive) -> None:
    for part in range(5):
        recorded(archive, SyntheticRing(newest=1000 * (part + 1)), clock=later(part * 10))
        run(archive)
    assert len(archive.visible().parquet) == 10, "itch and other, five times: the day is not over"
    before = {table: contents(archive, table) for table in TABLES}
    run(archive, tomorrow())
    assert len(archive.visible().parquet) == 2
    assert len(archive.visible("events").parquet) == 1
    assert {table: contents(archive, table) for table in TABLES} == before
    assert run(archive, tomorrow()).days == []


def test_nothing_is_hidden_when_what_was_written_is_not_what_was_read(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded(archive, SyntheticRing(newest=1000))
    before = contents(archive)
    write = compact_piece.TableFile.write

    def wrong(file: compact_piece.TableFile, rows: pa.Table) -> None:
        if "payload" in rows.column_names:
            at = rows.column_names.index("payload")
            swapped = pa.concat_arrays(
                [*rows.column("payload").slice(1).chunks, *rows.column("payload").slice(0, 1).chunks]
            )
            rows = rows.set_column(at, rows.schema.field(at), swapped)
        write(file, rows)

    monkeypatch.setattr(compact_piece.TableFile, "write", wrong)
    report = run(archive)
    assert any("nothing has changed" in error for error in report.errors)
    assert len(archive.segments()) == 1
    assert contents(archive) == before
    assert list(archive.path.glob("packets/**/*.parquet*")) == []


def test_a_damaged_segment_is_left_and_named_and_the_others_go_on(archive: Archive) -> None:
    recorded(archive, SyntheticRing(newest=1000))
    recorded(archive, SyntheticRing(name="other", ring_id="77" * 16, newest=500))
    path = archive.segments("demo")[0].path
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    report = run(archive)
    assert any(str(path) in error for error in report.errors)
    assert [each.ring for each in archive.segments()] == ["demo"]
    held = [each.entry.rings["77" * 16].rows for each in archive.visible().parquet]
    assert sum(held) == 500


def test_only_one_compaction_is_at_work(archive: Archive) -> None:
    recorded(archive, SyntheticRing(newest=10))

    def again(_done: int, _total: int) -> None:
        with pytest.raises(CompactionError, match=f"already compacted by process {os.getpid()}"):
            run(archive)

    compact(archive, CompactOptions(), clock=NOW, log=lambda _: None, progress=again)


def test_an_input_that_is_deleted_meanwhile_is_given_up(archive: Archive) -> None:
    recorded(archive, SyntheticRing(newest=1000))
    [facts] = archive.segments()
    compact(
        archive, CompactOptions(), clock=NOW, log=lambda _: None, progress=lambda *_: facts.path.unlink(missing_ok=True)
    )
    assert len(archive.table()) == 0
    assert list(archive.path.glob("packets/**/*.parquet*")) == []


def test_a_damaged_parquet_file_is_refused_and_never_read_wrong(archive: Archive) -> None:
    simulated(archive, 5_000)
    run(archive)
    [file] = archive.visible().parquet
    whole = file.path.read_bytes()
    before = contents(archive)
    chance = random.Random(7)
    refused = 0
    for _ in range(60):
        damaged = bytearray(whole)
        damaged[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        file.path.write_bytes(damaged)
        try:
            same = contents(archive) == before
        except ArchiveError as error:
            refused += str(file.path) in str(error)
            continue
        assert same, "what no page checksum covers, such as statistics, is not read here"
    assert refused > 40


def test_a_manifest_that_is_none_is_one_clear_line(archive: Archive) -> None:
    recorded(archive, SyntheticRing(newest=10))
    run(archive)
    (archive.path / "packets" / f"date={DAY}" / MANIFEST_NAME).write_text("{}")
    with pytest.raises(ArchiveError, match="a manifest of version 1 expected"):
        archive.table()


KILLED = """
import sys
from nanotape.storage.archive import Archive
from nanotape.storage.compact import CompactOptions, compact
print("begin", flush=True)
compact(Archive(sys.argv[1]), CompactOptions(date=sys.argv[2], grace_ns=0, budget_bytes=1 << 20), log=lambda _: None)
print("end", flush=True)
"""


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_a_compactor_killed_at_random_instants_loses_nothing_and_doubles_nothing(kills: int, archive: Archive) -> None:
    chance = random.Random(20261128)
    simulated(archive, 20_000, parts=4)
    before = in_order(archive)
    assert before.num_rows > 20_000
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    ends = 0
    for _ in range(kills):
        command = [sys.executable, "-c", KILLED, str(archive.path), DAY]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"begin\n"
            try:
                process.wait(chance.uniform(0.02, 0.9))
            except subprocess.TimeoutExpired:
                process.kill()
            ends += process.wait() == 0
        assert in_order(archive).equals(before)
    run(archive, grace_ns=0, date=DAY)
    assert in_order(archive).equals(before)
    assert list(archive.path.glob("**/*.part")) == []
    assert archive.segments() == []
    assert len(list(archive.path.glob("packets/**/*.parquet"))) == len(archive.visible().parquet)
