"""What arbitration costs: memory that does not grow with the time that it covers."""

import os
import subprocess
import sys

import pytest
from feed_archive import write_many
from recorder_bench import HandClock

from nanotape.storage.archive import Archive
from nanotape.storage.compact import CompactOptions, compact

PACKETS = 6_000_000
LIMITED = """
import resource, sys
import pyarrow.dataset, pyarrow.parquet
from nanotape.storage import arbitrate, open_archive
reader = open_archive(sys.argv[1])
arbitrate(reader, "none").statistics()
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (400 << 20),) * 2)
found = arbitrate(reader, "itch-1", wait_ns=int(sys.argv[2])).statistics()
print(found.messages, found.skew_max_ns, found.missing)
"""


@pytest.mark.slow
def test_a_long_time_is_arbitrated_within_400_mib_beyond_the_loaded_program(archive: Archive) -> None:
    for part in range(0, PACKETS, 500_000):
        write_many(archive, 500_000, 20_000, 7_000, part + 1)
        if part == PACKETS // 2:
            compact(archive, CompactOptions(grace_ns=0), clock=HandClock(), log=lambda _: None)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "MALLOC_ARENA_MAX": "2"}
    environment["ARROW_DEFAULT_MEMORY_POOL"] = "system"  # Arrow's own reserves addresses by the gigabyte

    def within(wait_ns: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", LIMITED, str(archive.path), str(wait_ns)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert within(10**15).returncode != 0, "whoever waits for ever holds all packets"
    limited = within(10**9)
    assert (limited.returncode, limited.stdout) == (0, f"{PACKETS // 2 * 3} 7000 0\n"), limited.stderr[-2000:]
