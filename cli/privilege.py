"""What each verb keeps of the capabilities that it was started with, settled before its libraries start threads."""

import os
from collections.abc import Sequence
from pathlib import Path

_START_HOLDERS = frozenset({"run", "capture"})
_MAY_NEED_SOME = frozenset({"discover", "replay", "relay", "demo", "bench", "simulate", "clock", "doctor", "jitter"})
"""Open sockets, interfaces or clocks themselves, or start a service within."""


def settle_privilege(words: Sequence[str]) -> None:
    """Gives up what the verb does not need; readers of rings and archives keep none.

    Args:
        words: Of the command line, after the program's name.

    Raises:
        PrivilegeUnusable: The kernel does not let go of them.
    """
    if not _has_any():
        return  # nor is the capture package loaded for whoever asks an archive
    try:
        from nanotape.capture.privilege import give_up, keep_for_holder
    except ModuleNotFoundError:
        return  # a tree that reads archives alone: nothing in it is ever given any
    verb = next((word for word in words if not word.startswith("-")), "")
    if verb in _START_HOLDERS:
        keep_for_holder()
    elif verb not in _MAY_NEED_SOME:
        give_up()


def _has_any(status: Path = Path("/proc/self/status")) -> bool:
    """Whether this process may use or keep a capability; root's are left alone. Where that cannot be read: perhaps."""
    if os.geteuid() == 0:
        return False
    try:
        permitted = next(line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("CapPrm:"))
    except (OSError, StopIteration):
        return True
    return int(permitted.partition(":")[2], 16) != 0
