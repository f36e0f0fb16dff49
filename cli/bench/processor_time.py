"""CPU time of processes that we started, to the microsecond where they have ended."""

import os
import resource
from pathlib import Path

_USER, _SYSTEM = 11, 12  # after the closing parenthesis of /proc/PID/stat, proc(5), counted from 0


def ended_children_s() -> float:
    """Of all children of this process that have ended and were waited for, user and system."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def of_process_s(pid: int) -> float:
    """Of one that still runs, all its threads and the children that it has waited for, user and system.

    Raises:
        OSError: It has gone.
    """
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    return sum(int(field) for field in fields[_USER : _SYSTEM + 3]) / os.sysconf("SC_CLK_TCK")
