"""What an export costs: memory that does not grow with what is exported."""

import os
import subprocess
import sys

import pytest
from recorder_bench import recorded
from synthetic import SyntheticRing

from nanotape.storage.archive import Archive

LIMITED = """
import resource, sys
import duckdb, pyarrow.dataset, pyarrow.parquet
from nanotape.storage import open_archive
from nanotape.storage.export import ExportOptions, export
duckdb.connect().execute("SELECT 1")
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (320 << 20),) * 2)
with open("/dev/null", "wb") as nowhere:
    report = export(open_archive(sys.argv[1]), None, nowhere, ExportOptions(memory_bytes=int(sys.argv[2])))
print(report.packets)
"""


@pytest.mark.slow
def test_ten_million_packets_are_exported_within_320_mib(archive: Archive) -> None:
    recorded(archive, SyntheticRing(newest=10_000_000), rotate_bytes=16 << 20)  # files are mapped: their size counts
    # Arrow's own pool reserves addresses, not memory, by the gigabyte
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "MALLOC_ARENA_MAX": "2"}
    environment["ARROW_DEFAULT_MEMORY_POOL"] = "system"

    def within(memory_bytes: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", LIMITED, str(archive.path), str(memory_bytes)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert within(1 << 40).returncode != 0, "with all rows at once it is too much"
    limited = within(64 << 20)
    assert (limited.returncode, limited.stdout) == (0, "10000000\n"), limited.stderr
