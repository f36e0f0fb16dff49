"""What the kernel's answers mean, byte for byte; the same asked of the loopback interface of this machine."""

from __future__ import annotations

import ctypes
import errno
import ipaddress
import os
import struct

import pytest

from nanotape.capture.host.ethtool import GCHANNELS, GCOALESCE, GPAUSEPARAM, GRINGPARAM, KernelNics
from nanotape.capture.host.ethtool_flows import GRSSH, GRXCLSRLALL, GRXCLSRLCNT, GRXCLSRULE, GRXFH
from nanotape.capture.host.facts import Coalescing, FlowRule, Pair
from nanotape.capture.host.root import Unreadable

RINGS = struct.pack("=9I", GRINGPARAM, 8192, 0, 0, 4096, 1024, 0, 0, 512)
COALESCE = struct.pack("=23I", GCOALESCE, 8, 64, *[0] * 7, 1, *[0] * 12)
PAUSE = struct.pack("=4I", GPAUSEPARAM, 1, 1, 0)
CHANNELS = struct.pack("=9I", GCHANNELS, 2, 0, 1, 16, 1, 0, 1, 4)


def answering(*answers: bytes) -> KernelNics:
    """A kernel that fills in these answers, one after the other, where it is asked for what each is of."""
    left = list(answers)

    def ioctl(_: int, __: int, request: bytearray) -> int:
        answer = left.pop(0)
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


RSS_SIZES = struct.pack("=5I4x", GRSSH, 0, 4, 8, 1)
RSS = RSS_SIZES + struct.pack("=4I", 0, 2, 0, 2) + bytes(range(8))
HASHED = struct.pack("=IIQ176x", GRXFH, 2, 1 << 4 | 1 << 5)
COUNT = struct.pack("=II176xII", GRXCLSRLCNT, 0, 2, 0)
PLACES = struct.pack("=II176x4I", GRXCLSRLALL, 0, 2, 1000, 5, 0)


def rule(kind: int, match: bytes, mask: bytes, cookie: int, place: int) -> bytes:
    """struct ethtool_rxnfc with one struct ethtool_rx_flow_spec in it."""
    spec = struct.pack("=I52s20x52s20x4xQI4x", kind, match, mask, cookie, place)
    return struct.pack("=IIQ", GRXCLSRULE, 0, 0) + spec + bytes(8)


UDP4 = rule(
    0x02,
    bytes([10, 0, 0, 1, 233, 252, 0, 1]) + struct.pack(">HHB", 9, 5000, 0),
    bytes([0, 0, 0, 0, 255, 255, 255, 0]) + struct.pack(">HHB", 0, 0xFFFF, 0),
    3 << 32 | 2,
    5,
)
UDP6 = rule(
    0x2000_0006,
    bytes(16) + ipaddress.ip_address("ff3e::8000:1").packed + struct.pack(">HHB", 0, 7, 0),
    bytes(16) + b"\xff" * 16 + struct.pack(">HHB", 0, 0, 0),
    (1 << 64) - 1,
    1000,
)


def test_the_table_of_the_hash_is_read_by_the_kernels_layout() -> None:
    assert answering(RSS_SIZES, RSS).spread("eth1") == (0, 2, 0, 2)
    assert answering(HASHED).hash_fields("eth1") == ("source address", "destination address")


def test_flow_rules_are_read_by_the_kernels_layout() -> None:
    four, six = answering(COUNT, PLACES, UDP4, UDP6).flow_rules("eth1")
    assert four == FlowRule(5, 2, 3, False, 4, (0xE9FC0001, 0xFFFFFF00), (5000, 0xFFFF))
    assert (four.takes("233.252.0.77", 5000), four.takes("233.252.1.1", 5000)) == (True, False)
    assert (four.takes("233.252.0.77", 5001), four.takes("ff3e::8000:1", 5000)) == (False, False)
    assert (six.location, six.queue, six.function, six.spreads, six.family) == (1000, None, 0, True, 6)
    assert (six.takes("ff3e::8000:1", 1), six.takes("ff3e::8000:2", 1)) == (True, False)
    none = struct.pack("=II176xII", GRXCLSRLCNT, 0, 0, 0)
    assert answering(none).flow_rules("eth1") == ()


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
    for ask, reason in (
        (nics.rings, "size of rings"),
        (nics.statistics, "counters of its driver"),
        (nics.spread, "RSS table"),
        (nics.hash_fields, "fields that are hashed"),
        (nics.flow_rules, "flow rules"),
    ):
        with pytest.raises(Unreadable, match=f"^lo: {reason}: its driver does not tell$"):
            ask("lo")


def test_an_interface_that_is_not_there_is_unreadable() -> None:
    nics = KernelNics()
    for ask in (nics.rings, nics.features, nics.stamps_all, nics.rx_filter, nics.xdp_program):
        with pytest.raises(Unreadable, match="not-there0"):
            ask("not-there0")
