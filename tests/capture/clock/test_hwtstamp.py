"""The NIC's stamp configuration is read and told in words, and there is nothing here that could change it."""

from __future__ import annotations

import ctypes
import errno
import os
import re
import struct
from pathlib import Path

import pytest

import nanotape.capture.clock as clock_package
from nanotape.capture.clock import hwtstamp
from nanotape.capture.clock.hwtstamp import RX_FILTERS, SIOCGHWTSTAMP, TX_TYPES, HwtstampConfig, read_hwtstamp

_HEADER = Path("/usr/include/linux/net_tstamp.h")
_SET = "SIOCS" + "HWTSTAMP"


class Nic:
    """Answers SIOCGHWTSTAMP through the pointer that it is given, and nothing else."""

    def __init__(self, tx_type: int, rx_filter: int) -> None:
        """As it is configured."""
        self.config = struct.pack("=iii", 0, tx_type, rx_filter)
        self.requests: list[int] = []

    def ioctl(self, descriptor: int, request: int, buffer: bytearray) -> int:
        """As fcntl.ioctl."""
        self.requests.append(request)
        name, address = struct.unpack("=16sQ16x", buffer)
        assert name.rstrip(b"\0") == b"eth1"
        assert ctypes.string_at(address, 12) == bytes(12)
        ctypes.memmove(address, self.config, 12)
        return 0


def test_a_nic_that_stamps_everything_is_told_in_words() -> None:
    nic = Nic(1, 1)
    found = read_hwtstamp("eth1", nic.ioctl)
    assert found == HwtstampConfig("eth1", "on", "all")
    assert found.stamps_all is True
    assert found.line() == "eth1: hardware stamps: rx all, tx on"
    assert nic.requests == [SIOCGHWTSTAMP]


def test_a_filter_that_leaves_market_data_out_is_said_to() -> None:
    found = read_hwtstamp("eth1", Nic(1, 12).ioctl)
    assert (found.rx_filter, found.stamps_all) == ("ptpv2-event", False)
    assert "of packets that are not PTP's there is none" in found.line()


def test_a_number_that_is_newer_than_we_are_is_told_as_it_is() -> None:
    assert read_hwtstamp("eth1", Nic(9, 99).ioctl) == HwtstampConfig("eth1", "number 9", "number 99")


def test_an_interface_without_such_a_configuration_is_unknown_with_a_reason() -> None:
    found = read_hwtstamp("lo")  # really asked
    assert (found.tx_type, found.rx_filter, found.stamps_all) == (None, None, None)
    assert found.line() == "lo: hardware stamps unknown: its driver has none to tell of"


@pytest.mark.parametrize(("code", "words"), [(errno.ENODEV, "No such device"), (errno.EPERM, "not permitted")])
def test_a_refusal_is_a_reason_and_no_error(code: int, words: str) -> None:
    def refuse(descriptor: int, request: int, buffer: bytearray) -> int:
        raise OSError(code, os.strerror(code))

    assert words in (read_hwtstamp("eth1", refuse).reason or "")


@pytest.mark.skipif(not _HEADER.exists(), reason="needs linux/net_tstamp.h (linux-libc-dev)")
def test_the_names_are_in_the_order_of_the_header() -> None:
    text = _HEADER.read_text()
    for prefix, names in (("HWTSTAMP_TX_", TX_TYPES), ("HWTSTAMP_FILTER_", RX_FILTERS)):
        listed = re.findall(rf"^\t{prefix}(\w+),", text, re.MULTILINE)
        ours = [name.upper().replace("-", "_").replace("PTPV", "PTP_V") for name in names]
        assert listed == ours


def test_nothing_that_looks_at_clocks_knows_the_call_that_sets_it() -> None:
    folder = Path(next(iter(clock_package.__path__)))
    sources = {path.name: path.read_text() for path in folder.glob("*.py")}
    assert "hwtstamp.py" in sources
    setters = [name for name, text in sources.items() if re.search(rf"{_SET}|0x89b0", text, re.IGNORECASE)]
    assert setters == []
    assert SIOCGHWTSTAMP == 0x89B1  # and not the other, which is one less
    assert not [name for name in vars(hwtstamp) if "set" in name.lower()]
