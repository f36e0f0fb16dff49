"""Rates are of about a second however often is looked; a loop stands still when it did for long; losses of a minute."""

from __future__ import annotations

from dataclasses import replace

import crafted_looks
from crafted_looks import NOW_NS, RING, SECOND_NS, loop, stats

from nanotape.capture.health import Look
from nanotape.capture.listing import RingFacts
from nanotape.tui.ring_history import RingHistory


def at(seconds: float, facts: RingFacts = RING) -> Look:
    return crafted_looks.look(facts, at_ns=NOW_NS + int(seconds * SECOND_NS))


def going(seconds: float, packets: int, facts: RingFacts = RING, **counters: int) -> Look:
    moved = loop(facts, packets=packets, bytes=242 * packets, polls_busy=packets, polls_idle=int(seconds * 1000))
    return at(seconds, stats(moved, **counters))


def test_at_ten_looks_a_second_a_rate_is_of_a_second() -> None:
    history = RingHistory()
    for tenth in range(31):
        found = history.add(going(tenth / 10, tenth * 50))
    assert found.earlier is not None
    assert 0.9 <= found.health.interval_s <= 1.1
    assert found.health.packets_s == 500
    assert history.rates.packets_s == (500.0, 500.0, 500.0)
    assert history.rates.peak_packets_s == 500.0


def test_the_first_look_compares_with_nothing_and_says_no_ill() -> None:
    found = RingHistory().add(at(0))
    assert found.earlier is None
    assert found.health.capturing
    assert found.is_assumed


def test_a_loop_stands_still_only_after_three_seconds() -> None:
    history = RingHistory()
    still = [history.add(at(tenth / 10)) for tenth in range(32)]
    assert all(each.health.capturing and each.is_assumed for each in still[:30])
    assert not still[-1].health.capturing
    assert not still[-1].is_assumed


def test_a_writer_that_died_is_told_at_once() -> None:
    history = RingHistory()
    history.add(going(0, 0))
    assert not history.add(at(0.1, replace(RING, writer_alive=False))).health.capturing


def test_losses_of_the_last_minute_leave_out_those_before() -> None:
    history = RingHistory()
    for second in range(100):
        history.add(going(second, second, rx_dropped=min(second, 50) + (7 if second == 99 else 0)))
    lost, length_s = history.lost_minute
    assert lost == {"rx_dropped": 50 - 39 + 7}, "39 of them were lost by the second that the minute begins with"
    assert length_s == 60.0


def test_a_ring_made_anew_begins_a_new_history_and_is_told_of_for_a_while() -> None:
    history = RingHistory()
    for second in range(5):
        history.add(going(second, 1000 * second))
    anew = replace(RING, ring_id="b" * 32)
    found = history.add(going(5, 10, anew))
    assert found.health.restarted
    assert found.health.packets_s == 0
    assert history.rates.packets_s == ()
    assert history.add(going(10, 20, anew)).health.restarted
    assert not history.add(going(16, 30, anew)).health.restarted


def test_history_does_not_grow() -> None:
    history = RingHistory()
    for second in range(2000):
        history.add(going(second, second))
    assert len(history.rates.packets_s) == 300
    assert len(history._recent) <= 5
    assert len(history._minute) <= 62
