"""Memory of a recorder beside the ring that it maps: anonymous pages, looked at again and again while it records."""

import contextlib
import statistics
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_LOOK_S = 0.1
_SLOPE_LEAST_S = 10.0
_KIB = 1024


@dataclass(slots=True)
class Memory:
    """What was seen."""

    looks: list[tuple[float, int]] = field(default_factory=list)
    """Seconds since the start, bytes."""

    @property
    def peak_mib(self) -> float | None:
        """None: it was never seen."""
        return max(size for _, size in self.looks) / _KIB**2 if self.looks else None

    @property
    def growth_mib_a_minute(self) -> float | None:
        """Slope over the second half, when it has its working set; None for less than ten seconds of that."""
        half = self.looks[len(self.looks) // 2 :]
        if not half or half[-1][0] - half[0][0] < _SLOPE_LEAST_S:
            return None
        slope = statistics.linear_regression([at for at, _ in half], [size for _, size in half]).slope
        return slope * 60 / _KIB**2


@contextlib.contextmanager
def watched(pid: int, into: Memory) -> Iterator[None]:
    """Looks at a process from a thread, until the end."""
    stop = threading.Event()
    thread = threading.Thread(target=_look, args=(pid, into, stop), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _look(pid: int, into: Memory, stop: threading.Event) -> None:
    began = time.monotonic()
    while not stop.wait(_LOOK_S):
        size = anonymous_bytes(pid)
        if size is None:
            return
        into.looks.append((time.monotonic() - began, size))


def anonymous_bytes(pid: int) -> int | None:
    """Resident anonymous memory; None: the process has gone. The ring is shared memory, and not in it."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    for line in status.splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * _KIB
    return None
