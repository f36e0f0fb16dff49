"""The overview says what the counters say, fits its width, and puts what is wrong first."""

from __future__ import annotations

from dataclasses import replace

import crafted_looks
import pytest
from crafted_looks import NOW_NS, RING, SECOND_NS, later, stats
from pictures import driven, picture, ring_picture, screen_text
from textual.pilot import Pilot

from nanotape.capture.finding import Finding, Severity
from nanotape.capture.findings import unreadable
from nanotape.capture.listing import UnreadableRing
from nanotape.capture.recorded_feeds import RecordedFeeds, RecordedTraffic
from nanotape.tui import snapshot
from nanotape.tui.app import Top
from nanotape.tui.overview_lines import overview_lines
from nanotape.tui.picture import Picture, RateHistory, SourceLoad
from nanotape.tui.ring_rates import ring_rates

LOADS = (SourceLoad("afxdp:eth1:0", "eth1", "afxdp", 0, 0.25, 10**9),)
TOLD = RecordedTraffic(peak_packets_per_s=4000, peak_bits_per_s=8_000_000, peak_1ms_packets=12, peak_1ms_bits=24_000)
FULL = ring_picture(loads=LOADS, busy=0.25, feeds=RecordedFeeds(NOW_NS, {}, (), TOLD))


def text(seen: Picture, width: int = 80) -> str:
    return "\n".join(line.plain for line in overview_lines(seen, width))


@pytest.mark.parametrize("width", [1, 20, 79, 80, 119, 120, 160, 300])
def test_no_line_is_wider_than_the_screen(width: int) -> None:
    losing = ring_picture(second=stats(later(), rx_dropped=7, rx_ring_full=1_000_000))
    for seen in (picture(FULL, losing), picture(rings=())):
        assert all(line.cell_len <= width for line in overview_lines(seen, width))


def test_rates_are_beside_what_the_line_carries_on_the_wire() -> None:
    rates = ring_rates(FULL)
    assert (rates.packets_s, rates.bits_s) == (500, 500 * 242 * 8)
    assert rates.share == pytest.approx(500 * (242 + 24) * 8 / 1e9)
    assert rates.peak_share == pytest.approx((8_000_000 + 4000 * 192) / 1e9)
    assert (rates.burst_packets, rates.burst_packets_s, rates.burst_bits_s) == (12, 12_000, 24_000_000)
    shown = text(picture(FULL))
    assert "peak 1 s    4.00k/s    8.00 Mbit/s    0.9% of line   since its recorder began" in shown
    assert "peak 1 ms    12.0k/s    24.0 Mbit/s" in shown
    assert "25.0% busy" in shown


def test_without_a_recorder_that_tells_the_peaks_are_of_what_was_seen() -> None:
    seen = replace(FULL, feeds=None, rates=RateHistory((500.0,), (1e6,), (0.0,), 777.0, 1e6))
    rates = ring_rates(seen)
    assert (rates.peak_packets_s, rates.burst_packets) == (777.0, None)
    assert "777/s" in text(picture(seen))
    stale = replace(FULL, feeds=RecordedFeeds(NOW_NS - 60 * SECOND_NS, {}, (), TOLD))
    assert ring_rates(stale).burst_packets is None


def test_the_line_rate_is_of_all_interfaces_once_and_unknown_where_one_is() -> None:
    queues = (*LOADS, replace(LOADS[0], queue=1), replace(LOADS[0], interface="eth2"))
    assert ring_rates(replace(FULL, loads=queues)).line_rate_bps == 2 * 10**9
    unknown = (*LOADS, replace(LOADS[0], interface="veth0", line_rate_bps=None))
    assert ring_rates(replace(FULL, loads=unknown)).line_rate_bps is None
    assert ring_rates(replace(FULL, loads=(replace(LOADS[0], kind="pcap"),))).line_rate_bps is None


def test_losses_are_told_by_stage_now_in_the_minute_and_since_the_start() -> None:
    lost = ring_picture(stats(RING, rx_dropped=90), stats(later(), rx_dropped=97))
    lost = replace(lost, lost_minute={"rx_dropped": 55}, lost_minute_s=60.0)
    assert "rx_dropped 97 (55 in 1 min)" in text(picture(lost))
    row = next(line for line in text(picture(lost), 160).splitlines() if line.startswith("  rx_dropped"))
    assert row.split()[1:4] == ["7", "55", "97"]
    unknown = next(line for line in text(picture(lost), 160).splitlines() if line.startswith("  socket_drops"))
    assert unknown.split()[1:4] == ["-", "-", "-"], "this kind of source does not count them"


def test_the_first_errors_are_above_the_rings_with_what_to_do() -> None:
    lines = text(picture(ring_picture(second=stats(later(), rx_dropped=7))), 110).splitlines()
    assert lines[1].startswith("ERROR main: losing packets before the ring: rx_dropped 7")
    assert lines[2].strip().startswith("do: raise source.descriptors")
    assert lines.index(next(line for line in lines if line.startswith("main  capturing"))) > 2


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
def test_no_escape_sequence_of_others_reaches_the_terminal(size: tuple[int, int]) -> None:
    order = "x\x1b]0;owned\x07\x1b[2J\n"
    bad = UnreadableRing(order, order, order)
    loads = (replace(LOADS[0], name=order, interface=order),)
    hostile = picture(replace(FULL, name=order, loads=loads), unreadable=(bad,), headline=order, absent=(order,))
    hostile = replace(hostile, findings=(unreadable(bad),))
    assert all(each.isprintable() for each in snapshot.once_lines(hostile))

    async def play(app: Top, pilot: Pilot[None]) -> None:
        for strip in app.screen._compositor.render_strips():
            assert "\x1b]0;owned" not in strip.text
            assert "\x1b[2J" not in strip.text
        assert "x?]0;owned" in screen_text(app)

    driven(hostile, play, size)


def test_it_says_plainly_that_there_is_nothing_to_watch() -> None:
    async def play(app: Top, pilot: Pilot[None]) -> None:
        seen = screen_text(app)
        assert "nothing is captured: there is no ring in" in seen
        assert "There is nothing to watch. nanotape run captures" in seen

    driven(picture(rings=()), play)


def test_it_is_drawn_anew_when_the_terminal_grows() -> None:
    async def play(app: Top, pilot: Pilot[None]) -> None:
        assert "lost at" not in screen_text(app)
        await pilot.resize_terminal(160, 50)
        await pilot.pause()
        assert "lost at" in screen_text(app)
        await pilot.resize_terminal(20, 5)
        await pilot.pause()

    driven(picture(ring_picture(crafted_looks.RING)), play)


@pytest.mark.parametrize("width", [30, 80])
def test_of_a_long_finding_the_end_is_seen_too(width: int) -> None:
    finding = Finding(
        Severity.ERROR, "main", "not recording: " + "it hangs " * 20 + "lapped in 7 s", "see " * 40 + "dmesg"
    )
    shown = text(picture(findings=(finding,)), width)
    assert " ".join(f"ERROR main: {finding.what} do: {finding.do}".split()) in " ".join(shown.split())
