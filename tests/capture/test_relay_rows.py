"""Headers that keep a packet's source, against one-by-one models; and payloads where they lie in memory."""

from __future__ import annotations

import ctypes
import ipaddress
import struct
import tracemalloc

import numpy as np
import pyarrow as pa
import pytest
from frames import ethernet, ipv4, ipv6, udp
from hypothesis import given
from hypothesis import strategies as st
from ring_batch import ring_batch

from nanotape.capture.relay_rows import Headed, Payloads, headed, payloads_of, senders_of
from nanotape.capture.relay_target import Target

FOUR, SIX = Target("239.9.9.9", 5000, "eth1"), Target("ff05::9", 5000, "eth1")


def bytes_at(addresses: np.ndarray, lengths: np.ndarray) -> list[bytes]:
    return [ctypes.string_at(int(where), int(size)) for where, size in zip(addresses, lengths, strict=True)]


def datagrams(made: Headed) -> list[bytes]:
    heads, payloads = (bytes_at(*piece) for piece in made.pieces)
    return [head + payload for head, payload in zip(heads, payloads, strict=True)]


def checksum(data: bytes) -> int:
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def test_payloads_are_found_also_in_a_slice_and_in_an_empty_column() -> None:
    column = pa.array([b"aa", b"", b"bcd", b"e"], pa.binary())
    assert bytes_at(*_pieces(payloads_of(column, np.array([0, 2])))) == [b"aa", b"bcd"]
    assert bytes_at(*_pieces(payloads_of(column.slice(1), np.array([0, 2])))) == [b"", b"e"]
    nothing = payloads_of(pa.array([b"", b""], pa.binary()), np.array([0, 1]))
    assert nothing.lengths.tolist() == [0, 0]


def _pieces(payloads: Payloads) -> tuple[np.ndarray, np.ndarray]:
    (piece,) = payloads.pieces
    return piece


@given(st.lists(st.tuples(st.binary(max_size=40), st.integers(0, 65535)), min_size=1, max_size=8), st.booleans())
def test_headers_are_as_a_host_would_make_them(sent: list[tuple[bytes, int]], is_six: bool) -> None:
    """Addresses, ports, lengths and both checksums, for payloads that begin at odd and even places."""
    source = "2001:db8::7" if is_six else "10.1.2.3"
    layer = (lambda inner: ipv6(inner, src=source)) if is_six else (lambda inner: ipv4(inner, src=source))
    batch = ring_batch(ethernet(layer(udp(payload, src_port=port))) for payload, port in sent)
    target = SIX if is_six else FOUR
    rows = np.arange(len(sent))
    fits, senders = senders_of(batch, rows, target.version)
    assert fits.all()
    for (payload, port), datagram in zip(sent, datagrams(headed(batch, rows, senders, target, 7)), strict=True):
        start = 40 if is_six else 20
        ends = ipaddress.ip_address(source).packed + ipaddress.ip_address(target.address).packed
        if is_six:
            assert datagram[:start] == struct.pack(">IHBB", 6 << 28, 8 + len(payload), 17, 7) + ends
        else:
            assert datagram[:10] == struct.pack(">BBHHHBB", 0x45, 0, 28 + len(payload), 0, 0, 7, 17)
            assert (datagram[12:start], checksum(datagram[:start])) == (ends, 0)
        assert datagram[start : start + 6] == struct.pack(">HHH", port, 5000, 8 + len(payload))
        assert datagram[start + 8 :] == payload
        assert datagram[start + 6 : start + 8] != bytes(2)
        assert checksum(ends + struct.pack(">HH", 17, 8 + len(payload)) + datagram[start:]) == 0


def test_a_sum_of_zero_is_written_as_all_ones() -> None:
    """0 would mean that there is no checksum."""
    ends = ipaddress.ip_address("10.1.2.3").packed + ipaddress.ip_address(FOUR.address).packed
    port = checksum(ends + struct.pack(">HHHHH", 17, 8, 5000, 8, 0))  # makes the sum all ones, so its complement 0
    batch = ring_batch([ethernet(ipv4(udp(b"", src_port=port), src="10.1.2.3"))])
    fits, senders = senders_of(batch, np.array([0]), 4)
    (datagram,) = datagrams(headed(batch, np.array([0]), senders, FOUR, 1))
    assert fits.tolist() == [True]
    assert datagram[26:28] == b"\xff\xff"


def test_the_checksums_of_a_large_batch_take_little_memory() -> None:
    payloads = [bytes([number % 251, 7]) * 4_000 + b"z" * (number % 3) for number in range(1_000)]
    batch = ring_batch(ethernet(ipv4(udp(payload), src="10.1.2.3")) for payload in payloads)
    rows = np.arange(1, 1_000, 2)
    _, senders = senders_of(batch, rows, 4)
    tracemalloc.start()
    try:
        made = headed(batch, rows, senders, FOUR, 1)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 32 << 20
    ends = ipaddress.ip_address("10.1.2.3").packed + ipaddress.ip_address(FOUR.address).packed
    for row, datagram in zip(rows.tolist(), datagrams(made), strict=True):
        assert datagram[28:] == payloads[row]
        assert checksum(ends + struct.pack(">HH", 17, len(datagram) - 20) + datagram[20:]) == 0


@pytest.mark.parametrize(("version", "expected"), [(4, [True, False, True]), (6, [False, True, False])])
def test_senders_of_the_other_family_do_not_fit(version: int, expected: list[bool]) -> None:
    frames = [ethernet(ipv4(udp(b""))), ethernet(ipv6(udp(b""))), ethernet(ipv4(udp(b"")))]
    fits, _ = senders_of(ring_batch(frames), np.arange(3), version)
    assert fits.tolist() == expected
