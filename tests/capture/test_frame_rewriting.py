import struct
from ipaddress import IPv4Address

import pytest
from frames import ethernet, ipv4, ipv6, linux_sll, linux_sll2, market_data, raw_ip, udp
from hypothesis import given
from hypothesis import strategies as st

from nanotape.capture.errors import ReplayUsageError
from nanotape.capture.frame_rewriting import (
    ETHERNET,
    LINUX_SLL,
    LINUX_SLL2,
    RAW_IP,
    AddressMap,
    FrameRewriting,
    as_ethernet,
)

MAP = AddressMap.parse("239.1.2.3:15000=239.137.9.9:6000")
MAC = b"\x02\0\0\0\0\x07"


def folded(data: bytes) -> int:
    """One's complement sum of words."""
    total = sum(struct.unpack(f">{(len(data) + 1) // 2}H", data + bytes(len(data) % 2)))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def datagram(payload: bytes, src: str = "10.0.0.1", dst: str = "239.1.2.3", port: int = 15000) -> bytes:
    """IPv4 with a UDP checksum, which those of `frames` do not have."""
    plain = udp(payload, dst_port=port)
    pseudo = IPv4Address(src).packed + IPv4Address(dst).packed + struct.pack(">HH", 17, len(plain))
    checksum = ~folded(pseudo + plain) & 0xFFFF or 0xFFFF
    return ipv4(plain[:6] + struct.pack(">H", checksum) + plain[8:], src, dst)


def has_right_checksums(ip: bytes) -> bool:
    header, inner = ip[:20], ip[20:]
    pseudo = header[12:20] + struct.pack(">HH", 17, len(inner))
    return folded(header) == 0xFFFF and folded(pseudo + inner) == 0xFFFF and inner[6:8] != b"\0\0"


@given(st.binary(max_size=40), st.integers(0, 2**32 - 1), st.integers(0x01000000, 0x0FFFFFFF), st.integers(1, 65535))
def test_right_checksums_stay_right_and_are_what_the_new_frame_would_have(
    payload: bytes, source: int, group: int, port: int
) -> None:
    new_group, new_source = str(IPv4Address(0xE0000000 | group)), str(IPv4Address(source))
    rewriting = FrameRewriting([AddressMap.parse(f"239.1.2.3:15000={new_group}:{port}")], new_source)
    found = rewriting.rewrite(ethernet(datagram(payload)))
    assert has_right_checksums(found[14:])
    assert found[30:34] == IPv4Address(new_group).packed
    assert found[26:30] == IPv4Address(new_source).packed
    assert found[36:38] == port.to_bytes(2, "big")
    assert found[:6] == b"\x01\0\x5e" + bytes([found[31] & 0x7F]) + found[32:34]
    assert found[42:] == payload


def test_a_checksum_that_was_wrong_stays_wrong_and_one_that_is_not_there_stays_away() -> None:
    wrong = FrameRewriting([MAP]).rewrite(ethernet(ipv4(udp(b"abc"), checksum_error=1)))
    assert folded(wrong[14:34]) != 0xFFFF
    assert wrong[40:42] == b"\0\0"


def test_other_groups_and_ports_are_left_alone() -> None:
    rewriting = FrameRewriting([MAP])
    for frame in (market_data(b"x", dst_port=15001), ethernet(ipv4(udp(b"x"), dst="239.1.2.4")), ethernet(ipv6(b""))):
        assert rewriting.rewrite(frame) == frame


def test_behind_vlan_tags_and_options_it_finds_the_addresses() -> None:
    frame = ethernet(ipv4(udp(b"abcd"), options=bytes(4)), (0x88A8, 7), (0x8100, 9))
    found = FrameRewriting([MAP]).rewrite(frame)
    assert found[12:20] == frame[12:20]
    assert found[22 + 16 : 22 + 20] == IPv4Address("239.137.9.9").packed
    assert folded(found[22 : 22 + 24]) == 0xFFFF
    assert found[22 + 24 + 2 : 22 + 24 + 4] == (6000).to_bytes(2, "big")


def test_a_later_fragment_follows_its_group() -> None:
    found = FrameRewriting([MAP]).rewrite(ethernet(ipv4(b"no header here", fragment=5)))
    assert found[30:34] == IPv4Address("239.137.9.9").packed
    assert found[34:] == b"no header here"


def test_a_group_without_ports_keeps_the_port() -> None:
    found = FrameRewriting([AddressMap.parse("239.1.2.3=239.137.9.9")]).rewrite(market_data(b"x"))
    assert found[36:38] == (15000).to_bytes(2, "big")


@given(st.binary(max_size=80))
def test_no_bytes_are_too_odd_to_be_sent(frame: bytes) -> None:
    rewriting = FrameRewriting([MAP], "10.1.1.1")
    assert len(rewriting.rewrite(frame)) == len(frame)
    for link_type in (ETHERNET, RAW_IP, LINUX_SLL, LINUX_SLL2, 9):
        as_ethernet(link_type, frame, MAC)


def test_frames_with_other_headers_are_given_one_of_ethernet() -> None:
    frame = market_data(b"abc")
    expected = bytes.fromhex("01005e010203") + MAC + frame[12:]
    for link_type, made in ((RAW_IP, raw_ip), (LINUX_SLL, linux_sll), (LINUX_SLL2, linux_sll2)):
        assert as_ethernet(link_type, made(frame), MAC) == expected
    assert as_ethernet(ETHERNET, frame, MAC) == frame
    assert as_ethernet(9, frame, MAC) is None


@pytest.mark.parametrize(
    "text", ["", "239.1.1.1", "239.1.1.1:5000=239.2.2.2", "10.0.0.1:5=239.1.1.1:5", "239.1.1.1:0=239.1.1.1:5", "a=b"]
)
def test_a_map_that_is_none_is_refused_with_what_was_found(text: str) -> None:
    with pytest.raises(ReplayUsageError, match="map: expected"):
        AddressMap.parse(text)
