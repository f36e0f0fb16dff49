"""Quantities are read exactly or refused, and what is written reads back as the same number."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanotape.config import quantity
from nanotape.config.quantity import Hold

WHOLE = st.integers(0, 10**15 - 1)


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("512 MiB", 512 << 20),
        ("512MiB", 512 << 20),
        ("1.5 GiB", 3 << 29),
        ("242B", 242),
        ("1 kB", 1000),
        (" 2 TB ", 2 * 10**12),
        ("0.5 kB", 500),
    ],
)
def test_a_size_is_a_number_with_a_unit(text: str, size_bytes: int) -> None:
    assert quantity.parse_size(text) == size_bytes


@pytest.mark.parametrize(
    "text",
    ["", "512", "512 M", "512 mib", "-1 B", "0.3 B", "1e3 B", "1  B", "1_000 B", "٣ B", "1 B\n2 B", "9" * 5000 + " B"],
)
def test_what_is_not_exactly_a_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        quantity.parse_size(text)


@pytest.mark.parametrize(
    ("text", "duration_ns"),
    [("1s", 10**9), ("250ms", 250 * 10**6), ("1.5us", 1500), ("7 ns", 7), ("2min", 120 * 10**9), ("1d", 86400 * 10**9)],
)
def test_a_duration_has_a_unit(text: str, duration_ns: int) -> None:
    assert quantity.parse_duration(text) == duration_ns


@pytest.mark.parametrize("text", ["1", "1m", "0.5ns", "1 s 2 ms", "forever"])
def test_what_is_not_exactly_a_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        quantity.parse_duration(text)


@pytest.mark.parametrize(("text", "rate_pps"), [("2Mpps", 2 * 10**6), ("300 kpps", 300_000), ("0.5kpps", 500)])
def test_a_rate_is_in_packets_a_second(text: str, rate_pps: int) -> None:
    assert quantity.parse_rate(text) == rate_pps


def test_a_hold_is_sized_with_record_headers_and_alignment() -> None:
    hold = quantity.parse_hold("10s at 2Mpps of 242B")
    assert hold == Hold(10**10, 2 * 10**6, 242)
    assert hold.ring_bytes == 20_000_000 * 296  # 48 + 242 = 290, rounded up to a multiple of 8


def test_a_hold_without_a_frame_size_takes_the_usual_one() -> None:
    assert quantity.parse_hold("1s at 1kpps").ring_bytes == 1000 * 296
    assert quantity.parse_hold("1s  at  1kpps  of  64B").ring_bytes == 1000 * 112


def test_a_hold_counts_a_begun_packet_as_a_whole_one() -> None:
    assert Hold(1, 1, 240).ring_bytes == 288


@pytest.mark.parametrize(
    "text", ["10s", "10s at 2M", "at 2Mpps", "10s at 2Mpps of", "10s at 2Mpps of 242", "10sat2Mpps"]
)
def test_what_is_not_a_hold_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        quantity.parse_hold(text)


@settings(deadline=None)
@given(WHOLE)
def test_written_quantities_read_back_as_the_same_number(number: int) -> None:
    assert quantity.parse_size(quantity.size_text(number)) == number
    assert quantity.parse_duration(quantity.duration_text(number)) == number
    assert quantity.parse_rate(quantity.rate_text(number)) == number


@settings(deadline=None)
@given(WHOLE, WHOLE, st.none() | WHOLE)
def test_a_written_hold_reads_back_as_the_same(duration_ns: int, rate_pps: int, frame_bytes: int | None) -> None:
    hold = Hold(duration_ns, rate_pps, frame_bytes)
    assert quantity.parse_hold(quantity.hold_text(hold)) == hold
