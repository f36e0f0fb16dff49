"""Figures fit their columns, carry their unit, and say `-` where nothing is known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanotape.tui import words


@pytest.mark.parametrize(
    ("number", "said"),
    [(None, "-"), (0, "0"), (999, "999"), (1000, "1.00k"), (12_345, "12.3k"), (999_000, "999k"), (4_570_000, "4.57M")],
)
def test_a_short_count_has_three_digits_and_a_letter(number: int | None, said: str) -> None:
    assert words.short(number) == said


@pytest.mark.parametrize(
    ("bits_s", "said"), [(None, "-"), (0, "0 bit/s"), (942_000_000, "942 Mbit/s"), (10**10, "10.0 Gbit/s")]
)
def test_bits_a_second_have_their_unit(bits_s: float | None, said: str) -> None:
    assert words.bits(bits_s) == said


@pytest.mark.parametrize(("number", "said"), [(None, "-"), (512, "512 B"), (1536, "1.50 KiB"), (64 << 20, "64.0 MiB")])
def test_sizes_are_binary(number: int | None, said: str) -> None:
    assert words.size(number) == said


@pytest.mark.parametrize(
    ("length_s", "said"),
    [(None, "-"), (4.21, "4.2 s"), (200, "3 min 20 s"), (7_300, "2 h 1 min"), (190_000, "2 d 4 h")],
)
def test_a_length_of_time_is_in_its_two_largest_units(length_s: float | None, said: str) -> None:
    assert words.seconds(length_s) == said


@pytest.mark.parametrize(
    ("length_ns", "said"), [(None, "-"), (12, "+12 ns"), (1250, "+1.250 us"), (-3_000_000, "-3.000 ms")]
)
def test_nanoseconds_are_in_the_unit_they_are_best_read_in(length_ns: int | None, said: str) -> None:
    assert words.nanoseconds(length_ns, signed=True) == said


def test_moments_are_utc() -> None:
    assert words.clock_time(1_795_219_200_123_456_789) == "00:00:00.123"
    assert words.date_time(1_795_219_200_123_456_789) == "2026-11-21 00:00:00"
    assert words.clock_time(None) == words.date_time(None) == "-"


@given(st.floats(allow_nan=False, min_value=-2, max_value=3) | st.none(), st.integers(0, 40))
def test_a_bar_is_as_wide_as_it_is_to_be(part: float | None, width: int) -> None:
    assert len(words.bar(part, width)) == width


@given(st.lists(st.floats(min_value=0, max_value=1e12), max_size=90), st.integers(0, 60), st.integers(1, 8))
def test_a_sparkline_and_a_chart_are_as_large_as_they_are_to_be(values: list[float], width: int, height: int) -> None:
    assert len(words.sparkline(values, width)) == width
    rows = words.chart(values, width, height)
    assert [len(row) for row in rows] == [width] * height


def test_a_sparkline_shows_the_newest_to_the_right_and_the_largest_full() -> None:
    assert words.sparkline([9, 1, 8], 2) == "▁█"
    assert words.sparkline([0, 0], 4) == "  ▁▁"


def test_a_chart_is_as_high_as_the_value_beside_the_largest() -> None:
    assert words.chart([1, 2], 2, 2) == [" █", "██"]


@given(st.text(max_size=40), st.integers(0, 30))
def test_a_clipped_line_fits(line: str, width: int) -> None:
    assert len(words.clipped(line, width)) <= width
