"""What a query costs: memory that does not grow with the archive; what it needs beyond goes to temporary files."""

import os
import subprocess
import sys

import pytest
from recorder_bench import recorded
from synthetic import SyntheticRing

from nanotape.storage.archive import Archive
from nanotape.storage.compact import CompactOptions, compact

ROWS = 6_000_000
LIMITED = """
import resource, sys
import duckdb, pyarrow.dataset, pyarrow.parquet
from nanotape.storage import open_archive
from nanotape.storage.named_queries import Options, build
duckdb.connect().execute("SELECT 1")
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (700 << 20),) * 2)
reader, memory = open_archive(sys.argv[1]), int(sys.argv[2])
rows = sum(batch.num_rows for batch in reader.packets(columns=["ts", "payload"]))
arrivals = build("inter-arrival", Options("itch-1"))
[(lines,)] = reader.sql(f"SELECT count(*) FROM ({arrivals})", memory_bytes=memory).fetchall()
ordered = "SELECT payload, header, ring_seq FROM packets ORDER BY payload DESC, header, ring_seq"
last = reader.sql(ordered, memory_bytes=memory).to_arrow_reader(10_000)
print(rows, lines, sum(batch.num_rows for batch in last))
"""


@pytest.mark.slow
def test_an_archive_is_queried_within_700_mib_beyond_the_loaded_program(archive: Archive) -> None:
    recorded(archive, SyntheticRing(newest=ROWS), rotate_bytes=16 << 20)
    compact(archive, CompactOptions(grace_ns=0), log=lambda _: None)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "MALLOC_ARENA_MAX": "2"}
    environment["ARROW_DEFAULT_MEMORY_POOL"] = "system"  # Arrow's own reserves addresses by the gigabyte

    def within(memory_bytes: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", LIMITED, str(archive.path), str(memory_bytes)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert within(1 << 40).returncode != 0, "with all rows at once it is too much"
    limited = within(200 << 20)
    assert (limited.returncode, limited.stdout) == (0, f"{ROWS} 2 {ROWS}\n"), limited.stderr[-2000:]
