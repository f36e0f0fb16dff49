"""Processes: whether one that shared memory names lives, ending with one's parent, giving way. Never signals any."""

import contextlib
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


def session_gives_way(nice: int) -> None:
    """Has the session that we lead come after others, as a process of niceness `nice` comes after those of its session.

    Where the kernel shares a core out among sessions first (autogroup), niceness says nothing to another session, and
    each process of a service has one of its own. Call it as root still: a change of user closes the file to us.
    """
    if os.getsid(0) != os.getpid():
        return  # somebody's shell is in it too
    with contextlib.suppress(OSError):  # a kernel that knows of no such groups
        Path("/proc/self/autogroup").write_text(str(nice), encoding="utf-8")


def _prctl(option: int, value: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
