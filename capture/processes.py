"""Processes: whether one that shared memory names still lives, and ending with one's parent. Never signals any."""

import ctypes
import os
import signal
from pathlib import Path


def is_alive(pid: int) -> bool:
    """True while process `pid` runs; a zombie, which can no longer write anything, does not."""
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # another user's: alive
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return True  # hidden from us (hidepid)
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")


_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38


def end_with_parent(parent: int) -> None:
    """Has the kernel send us SIGTERM when `parent` ends; call it after a change of user, which undoes it."""
    _prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))
    if os.getppid() != parent:  # it ended before we asked
        raise SystemExit(0)


def renounce_new_privilege() -> None:
    """No program that we start from now on gains privilege by its file."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def _prctl(option: int, value: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
