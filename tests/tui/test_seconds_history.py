"""Bars of the last seconds: the largest in each, blanks where nobody looked, the newest to the right."""

from __future__ import annotations

from nanotape.tui.seconds_history import SecondsHistory, bars

SECOND_NS = 10**9


def test_each_second_keeps_its_largest_however_often_it_is_looked() -> None:
    history = SecondsHistory()
    for tenth in range(30):
        history.add(tenth * SECOND_NS // 10, float(tenth))
    assert history.columns(2 * SECOND_NS, 5) == [None, None, 9.0, 19.0, 29.0]
    assert history.columns(2 * SECOND_NS, 2) == [19.0, 29.0]
    assert history.most == 29.0


def test_a_second_that_nobody_looked_at_stays_blank() -> None:
    history = SecondsHistory(kept_s=5)
    for second, value in ((1, 4.0), (2, 8.0), (4, 1.0)):
        history.add(second * SECOND_NS, value)
    history.add(5 * SECOND_NS, None)
    assert history.columns(5 * SECOND_NS, 5) == [4.0, 8.0, None, 1.0, None]
    assert bars(history.columns(5 * SECOND_NS, 5), 8.0) == "▅█ ▂ "


def test_it_forgets_and_a_clock_that_is_set_back_breaks_nothing() -> None:
    history = SecondsHistory(kept_s=5)
    for second in range(100):
        history.add(second * SECOND_NS, float(second))
    assert len(history._seconds) == 5
    history.add(50 * SECOND_NS, 1000.0)
    assert history.most == 1000.0
    assert len(history._seconds) == 5


def test_of_nothing_no_bars_are_high() -> None:
    assert bars([0.0, None, 0.0], 0.0) == "▁ ▁"
    assert SecondsHistory().most is None
