"""What the kernel's answers mean, byte for byte; the same asked of the loopback interface of this machine."""

from __future__ import annotations

import ctypes
import errno
import os
import struct

import pytest

from nanotape.capture.host.ethtool import GCHANNELS, GCOALESCE, GPAUSEPARAM, GRINGPARAM, KernelNics
from nanotape.capture.host.facts import Coalescing, Pair
from nanotape.capture.host.root import Unreadable

RINGS = struct.pack("=9I", GRINGPARAM, 8192, 0, 0, 4096, 1024, 0, 0, 512)
COALESCE = struct.pack("=23I", GCOALESCE, 8, 64, *[0] * 7, 1, *[0] * 12)
PAUSE = struct.pack("=4I", GPAUSEPARAM, 1, 1, 0)
CHANNELS = struct.pack("=9I", GCHANNELS, 2, 0, 1, 16, 1, 0, 1, 4)


def answering(answer: bytes) -> KernelNics:
    """A kernel that fills in this answer, where it is asked for what the answer is of."""

    def ioctl(_: int, __: int, request: bytearray) -> int:
        address = struct.unpack("=16sQ16x", request)[1]
        asked = ctypes.string_at(address, 4)
        assert asked == answer[:4]
        ctypes.memmove(address, answer, len(answer))
        return 0

    return KernelNics(ioctl)


def test_each_answer_is_read_by_the_kernels_layout() -> None:
    assert answering(RINGS).rings("eth1") == Pair(1024, 8192)
    assert answering(COALESCE).coalescing("eth1") == Coalescing(True, 8, 64)
    assert answering(PAUSE).pause("eth1") == (True, False)
    assert answering(CHANNELS).queues("eth1") == Pair(5, 18)


@pytest.mark.parametrize(
    ("code", "reason"), [(errno.EOPNOTSUPP, "its driver does not tell"), (errno.ENODEV, "No such device")]
)
def test_what_the_kernel_refuses_is_unreadable_with_its_reason(code: int, reason: str) -> None:
    def ioctl(*_: object) -> int:
        raise OSError(code, os.strerror(code))

    with pytest.raises(Unreadable, match=f"eth1: size of rings: {reason}"):
        KernelNics(ioctl).rings("eth1")


def test_the_loopback_of_this_machine_answers_or_says_why_not() -> None:
    nics = KernelNics()
    assert nics.features("lo")["loopback"] is True
    assert nics.xdp_program("lo") is None
    for ask, reason in ((nics.rings, "size of rings"), (nics.statistics, "counters of its driver")):
        with pytest.raises(Unreadable, match=f"^lo: {reason}: its driver does not tell$"):
            ask("lo")


def test_an_interface_that_is_not_there_is_unreadable() -> None:
    nics = KernelNics()
    for ask in (nics.rings, nics.features, nics.stamps_all, nics.rx_filter, nics.xdp_program):
        with pytest.raises(Unreadable, match="not-there0"):
            ask("not-there0")
