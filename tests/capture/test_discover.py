"""What discover is told and what it makes of counts, without a wire: options, memberships, rates, the table."""

from __future__ import annotations

import ipaddress
import socket
import struct
from io import StringIO

import numpy as np
import pytest
from found import flow, found
from rich.console import Console

from nanotape.capture.discover import DiscoverOptions, Discovery, Rates, parse_network
from nanotape.capture.errors import DiscoverError
from nanotape.capture.membership import Membership, Memberships
from nanotape.capture.sightings import SAMPLE_DTYPE, SIGHTING_DTYPE
from nanotape.cli.discover_table import table
from nanotape.native import ffi, lib


def counts(*numbers: int) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    return np.array(numbers, np.uint64)


def test_the_table_in_numpy_is_the_one_in_c() -> None:
    assert SIGHTING_DTYPE.itemsize == ffi.sizeof("struct nt_sighting")
    for name in SIGHTING_DTYPE.names or ():
        assert SIGHTING_DTYPE.fields[name][1] == ffi.offsetof("struct nt_sighting", name), name
    assert SAMPLE_DTYPE.itemsize == ffi.sizeof("struct nt_sample")
    for name in SAMPLE_DTYPE.names or ():
        assert SAMPLE_DTYPE.fields[name][1] == ffi.offsetof("struct nt_sample", name), name
    assert SAMPLE_DTYPE["payload"].itemsize == lib.NT_SAMPLE_BYTES
    assert SIGHTING_DTYPE["samples"].shape == (lib.NT_SAMPLES,)


def test_a_membership_is_read_and_written_alike() -> None:
    for text in ("233.252.0.1", "198.51.100.7@233.252.0.1", "ff3e::8000:1", "2001:db8::7@ff3e::8000:1"):
        assert str(Membership.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "@",
        "10.0.0.1",
        "233.252.0.1/24",
        "@233.252.0.1",
        "233.252.0.1@",
        "2001:db8::7@233.252.0.1",
        "233.252.0.2@233.252.0.1",
        "a.b.c.d",
    ],
)
def test_what_is_no_membership_is_refused(text: str) -> None:
    with pytest.raises(DiscoverError, match="--join: expected"):
        Membership.parse(text)


def test_a_membership_becomes_the_kernels_request() -> None:
    level, option, request = Membership.parse("198.51.100.7@233.252.0.1").request(5)
    assert (level, option, len(request)) == (socket.IPPROTO_IP, 46, 264)
    assert struct.unpack_from("=I4xHH4s", request) == (5, socket.AF_INET, 0, bytes([233, 252, 0, 1]))
    assert struct.unpack_from("=HH4s", request, 136) == (socket.AF_INET, 0, bytes([198, 51, 100, 7]))
    level, option, request = Membership.parse("ff3e::8000:1").request(6)
    assert (level, option, len(request)) == (socket.IPPROTO_IPV6, 42, 136)
    group = ipaddress.ip_address("ff3e::8000:1").packed
    assert struct.unpack_from("=I4xHHI16sI", request) == (6, socket.AF_INET6, 0, 0, group, 0)


def test_a_join_that_fails_leaves_the_others() -> None:
    wanted = [Membership.parse("233.252.0.1")]
    with pytest.raises(DiscoverError, match=r"absent0: cannot join 233\.252\.0\.1"):
        Memberships("absent0", wanted)
    with Memberships("lo", [*wanted, *wanted]) as held:
        held.close()
        held.close()


def test_a_group_is_an_address_or_a_range() -> None:
    assert str(parse_network("233.252.0.1", unicast=False)) == "233.252.0.1/32"
    assert str(parse_network("ff3e::/16", unicast=False)) == "ff3e::/16"
    assert str(parse_network("10.0.0.0/8", unicast=True)) == "10.0.0.0/8"


@pytest.mark.parametrize("text", ["", "10.0.0.0/8", "224.0.0.0/3", "233.252.0.1/24", "233.252.0.0/33", "all"])
def test_what_is_no_group_is_refused(text: str) -> None:
    with pytest.raises(DiscoverError, match="--group: expected"):
        parse_network(text, unicast=False)


def test_a_rate_is_that_of_the_last_second() -> None:
    rates = Rates(100.0)
    for step in range(1, 41):  # 10 packets a second for 5 s, then 1,000
        at = 100.0 + step / 4
        sent = 10 * (at - 100) if at <= 105 else 50 + 1000 * (at - 105)
        rates.sample(at, counts(round(sent)), counts(round(sent) * 100))
    packets, octets = rates.of(110.0, counts(5050), counts(505000))
    assert packets.tolist() == [1000.0]
    assert octets.tolist() == [100_000.0]


def test_a_rate_of_less_than_a_second_is_over_what_there_was() -> None:
    rates = Rates(100.0)
    assert rates.of(100.0, counts(5), counts(500))[0].tolist() == [0.0]
    rates.sample(100.5, counts(10), counts(10))
    assert rates.of(100.5, counts(10), counts(10))[0].tolist() == [20.0]


def test_an_entry_that_came_later_began_at_nothing() -> None:
    rates = Rates(100.0)
    rates.sample(100.5, counts(10), counts(10))
    rates.sample(101.5, counts(10, 7), counts(10, 70))
    packets, octets = rates.of(101.5, counts(10, 7), counts(10, 70))
    assert packets.tolist() == [0.0, 7.0]
    assert octets.tolist() == [0.0, 70.0]


def test_an_interface_that_is_not_there_is_refused() -> None:
    with pytest.raises(DiscoverError, match="no such interface"):
        Discovery("absent0")
    with pytest.raises(DiscoverError, match="no such interface"):
        Discovery("absent0", DiscoverOptions(groups=(ipaddress.ip_network("ff00::/8"),), ports=(1, 65535)))


def test_the_table_shows_addresses_as_they_are_and_what_is_hidden() -> None:
    flows = (
        flow(group="ff3e::8000:1", source="2001:db8::1", vlan=100, inner_vlan=7, smallest=60, largest=1500),
        flow(rate_pps=123456.0, bytes_per_second=1.5e6),
    )
    page = Console(file=StringIO(), width=200)
    page.print(table(found(*flows, flow_count=12, dropped=9, unparsed=3)))
    shown = page.file.getvalue()  # type: ignore[attr-defined]
    for text in ("[ff3e::8000:1]:15000", "100.7", "60-1500", "123,456", "12.00", "(10 not shown)", "9 dropped"):
        assert text in shown
    assert "3 unparsed" in shown


def test_on_a_narrow_terminal_the_figures_stay_and_the_addresses_are_cut() -> None:
    long = flow(
        group="ff3e:1234:5678:9abc:def0:1234:8000:7777", source="2001:db8:1234:5678:9abc:def0:1234:5678", vlan=100
    )
    page = Console(file=StringIO(), width=80)
    page.print(table(found(long, flow(rate_pps=123456.0, bytes_per_second=1.5e6))))
    shown = page.file.getvalue()  # type: ignore[attr-defined]
    for text in ("packets/s", "123,456", "Mbit/s", "12.00", "100", "2001:db8:1234"):
        assert text in shown
