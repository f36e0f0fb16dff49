"""What compaction costs: memory for many rows and long ones, time for many batches; and what it does beside damage."""

import gc
import os
import subprocess
import sys

import pyarrow as pa
import pytest
from simulated_packets import RING_ID as SIMULATED_ID
from simulated_packets import Feed, batches
from test_compact import run, simulated

from nanotape.storage import compact_piece
from nanotape.storage.archive import Archive
from nanotape.storage.schema import packets_schema
from nanotape.storage.segment import SegmentIdentity, SegmentWriter


def test_what_is_whole_beside_a_damaged_segment_still_becomes_one_file(archive: Archive) -> None:
    simulated(archive, 5_000, parts=5)
    segments = archive.segments()
    path = segments[2].path
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    report = run(archive)
    assert len(report.errors) == 1
    assert str(path) in report.errors[0]
    [file] = archive.visible().parquet
    assert file.entry.rows == sum(each.rows for each in segments) - segments[2].rows


def test_very_many_batches_of_few_rows_are_not_looked_at_one_by_one(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    [rows] = list(batches(Feed(packets=4_000)))
    identity = SegmentIdentity("main", SIMULATED_ID, "box")
    writer = SegmentWriter(archive.ring_directory("main"), packets_schema(), identity, 1, 1_795_207_020 * 10**9)
    for first in range(0, rows.num_rows, 4):
        writer.write(rows.slice(first, 4))
    writer.close()
    hashed = []
    add = compact_piece.RowsHash.add

    def noted(rows_hash: compact_piece.RowsHash, some: pa.RecordBatch | pa.Table) -> None:
        hashed.append(some.num_rows)
        add(rows_hash, some)

    monkeypatch.setattr(compact_piece.RowsHash, "add", noted)
    assert run(archive).errors == []
    assert len(hashed) < 10, "a thousand batches were read"
    assert sum(hashed) == 2 * rows.num_rows, "as they are read, and read back"


def test_what_is_given_up_leaves_no_traceback(archive: Archive, capfd: pytest.CaptureFixture[str]) -> None:
    file = compact_piece.TableFile(archive.path / "x.parquet.part", "packets")
    file.write(pa.Table.from_batches(list(batches(Feed(packets=100)))))
    file.abandon()
    del file
    gc.collect()
    assert capfd.readouterr() == ("", "")
    assert list(archive.path.glob("x.*")) == []


LIMITED = """
import resource, sys
import duckdb, pyarrow.parquet
from nanotape.storage.archive import Archive
from nanotape.storage.compact import CompactOptions, compact
duckdb.connect(config={"threads": 1}).execute("SELECT 1")
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (512 << 20),) * 2)
report = compact(Archive(sys.argv[1]), CompactOptions(budget_bytes=int(sys.argv[2])), log=lambda _: None)
assert not report.errors
"""


@pytest.mark.slow
def test_packets_of_three_times_the_memory_there_is_are_compacted(archive: Archive) -> None:
    [rows] = list(batches(Feed(packets=496)))
    count, size = rows.num_rows, 9000
    identity = SegmentIdentity("main", SIMULATED_ID, "box")
    writer = SegmentWriter(archive.ring_directory("main"), packets_schema(), identity, 1, 1_795_207_020 * 10**9)
    for first in range(1, 170_000, count):
        payload = pa.array([b"%09000d" % number for number in range(first, first + count)], pa.binary())
        sequence = pa.array(range(first, first + count), pa.int64())
        for name, column in (("payload", payload), ("ring_seq", sequence)):
            at = rows.schema.get_field_index(name)
            rows = rows.set_column(at, rows.schema.field(at), column)
        writer.write(rows)
    writer.close()
    written = archive.segments()[0].rows
    assert written * size > 3 * (448 << 20)
    # Arrow's own pool reserves addresses, not memory, by the gigabyte
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "MALLOC_ARENA_MAX": "2"}
    environment["ARROW_DEFAULT_MEMORY_POOL"] = "system"

    def within(budget_bytes: int) -> int:
        command = [sys.executable, "-c", LIMITED, str(archive.path), str(budget_bytes)]
        return subprocess.run(command, env=environment, stderr=subprocess.DEVNULL, check=False).returncode

    assert within(1 << 40) != 0, "with all rows at once it is too much"
    assert within(24 << 20) == 0
    assert sum(each.entry.rows for each in archive.visible().parquet) == written
