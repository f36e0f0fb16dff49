"""What is said of a thing stands beside its name, and under itself where it takes several lines."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nanotape.tui.named_lines import named_lines, wrapped


def test_what_is_long_goes_on_under_itself() -> None:
    lines = named_lines([("why", "one two three four", "red"), ("do", "", "")], 16, 6)
    assert [line.plain for line in lines] == ["why   one two", "      three four", "do    "]


@given(st.text(max_size=200), st.integers(-5, 60))
def test_no_line_is_longer_than_it_may_be_and_none_holds_an_order_to_the_terminal(said: str, width: int) -> None:
    lines = wrapped(said, width)
    assert lines
    assert all(len(line) <= max(8, width) and line.isprintable() for line in lines)
