"""The native frame decoder against its Python twin, on made frames, mutated frames and real captures."""

import dataclasses
import random
from pathlib import Path
from typing import Any

import pytest
from frame_model import (
    BAD_CHECKSUM,
    FRAGMENT,
    LINUX_SLL,
    LINUX_SLL2,
    RAW_IP,
    REBUILT_HEADER,
    UNPARSED,
    Decoded,
    decode,
)
from frames import ethernet, ipv4, ipv6, linux_sll, linux_sll2, market_data, raw_ip, udp
from hypothesis import given
from hypothesis import strategies as st
from pcap_file import LINK_FLAGS, read_pcap
from switch_frames import switch_header

from nanotape.capture.counters import address_text
from nanotape.native import ffi, lib

VLAN_NONE = 0xFFFF
OPTIONS = bytes.fromhex("94040000")  # router alert
HOP_BY_HOP = bytes([17, 0, 5, 2, 0, 0, 1, 0])
AUTHENTICATION = bytes([17, 4]) + bytes(22)


def v6_fragment(bits: int, following: int = 17) -> bytes:
    return bytes([following, 0]) + bits.to_bytes(2, "big") + bytes(4)


FRAMES = {
    "plain": market_data(b"payload"),
    "no payload": market_data(b""),
    "padded to 60": market_data(b"x").ljust(60, b"\0"),
    "switch trailer": market_data(b"payload") + bytes(range(16)),
    "VLAN": ethernet(ipv4(udp(b"abc")), (0x8100, 100)),
    "priority tag": ethernet(ipv4(udp(b"abc")), (0x8100, 0x6000)),
    "QinQ": ethernet(ipv4(udp(b"abc")), (0x88A8, 7), (0x8100, 100)),
    "old QinQ": ethernet(ipv4(udp(b"abc")), (0x9100, 7), (0x8100, 0xFFF)),
    "three tags": ethernet(ipv4(udp(b"abc")), (0x88A8, 7), (0x8100, 8), (0x8100, 9)),
    "IP options": ethernet(ipv4(udp(b"abc"), options=OPTIONS)),
    "wrong checksum": ethernet(ipv4(udp(b"abc"), checksum_error=1)),
    "first fragment": ethernet(ipv4(udp(b"abcdefgh", length=4000), fragment=0x2000)),
    "later fragment": ethernet(ipv4(b"abcdefgh", fragment=0x00B9)),
    "middle fragment": ethernet(ipv4(b"abcdefgh", fragment=0x20B9)) + b"trailer",
    "tiny first fragment": ethernet(ipv4(b"abc", fragment=0x2000)),
    "do not fragment": ethernet(ipv4(udp(b"abc"), fragment=0x4000)),
    "TCP": ethernet(ipv4(bytes(20), protocol=6)),
    "TCP fragment": ethernet(ipv4(bytes(20), protocol=6, fragment=0x2000)),
    "IGMP": ethernet(ipv4(bytes(8), protocol=2)).ljust(60, b"\0"),
    "UDP length too small": ethernet(ipv4(udp(b"abc", length=7))),
    "UDP length beyond IP": ethernet(ipv4(udp(b"abc", length=12))),
    "UDP length short of IP": ethernet(ipv4(udp(b"abcdef", length=11))),
    "UDP length nought": ethernet(ipv4(udp(b"abc", length=0))),
    "UDP header cut by IP": ethernet(ipv4(b"1234567")),
    "IP total below its header": ethernet(ipv4(udp(b"abc"), total=19)),
    "IP total beyond the frame": ethernet(ipv4(udp(b"abc"), total=32)),
    "IP version 5": ethernet(b"\x55" + ipv4(udp(b"abc"))[1:], kind=0x0800),
    "IP header of 16 bytes": ethernet(b"\x44" + ipv4(udp(b"abc"))[1:], kind=0x0800),
    "ARP": ethernet(bytes(28), kind=0x0806),
    "LLC": ethernet(bytes(50), kind=50),
    "switch header": ethernet(bytes(40), kind=0xD28B),
    "switch header of 64 bits": switch_header(market_data(b"abc"), 0x0010, 1, 2),
    "switch header of 48 bits": switch_header(ethernet(ipv4(udp(b"abc")), (0x88A8, 7), (0x8100, 5)), 0x0121, 1, 2),
    "switch header of no known form": switch_header(market_data(b"abc"), 0x0030, 1, 2),
    "switch header before IPv6": switch_header(ethernet(ipv6(udp(b"abc"))), 0x0110, 1, 2) + b"trailer",
    "IPv6": ethernet(ipv6(udp(b"abc"))),
    "IPv6 in a VLAN": ethernet(ipv6(udp(b"abc")), (0x8100, 5)) + b"trailer",
    "IPv6 hop-by-hop": ethernet(ipv6(HOP_BY_HOP + udp(b"abc"), following=0)),
    "IPv6 three extensions": ethernet(
        ipv6(bytes([60, *HOP_BY_HOP[1:]]) + bytes([51, *HOP_BY_HOP[1:]]) + AUTHENTICATION + udp(b"abc"), following=0)
    ),
    "IPv6 too many extensions": ethernet(ipv6(bytes([0, *HOP_BY_HOP[1:]]) * 9 + udp(b"abc"), following=0)),
    "IPv6 first fragment": ethernet(ipv6(v6_fragment(1) + udp(b"abcdefgh", length=4000), following=44)),
    "IPv6 later fragment": ethernet(ipv6(v6_fragment(0x0BB8) + b"abcdefgh", following=44)),
    "IPv6 atomic fragment": ethernet(ipv6(v6_fragment(0) + udp(b"abc"), following=44)),
    "IPv6 TCP fragment": ethernet(ipv6(v6_fragment(1, 6) + bytes(20), following=44)),
    "IPv6 no next header": ethernet(ipv6(b"", following=59)),
    "IPv6 extension beyond the end": ethernet(ipv6(bytes([17, 200, *bytes(6)]) + udp(b"abc"), following=60)),
    "IPv4-mapped addresses": ethernet(ipv6(udp(b"abc"), src="::ffff:10.0.0.1", dst="::10.0.0.2")),
    "runt": b"\x01\x00\x5e",
    "empty": b"",
    "Ethernet header alone": ethernet(b"", kind=0x0800),
    "tag cut short": ethernet(b"\0\0\0", kind=0x8100),
}


LINKS = {
    "Ethernet": (0, lambda frame: frame),
    "Linux cooked 1": (LINUX_SLL, linux_sll),
    "Linux cooked 2": (LINUX_SLL2, linux_sll2),
    "raw IP": (RAW_IP, raw_ip),
}
COOKABLE = [name for name in FRAMES if len(FRAMES[name]) >= 14 and FRAMES[name][12:14] != b"\xd2\x8b"]
"""A switch's stamp is looked for behind Ethernet's header only."""
UNTAGGED = [name for name in FRAMES if FRAMES[name][12:14] in (b"\x08\x00", b"\x86\xdd") and len(FRAMES[name]) > 14]


def native(frame: bytes, wire_length: int | None = None, record_flags: int = 0) -> Decoded:
    data = ffi.new("uint8_t[]", frame)
    out = ffi.new("struct nt_frame *")
    lib.nt_frame_parse(out, data, len(frame), wire_length or len(frame), record_flags)
    begin, end = out.header_bytes, out.header_bytes + out.payload_bytes
    assert end + out.trailer_bytes == len(frame)
    return Decoded(
        frame[:begin],
        frame[begin:end],
        frame[end:],
        out.payload_length,
        out.flags,
        None if out.vlan == VLAN_NONE else out.vlan,
        _address(out, out.src),
        _address(out, out.dst),
        out.src_port if out.has_ports else None,
        out.dst_port if out.has_ports else None,
    )


def _address(out: Any, address: Any) -> str | None:
    size = {4: 4, 6: 16}.get(out.family)
    return address_text(out.family, bytes(ffi.buffer(address, size))) if size else None


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("name", FRAMES)
def test_decoder_and_twin_agree_on_a_frame_however_it_is_cut(name: str, link: str) -> None:
    flag, as_link = LINKS[link]
    frame = as_link(FRAMES[name])
    for length in range(len(frame) + 1):
        for wire_length in (length, len(frame), 9000):
            cut = frame[:length]
            assert native(cut, wire_length, flag) == decode(cut, wire_length, flag), (length, wire_length)


def test_the_twin_itself_is_right_about_ordinary_frames() -> None:
    plain = decode(FRAMES["switch trailer"])
    assert (len(plain.header), plain.payload, plain.trailer, plain.flags) == (42, b"payload", bytes(range(16)), 0)
    assert (plain.src_ip, plain.dst_ip, plain.src_port, plain.dst_port) == ("10.0.0.1", "239.1.2.3", 12345, 15000)
    assert decode(FRAMES["QinQ"]).vlan == 100
    assert decode(FRAMES["three tags"]).flags == UNPARSED
    assert decode(FRAMES["wrong checksum"]).flags == BAD_CHECKSUM
    assert decode(FRAMES["wrong checksum"], record_flags=REBUILT_HEADER).flags == 0
    assert decode(FRAMES["IPv6 three extensions"]).payload == b"abc"
    assert len(decode(FRAMES["UDP length short of IP"]).trailer) == 3


def test_a_first_fragment_keeps_its_ports_and_its_udp_header_in_the_payload() -> None:
    first, later = native(FRAMES["first fragment"]), native(FRAMES["later fragment"])
    assert (first.flags, first.dst_port, len(first.header), len(first.payload)) == (FRAGMENT, 15000, 34, 16)
    assert (later.flags, later.dst_port, later.payload) == (FRAGMENT, None, b"abcdefgh")


def test_a_truncated_frame_says_how_long_its_payload_was() -> None:
    frame = market_data(b"x" * 100)
    cut = native(frame[:60], len(frame))
    assert (len(cut.payload), cut.payload_len, cut.flags) == (18, 100, 0)


def test_an_ip_length_beyond_the_wire_is_not_believed() -> None:
    frame = market_data(b"x" * 100)
    assert native(frame[:60], 60).flags == UNPARSED


def test_the_checksum_of_a_rebuilt_header_is_not_judged() -> None:
    assert native(FRAMES["wrong checksum"]).flags == BAD_CHECKSUM
    assert native(FRAMES["wrong checksum"], record_flags=REBUILT_HEADER).flags == 0


@pytest.mark.parametrize("link", ["Linux cooked 1", "Linux cooked 2"])
@pytest.mark.parametrize("name", COOKABLE)
def test_a_cooked_frame_says_what_its_ethernet_original_says(name: str, link: str) -> None:
    flag, as_link = LINKS[link]
    original, cooked = native(FRAMES[name]), native(as_link(FRAMES[name]), record_flags=flag)
    assert len(cooked.header) - len(original.header) == {LINUX_SLL: 2, LINUX_SLL2: 6}[flag]
    assert dataclasses.replace(cooked, header=b"") == dataclasses.replace(original, header=b"")


@pytest.mark.parametrize("name", UNTAGGED)
def test_a_raw_packet_says_what_its_ethernet_original_says(name: str) -> None:
    original, raw = native(FRAMES[name]), native(raw_ip(FRAMES[name]), record_flags=RAW_IP)
    assert raw.header == original.header[14:]
    assert dataclasses.replace(raw, header=b"") == dataclasses.replace(original, header=b"")


def test_a_link_that_is_not_the_frame_s_makes_another_packet_of_it() -> None:
    frame = FRAMES["plain"]
    assert native(frame).dst_ip == "239.1.2.3"
    for flag in (LINUX_SLL, LINUX_SLL2, RAW_IP):
        assert native(frame, record_flags=flag).dst_ip is None


@given(
    st.sampled_from(sorted(FRAMES)),
    st.sampled_from(sorted(LINKS)),
    st.randoms(use_true_random=False),
    st.integers(0, 200),
)
def test_decoder_and_twin_agree_on_mutated_frames(
    name: str, link: str, chance: random.Random, wire_length: int
) -> None:
    flag, as_link = LINKS[link]
    frame = bytearray(as_link(FRAMES[name]) + bytes(chance.randrange(4)))
    for _ in range(chance.randrange(6)):
        if frame:
            octet = chance.choice([0, 1, 6, 17, 0x45, 0x60, 0x81, 0xFF, chance.randrange(256)])
            frame[chance.randrange(len(frame))] = octet
    cut = bytes(frame[: chance.randrange(len(frame) + 1)]) if chance.random() < 0.3 else bytes(frame)
    assert native(cut, wire_length, flag) == decode(cut, wire_length, flag)


def test_decoder_and_twin_agree_on_every_real_frame(captures: Path) -> None:
    frames = 0
    for path in sorted(captures.rglob("*.pcap")):
        capture = read_pcap(path)
        for captured in capture.frames:
            for flag in {0, LINK_FLAGS[capture.link_type]}:  # as what it is not, it is an odd frame
                decoded = native(captured.frame, captured.wire_length, flag)
                assert decoded == decode(captured.frame, captured.wire_length, flag), path
            frames += 1
    assert frames > 800
