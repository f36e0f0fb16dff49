"""The capabilities of this process: kept for a holder and lent to it alone, or given up.

They belong to threads: settle them before there is a second one. Root's are left alone: what root starts goes over to
accounts of their own.
"""

import contextlib
import ctypes
import os
import sys
from collections.abc import Iterator

from nanotape.capture.errors import PrivilegeUnusable

HOLDER_CAPABILITIES = {"CAP_NET_ADMIN": 12, "CAP_NET_RAW": 13, "CAP_IPC_LOCK": 14, "CAP_PERFMON": 38, "CAP_BPF": 39}
"""What a holder is started with, by name as the kernel numbers them (linux/capability.h); it drops all before it lends.
CAP_PERFMON: without it the verifier refuses a program that looks behind headers of varying length."""

_HOLDER_MASK = sum(1 << number for number in HOLDER_CAPABILITIES.values())
_VERSION_3 = 0x20080522
_PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 38, 47
_AMBIENT_RAISE, _AMBIENT_CLEAR_ALL = 2, 4
_LOW_32 = 0xFFFFFFFF


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Word(ctypes.Structure):
    """Thirty-two capabilities (capget(2)); two words make a thread's."""

    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def keep_for_holder() -> None:
    """Uses none itself, starts nobody with any, and keeps what a holder will need.

    Raises:
        PrivilegeUnusable: The kernel does not let go of them.
    """
    permitted = _permitted()
    if permitted:
        kept = permitted & _HOLDER_MASK
        _forget_ambient()
        _set(effective=0, permitted=kept, inheritable=0)


def give_up() -> None:
    """Keeps none, and gets none by any program's file.

    Raises:
        PrivilegeUnusable: The kernel does not let go of them.
    """
    if _permitted():
        _forget_ambient()
        _set(effective=0, permitted=0, inheritable=0)
        _call(_PR_SET_NO_NEW_PRIVS, 1)


@contextlib.contextmanager
def lent_to_holder() -> Iterator[None]:
    """While it lasts, a process that this thread starts has what was kept; no other thread's has.

    Raises:
        PrivilegeUnusable: The kernel does not pass them on.
    """
    kept = _permitted() & _HOLDER_MASK
    if not kept:
        yield
        return
    try:
        _set(effective=0, permitted=kept, inheritable=kept)
        for number in HOLDER_CAPABILITIES.values():
            if kept >> number & 1:
                _call(_PR_CAP_AMBIENT, _AMBIENT_RAISE, number)
        yield
    finally:
        keep_for_holder()


def _permitted() -> int:
    """What is ours to use or to keep, as bits; none for root, and on a system without capabilities."""
    if sys.platform != "linux" or os.geteuid() == 0:
        return 0
    words = (_Word * 2)()
    if _library().capget(ctypes.byref(_Header(_VERSION_3, 0)), words) != 0:
        raise _refused("capget")
    return int(words[0].permitted) | int(words[1].permitted) << 32


def _set(effective: int, permitted: int, inheritable: int) -> None:
    words = (_Word * 2)()
    for at, word in enumerate(words):
        word.effective, word.permitted, word.inheritable = (
            bits >> 32 * at & _LOW_32 for bits in (effective, permitted, inheritable)
        )
    if _library().capset(ctypes.byref(_Header(_VERSION_3, 0)), words) != 0:
        raise _refused("capset")


def _forget_ambient() -> None:
    _call(_PR_CAP_AMBIENT, _AMBIENT_CLEAR_ALL)


def _call(option: int, first: int, second: int = 0) -> None:
    if _library().prctl(option, *(ctypes.c_ulong(each) for each in (first, second, 0, 0))) != 0:
        raise _refused(f"prctl {option}")


def _library() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _refused(what: str) -> PrivilegeUnusable:
    return PrivilegeUnusable(
        f"capabilities: expected to give up or pass on our own, {what}: {os.strerror(ctypes.get_errno())}; "
        "start nanotape without them, as root, or by its systemd units"
    )
