"""What is kept for last words is there when nothing else is granted, and costs nothing until then."""

import subprocess
import sys

PROGRAM = """
import resource, sys
from pathlib import Path
from nanotape.storage.memory_reserve import RESERVE_BYTES, MemoryReserve

def kib(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key))

resident = kib("VmRSS")
reserve = MemoryReserve()
print((kib("VmRSS") - resident) * 1024 < RESERVE_BYTES // 16)
limit = kib("VmSize") * 1024
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
for _ in range(2):
    try:
        bytearray(RESERVE_BYTES // 2)
        print("granted")
    except MemoryError:
        print("refused")
    reserve.release()
reserve.release()
MemoryReserve(1 << 40).release()
"""


def test_it_can_be_had_again_where_nothing_else_is_granted() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["True", "refused", "granted"]
