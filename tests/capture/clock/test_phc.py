"""A NIC's clock. There is none on the machines of the tests: answers are laid out as the kernel's headers have them."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanotape.capture.clock.phc import (
    ETHTOOL_GET_TS_INFO,
    PTP_SYS_OFFSET,
    PTP_SYS_OFFSET_EXTENDED,
    READINGS,
    SIOCETHTOOL,
    Phc,
    best_reading,
    stamp_ability,
)
from nanotape.capture.errors import PhcUnusable

NOW_NS = 1_795_867_200 * 10**9


class Driver:
    """Answers as a driver behind /dev/ptp0 does: each reading a microsecond long, one of them 200 ns."""

    def __init__(self, ahead_ns: int, refuses: Sequence[int] = (), code: int = errno.EOPNOTSUPP) -> None:
        """A clock so far ahead of the system's; requests that it refuses, and how."""
        self.ahead_ns, self.refuses, self.code = ahead_ns, refuses, code
        self.asked: list[int] = []

    def ioctl(self, descriptor: int, request: int, buffer: bytearray) -> int:
        """As fcntl.ioctl."""
        self.asked.append(request)
        if request in self.refuses:
            raise OSError(self.code, os.strerror(self.code))
        assert struct.unpack_from("=IIII", buffer) == (READINGS, 0, 0, 0)
        times: list[int] = []
        at = NOW_NS
        for number in range(READINGS):
            long = 200 if number == 4 else 1000
            if request == PTP_SYS_OFFSET_EXTENDED:
                times += [at, at + long // 2 + self.ahead_ns, at + long]
                at += 5000
            else:
                times += [at, at + long // 2 + self.ahead_ns]
                at += long
        if request == PTP_SYS_OFFSET:
            times.append(at)
        sizes = {PTP_SYS_OFFSET_EXTENDED: 0x4C0, PTP_SYS_OFFSET: 0x340}
        assert len(buffer) == sizes[request]
        for number, time_ns in enumerate(times):
            struct.pack_into("=qII", buffer, 16 + 16 * number, time_ns // 10**9, time_ns % 10**9, 0xFFFFFFFF)
        return 0


def phc(folder: Path, driver: Driver) -> Phc:
    """Of a driver; its device is an empty file."""
    (folder / "ptp0").touch()
    return Phc("ptp0", driver.ioctl, folder)


@pytest.mark.parametrize("ahead_ns", [0, 37 * 10**9 + 123, -3, -1_795_867_200 * 10**9])
def test_the_quickest_reading_is_taken_and_bounds_itself(tmp_path: Path, ahead_ns: int) -> None:
    clock = phc(tmp_path, Driver(ahead_ns))
    read = clock.compare()
    assert (read.phc_sys_ns, read.uncertainty_ns) == (ahead_ns, 100)
    assert read.at_ns == NOW_NS + 4 * 5000 + 100
    assert read.method == "PTP_SYS_OFFSET_EXTENDED"
    clock.close()


@pytest.mark.parametrize("code", [errno.EOPNOTSUPP, errno.ENOTTY, errno.EINVAL])
def test_a_driver_without_the_extended_call_is_asked_by_the_plain_one_from_then_on(tmp_path: Path, code: int) -> None:
    driver = Driver(37 * 10**9, [PTP_SYS_OFFSET_EXTENDED], code)
    clock = phc(tmp_path, driver)
    reads = [clock.compare(), clock.compare()]
    assert {(read.phc_sys_ns, read.uncertainty_ns, read.method) for read in reads} == {
        (37 * 10**9, 100, "PTP_SYS_OFFSET")
    }
    assert driver.asked == [PTP_SYS_OFFSET_EXTENDED, PTP_SYS_OFFSET, PTP_SYS_OFFSET]
    clock.close()


def test_a_clock_that_fails_is_told_and_not_asked_in_another_way(tmp_path: Path) -> None:
    driver = Driver(0, [PTP_SYS_OFFSET_EXTENDED], errno.EIO)
    clock = phc(tmp_path, driver)
    with pytest.raises(PhcUnusable, match=r"ptp0: a reading of the clock expected, .*Input/output error"):
        clock.compare()
    assert driver.asked == [PTP_SYS_OFFSET_EXTENDED]
    clock.close()


def test_a_clock_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(PhcUnusable, match=r"ptp7: a clock that may be read expected, found: No such file"):
        Phc("ptp7", folder=tmp_path)


def test_a_device_that_is_no_clock_is_told(tmp_path: Path) -> None:
    (tmp_path / "ptp0").touch()
    clock = Phc("ptp0", folder=tmp_path)  # the real ioctl
    with pytest.raises(PhcUnusable, match="a reading of the clock expected"):
        clock.compare()
    with pytest.raises(OSError, match="argument"):
        clock.resolution_ns()
    clock.close()


@given(
    st.integers(-(2**60), 2**60),
    st.lists(st.tuples(st.integers(0, 10**6), st.floats(0, 1)), min_size=1, max_size=25),
)
def test_the_true_difference_lies_within_the_uncertainty(ahead_ns: int, readings: list[tuple[int, float]]) -> None:
    brackets = [(NOW_NS, NOW_NS + int(long * part) + ahead_ns, NOW_NS + long) for long, part in readings]
    read = best_reading(brackets, "x")
    assert abs(read.phc_sys_ns - ahead_ns) <= read.uncertainty_ns
    assert read.uncertainty_ns == (min(long for long, _ in readings) + 1) // 2


def test_a_reading_over_which_the_system_clock_was_set_back_is_left_out() -> None:
    assert best_reading([(1000, 500, 400), (2000, 2010, 2020)], "x").phc_sys_ns == 0
    with pytest.raises(OSError, match="went back"):
        best_reading([(1000, 500, 400)], "x")


class Ethtool:
    """Answers ETHTOOL_GET_TS_INFO through the pointer that it is given."""

    def __init__(self, so_timestamping: int, phc_index: int, rx_filters: int) -> None:
        """What the driver says."""
        self.answer = struct.pack("=IiI3II3I", so_timestamping, phc_index, 1, 0, 0, 0, rx_filters, 0, 0, 0)
        self.name = ""

    def ioctl(self, descriptor: int, request: int, buffer: bytearray) -> int:
        """As fcntl.ioctl."""
        assert (request, len(buffer)) == (SIOCETHTOOL, 40)
        name, address = struct.unpack("=16sQ16x", buffer)
        self.name = name.rstrip(b"\0").decode()
        assert ctypes.string_at(address, 4) == struct.pack("=I", ETHTOOL_GET_TS_INFO)
        ctypes.memmove(address + 4, self.answer, len(self.answer))
        return 0


def test_an_interface_says_which_clock_it_has_and_what_it_stamps() -> None:
    nic = Ethtool(0b1000101, 3, 0b11)
    found = stamp_ability("eth1", nic.ioctl)
    assert nic.name == "eth1"
    assert found.phc == "ptp3"
    assert found.so_timestamping == ("tx-hardware", "rx-hardware", "raw-hardware")
    assert found.stamps_all
    assert not stamp_ability("eth1", Ethtool(0x7F, 0, 1 << 12).ioctl).stamps_all


def test_an_interface_of_software_alone_has_no_clock() -> None:
    found = stamp_ability("lo")  # really asked
    assert found.phc is None
    assert "software" in found.so_timestamping
    assert not found.stamps_all


@pytest.mark.parametrize("name", ["nosuch0", "a-name-that-is-too-long"])
def test_an_interface_that_is_not_there_is_told(name: str) -> None:
    with pytest.raises(PhcUnusable, match=f"{name}: its kinds of stamps expected, the kernel says: No such device"):
        stamp_ability(name)
