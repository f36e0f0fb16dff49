"""Runs a command as a systemd unit confines it: its SystemCallFilter, RestrictAddressFamilies, MemoryDenyWriteExecute.

As a script: unit_sandbox.py UNIT COMMAND... The filter is what systemd would load: sets are spelled out by
`systemd-analyze syscall-filter`, everything else is refused with EPERM. For filters that list what is allowed.
"""

from __future__ import annotations

import ctypes
import errno
import os
import pathlib
import socket
import subprocess
import sys

ALLOW, ERRNO = 0x7FFF0000, 0x00050000
SCMP_CMP_EQ = 4
NO_SUCH_CALL = -1
PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN = 65, 1


class Comparison(ctypes.Structure):
    """struct scmp_arg_cmp of libseccomp."""

    _fields_ = (("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64))


def values(unit: str, key: str) -> list[str]:
    """What a unit's text says of a key, in order."""
    return [line.partition("=")[2] for line in unit.splitlines() if line.startswith(f"{key}=")]


def calls(name: str) -> set[str]:
    """The system calls of a set (`@system-service`), or one."""
    if not name.startswith("@"):
        return {name}
    command = ["systemd-analyze", "syscall-filter", "--no-pager", name]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[1:]
    words = [line.strip() for line in said if line.startswith("    ") and not line.strip().startswith("#")]
    return set[str]().union(*(calls(word) for word in words))


def allowed(unit: str) -> set[str]:
    """System calls that a unit's processes may make."""
    found = calls("@default")
    for line in values(unit, "SystemCallFilter"):
        chosen = set[str]().union(*(calls(word) for word in line.removeprefix("~").split()))
        found = found - chosen if line.startswith("~") else found | chosen
    return found


def confine(unit: str) -> None:
    """From now on, for us and whom we start."""
    library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_rule_add_array.argtypes = [
        ctypes.c_void_p,
        ctypes.c_uint32,
        ctypes.c_int,
        ctypes.c_uint,
        ctypes.POINTER(Comparison),
    ]
    library.seccomp_load.argtypes = [ctypes.c_void_p]
    context = library.seccomp_init(ERRNO | errno.EPERM)
    families = " ".join(values(unit, "RestrictAddressFamilies")).split()
    for name in sorted(allowed(unit)):
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number == NO_SUCH_CALL or number < 0:
            continue  # of another architecture
        if name == "socket" and families:
            for family in families:
                only = Comparison(0, SCMP_CMP_EQ, getattr(socket, family, 44), 0)  # AF_XDP: Python does not name it
                assert library.seccomp_rule_add_array(context, ALLOW, number, 1, ctypes.byref(only)) == 0
        else:
            assert library.seccomp_rule_add_array(context, ALLOW, number, 0, None) == 0, name
    if values(unit, "MemoryDenyWriteExecute") == ["yes"]:
        ctypes.CDLL(None).prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0)  # before Linux 6.3 it is not there
    assert library.seccomp_load(context) == 0


if __name__ == "__main__":
    confine(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))
    os.execvp(sys.argv[2], sys.argv[2:])
