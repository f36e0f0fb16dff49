"""Runs a command as on a Linux of the 2.6 kind that cannot link BPF programs: `python old_kernel.py COMMAND...`.

uname says 2.6 (the kernel's own UNAME26 personality), bpf(BPF_LINK_CREATE) answers EINVAL as it did before 5.7.
"""

import ctypes
import errno
import os
import sys

UNAME26 = 0x0020000
BPF_LINK_CREATE = 28
ALLOW, ERRNO = 0x7FFF0000, 0x00050000
EQUAL = 4


class Comparison(ctypes.Structure):
    """struct scmp_arg_cmp of libseccomp."""

    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("value", ctypes.c_uint64),
        ("unused", ctypes.c_uint64),
    )


def forbid_links() -> None:
    """For this process and what it starts."""
    seccomp = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    seccomp.seccomp_init.restype = ctypes.c_void_p
    seccomp.seccomp_init.argtypes = (ctypes.c_uint32,)
    seccomp.seccomp_load.argtypes = (ctypes.c_void_p,)
    rule = (ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.POINTER(Comparison))
    seccomp.seccomp_rule_add_array.argtypes = rule
    filters = seccomp.seccomp_init(ALLOW)
    bpf = seccomp.seccomp_syscall_resolve_name(b"bpf")
    link = Comparison(0, EQUAL, BPF_LINK_CREATE, 0)
    assert seccomp.seccomp_rule_add_array(filters, ERRNO | errno.EINVAL, bpf, 1, ctypes.byref(link)) == 0
    assert seccomp.seccomp_load(filters) == 0


if __name__ == "__main__":
    assert ctypes.CDLL(None, use_errno=True).personality(UNAME26) >= 0
    forbid_links()
    os.execvp(sys.argv[1], sys.argv[1:])
