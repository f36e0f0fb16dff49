"""XDP programs of others: one that passes every frame, and what becomes of ours when somebody meddles with it."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import struct
from collections.abc import Iterator

import namespaces

_BPF, _PROG_LOAD, _TYPE_XDP = 321, 5, 6  # bpf(2), x86-64
_PASS = struct.pack("=BBhiBBhi", 0xB7, 0, 0, 2, 0x95, 0, 0, 0)  # r0 = XDP_PASS; exit


@contextlib.contextmanager
def passing_program() -> Iterator[int]:
    """The id of a loaded program that passes all frames to the kernel."""
    instructions, license_text = ctypes.create_string_buffer(_PASS), ctypes.create_string_buffer(b"GPL")
    attributes = struct.pack(
        "=IIQQIIQII16s",
        _TYPE_XDP,
        2,
        ctypes.addressof(instructions),
        ctypes.addressof(license_text),
        0,
        0,
        0,
        0,
        0,
        b"pass",
    )
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.syscall(_BPF, _PROG_LOAD, ctypes.create_string_buffer(attributes), len(attributes))
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), "BPF_PROG_LOAD")
    try:
        with open(f"/proc/self/fdinfo/{descriptor}", encoding="ascii") as facts:
            yield next(int(line.split()[1]) for line in facts if line.startswith("prog_id"))
    finally:
        os.close(descriptor)


def attached_id(side: namespaces.Side) -> int:
    """Of the program on an interface; 0: none."""
    told = json.loads(side.run("ip", "-d", "-j", "link", "show", "dev", side.interface).stdout)
    return int(told[0].get("xdp", {}).get("prog", {}).get("id", 0))


def detach_ours(side: namespaces.Side, then_attach: int | None = None) -> None:
    """Takes the program of our link off the interface; and puts another one there before anybody has looked."""
    program = attached_id(side)
    links = json.loads(side.run("bpftool", "-j", "link", "show").stdout)
    (link,) = [each["id"] for each in links if each["prog_id"] == program]
    attach = f" && bpftool net attach xdpdrv id {then_attach} dev {side.interface}" if then_attach else ""
    side.run("sh", "-c", f"bpftool link detach id {link}{attach}")


def detach_foreign(side: namespaces.Side) -> None:
    """Takes it off again."""
    side.run("bpftool", "net", "detach", "xdpdrv", "dev", side.interface)
