"""The latency screen shows the counters' percentiles, and the bars of the row that is chosen."""

from __future__ import annotations

from dataclasses import replace

import pytest
from crafted_looks import RING, later, loop
from pictures import driven, picture, ring_picture, screen_text
from textual.pilot import Pilot

from nanotape.capture.counters import LoopGaps
from nanotape.capture.listing import RingFacts
from nanotape.tui.app import Top
from nanotape.tui.delays import Bound, RingDelays, Spread, ring_delays
from nanotape.tui.latency_rows import bound_text, caption, histogram_lines, latency_rows, short_time
from nanotape.tui.picture import RingPicture

BEFORE = (0,) * 9 + (900, 90, 9, 1) + (0,) * 27
AFTER = (0,) * 9 + (1000, 190, 9, 1) + (0,) * 27


def measured(
    counts: tuple[int, ...], gaps: LoopGaps | None, longest_ns: int = 3000, base: RingFacts = RING
) -> RingFacts:
    source = base.sources[0]
    changed = replace(source.loop, delay_histogram=counts, delay_max_ns=longest_ns)
    return replace(base, sources=(replace(source, stamp_kind="xdp", loop=changed),), gaps=gaps)


def gaps(count: int, total_ns: int) -> LoopGaps:
    return LoopGaps(10_000, count, 70_000, total_ns, (0,) * 15 + (count,) + (0,) * 24)


def ring() -> RingPicture:
    first = measured(BEFORE, gaps(2, 50_000))
    return ring_picture(first, measured(AFTER, gaps(5, 110_000), base=later(first)))


def delays() -> RingDelays:
    shown = ring()
    assert shown.earlier is not None
    return ring_delays(shown.look.facts, shown.earlier.facts, 1.0)


def test_each_source_and_the_loop_have_a_row_of_now_and_one_since_the_start() -> None:
    rows = latency_rows([delays()])
    assert [(row.name, row.when) for row in rows] == [
        ("afxdp:eth1:0", "now"), ("afxdp:eth1:0", "start"), ("loop gaps", "now"), ("loop gaps", "start")
    ]  # fmt: skip
    assert rows[0].spread is not None
    assert rows[0].spread.total == 200
    assert rows[0].bounds == (Bound(512), Bound(1024), Bound(1024), Bound(1024))
    assert rows[1].bounds == (Bound(512), Bound(1024), Bound(2048), Bound(3000)), "the longest is known exactly"
    assert rows[3].bounds[3] == Bound(70_000)


@pytest.mark.parametrize(
    ("length_ns", "written"),
    [(0, "0 ns"), (999, "999 ns"), (2048, "2.05 us"), (33_554_432, "33.6 ms"), (8 * 10**9, "8 s")],
)
def test_times_have_three_digits_and_their_unit(length_ns: int, written: str) -> None:
    assert short_time(length_ns) == written
    assert bound_text(Bound(length_ns, is_at_most=False)) == f">{written}"
    assert bound_text(None) == "-"


def test_the_caption_of_the_loop_says_how_late_it_was_of_how_long() -> None:
    said = caption(delays(), "loop gaps", 3600.0)
    assert "5 rounds late by 10 us and more, longest 70 us, 0.0000% of 1 h 0 min" in said
    assert "3 in the last 1 s, 60 us together" in said
    assert "from the stamp (xdp)" in caption(delays(), "afxdp:eth1:0", 3600.0)


def test_bars_have_a_line_for_each_bucket_and_one_packet_is_seen_beside_a_million() -> None:
    lines = histogram_lines(Spread((0, 0, 1_000_000, 0, 1)), Spread((0, 1, 1_000_000, 0, 1)), 60)
    assert [line.split()[:2] for line in lines[1:]] == [["1", "ns"], ["2", "ns"], ["4", "ns"], ["8", "ns"]]
    bars = [line.count("█") for line in lines[1:]]
    assert bars[2] == 0
    assert 0 < bars[3] < bars[1]
    assert all(len(line) <= 62 for line in lines)
    assert histogram_lines(None, Spread((0, 0)), 60) == ["nothing was measured yet"]


def test_the_screen_shows_the_figures_and_the_chosen_rows_bars() -> None:
    async def play(app: Top, pilot: Pilot[None]) -> None:
        await pilot.press("3")
        await pilot.pause()
        shown = screen_text(app)
        line = next(line for line in shown.splitlines() if "afxdp:eth1:0" in line and "now" in line)
        assert line.split()[-9:] == ["200", "512", "ns", "1.02", "us", "1.02", "us", "1.02", "us"]
        assert "from the stamp (xdp)" in shown
        await pilot.press("down", "down")
        await pilot.pause()
        assert "3 in the last" in screen_text(app)

    driven(picture(ring()), play, refresh_s=60)


def test_without_a_ring_it_says_so_and_small_screens_break_nothing() -> None:
    async def play(app: Top, pilot: Pilot[None]) -> None:
        await pilot.press("3")
        await pilot.pause()
        assert "nothing to measure" in screen_text(app)
        await pilot.resize_terminal(20, 5)
        await pilot.pause()

    driven(picture(rings=()), play, refresh_s=60)

    async def shrink(app: Top, pilot: Pilot[None]) -> None:
        await pilot.press("3")
        await pilot.resize_terminal(20, 5)
        await pilot.pause()
        await pilot.resize_terminal(160, 50)
        await pilot.pause()
        assert "loop gaps" in screen_text(app)

    driven(picture(ring(), ring_picture(loop(replace(RING, name="second")))), shrink, refresh_s=60)
