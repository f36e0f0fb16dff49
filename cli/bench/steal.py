"""What the hypervisor took of this machine while something was measured: figures without it cannot be trusted."""

import os
import time
from pathlib import Path
from typing import Self

_STAT = Path("/proc/stat")
_STEAL_FIELD = 8  # of the line `cpu`, proc(5); the first is its name


def steal_seconds(stat: str) -> float:
    """CPU time taken from all cores together since the start, by the text of /proc/stat."""
    fields = stat.partition("\n")[0].split()
    return int(fields[_STEAL_FIELD]) / os.sysconf("SC_CLK_TCK") if len(fields) > _STEAL_FIELD else 0.0


class Steal:
    """Use it in a `with` around what is measured; then it says what was stolen meanwhile, from the whole machine."""

    share = 0.0
    """Of the wall time times the cores."""
    stolen_s = 0.0
    """CPU seconds, all cores together; the kernel counts them in hundredths."""
    wall_s = 0.0

    def __enter__(self) -> Self:
        """Begins."""
        self._stolen, self._began = steal_seconds(_STAT.read_text(encoding="ascii")), time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        """Ends."""
        self.wall_s = time.monotonic() - self._began
        self.stolen_s = max(0.0, steal_seconds(_STAT.read_text(encoding="ascii")) - self._stolen)
        self.share = self.stolen_s / (self.wall_s * (os.cpu_count() or 1)) if self.wall_s else 0.0
