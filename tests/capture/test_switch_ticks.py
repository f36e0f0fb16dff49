"""Ticks of a switch's counter, and the keyframes that give them a time."""

from __future__ import annotations

import struct
from collections.abc import Iterable

import pytest
from frames import market_data
from ring_batch import Row, ring_batch
from switch_frames import (
    BASE,
    TS,
    S,
    arista_keyframe,
    arista_tick,
    exalink_keyframe,
    ixia,
    with_fcs,
)
from switch_rows import stamps_of, told

from nanotape.capture.switch_stamps import SwitchStamps
from nanotape.config.switch import SwitchSettings

COUNTER = (7 << 32) - 350_000_000  # so that the counter wraps after a second


@pytest.mark.parametrize("by_ip", [False, True])
@pytest.mark.parametrize("fcs", [False, True])
def test_exalink_ticks_are_counted_on_from_the_last_keyframe_over_a_wrap(by_ip: bool, fcs: bool) -> None:
    rows = [Row(exalink_keyframe(TS, COUNTER, by_ip=by_ip), TS + 100)]
    for after_ms in (0, 1, 500, 999, 1001, 2000):
        tick = (COUNTER + after_ms * 350_000) & 0xFFFFFFFF
        frame = BASE + struct.pack(">I", tick)
        rows.append(Row(with_fcs(frame) if fcs else frame, TS + after_ms * 10**6 + 50_000))
    found, _, counts = stamps_of(rows, SwitchSettings("exalink"))
    assert [stamp for stamp, _, _ in found] == [None] + [TS + ms * 10**6 for ms in (0, 1, 500, 999, 1001, 2000)]
    assert (counts.keyframes, counts.stamped) == (1, 6)


def test_an_older_exalink_keyframe_begins_with_the_number_one_and_comes_by_ip() -> None:
    tick = Row(BASE + struct.pack(">I", 350), TS)
    old = exalink_keyframe(TS, 0, by_ip=True, head=b"\1")
    assert stamps_of([Row(old, TS), tick], SwitchSettings("exalink"))[0][1][0] == TS + 1000
    for other in (exalink_keyframe(TS, 0, head=b"\1"), exalink_keyframe(TS, 0, by_ip=True, head=b"\2")):
        assert stamps_of([Row(other, TS), tick], SwitchSettings("exalink"))[2].keyframes == 0


def test_a_tick_just_before_its_keyframe_lies_before_it() -> None:
    rows = [Row(exalink_keyframe(TS, COUNTER), TS), Row(BASE + struct.pack(">I", (COUNTER - 350) & 0xFFFFFFFF), TS)]
    assert stamps_of(rows, SwitchSettings("exalink"))[0][1][0] == TS - 1000


@pytest.mark.parametrize("skew", [False, True])
def test_an_arista_7150_counts_31_bits_and_its_keyframe_names_the_device(skew: bool) -> None:
    counter = (5 << 31) - 350_000_000
    rows = [Row(arista_keyframe(TS, counter, device=9, skew=skew), TS)]
    for after_ms in (1, 999, 1500):
        frame = BASE + arista_tick(counter + after_ms * 350_000)
        rows.append(Row(with_fcs(frame), TS + after_ms * 10**6))
    found, _, _ = stamps_of(rows, SwitchSettings("arista-7150"))
    assert found[1:] == [(TS + ms * 10**6, 9, None) for ms in (1, 999, 1500)]


def test_of_two_devices_that_is_taken_whose_time_fits() -> None:
    counters = {1: 1000, 2: 900_000_000}
    rows = [Row(arista_keyframe(TS, counter, device=device), TS) for device, counter in counters.items()]
    for after, device in enumerate((1, 2, 1, 1, 2), 1):
        tick = counters[device] + after * 350_000
        rows.append(Row(BASE + arista_tick(tick), TS + after * 10**6))
    found, _, _ = stamps_of(rows, SwitchSettings("arista-7150"))
    assert found[2:] == [(TS + after * 10**6, device, None) for after, device in enumerate((1, 2, 1, 1, 2), 1)]


def test_without_a_keyframe_or_with_one_too_old_a_tick_is_null_and_counted() -> None:
    tick = BASE + struct.pack(">I", 5)
    rows = [Row(tick, TS), Row(exalink_keyframe(TS, 5), TS), Row(tick, TS + 1), Row(tick, TS + 13 * S)]
    found, flags, counts = stamps_of(rows, SwitchSettings("exalink"))
    assert [stamp for stamp, _, _ in found] == [None, None, TS, None]
    assert (counts.without_keyframe, counts.implausible, set(flags) - {64}) == (2, 0, {0})
    assert "found 2 exalink ticks without one" in (counts.complaint or "")


def test_the_first_frames_tell_whether_the_fcs_is_delivered() -> None:
    def frames(fcs: bool) -> Iterable[Row]:
        yield Row(exalink_keyframe(TS, 0), TS)
        for after in range(40):
            stamped = BASE + struct.pack(">I", after * 350)
            plain = market_data(b"y" * 60)
            yield Row(with_fcs(stamped) if fcs else stamped, TS + after * 1000)
            yield Row(with_fcs(plain) if fcs else plain, TS + after * 1000)

    for fcs in (False, True):
        found, _, counts = stamps_of(list(frames(fcs)), SwitchSettings("exalink"))
        assert [stamp for stamp, _, _ in found[1::2]] == [TS + after * 1000 for after in range(40)]
        assert {stamp for stamp, _, _ in found[2::2]} == {None}
        assert (counts.stamped, counts.implausible) == (40, 0)


def test_keyframes_serve_later_batches_and_every_source_of_their_interface() -> None:
    stamps = SwitchStamps(
        {"eth1": SwitchSettings("exalink"), "eth2": SwitchSettings("exalink"), "eth3": SwitchSettings()}
    )
    tick = BASE + struct.pack(">I", 350)
    stamps.columns(ring_batch([Row(exalink_keyframe(TS, 0), TS, source=0)]), ["eth1", "eth1", "eth2", "eth3"])
    rows = [Row(tick, TS, source=source) for source in range(6)]
    columns = stamps.columns(ring_batch(rows), ["eth1", "eth1", "eth2", "eth3", None])
    assert [stamp for stamp, _, _ in told(columns)] == [TS + 1000, TS + 1000, None, None, None, None]
    assert stamps.counts["eth2"].without_keyframe == 1
    assert set(stamps.counts) == {"eth1", "eth2"}
    assert stamps.is_needed
    assert not SwitchStamps({"eth3": SwitchSettings()}).is_needed


def test_keyframes_are_seen_among_what_is_left_out_and_nothing_else_is() -> None:
    stamps = SwitchStamps({"eth1": SwitchSettings("exalink")})
    tick = BASE + struct.pack(">I", 350)
    stamps.left_out(ring_batch([Row(tick, TS, flow_id=1), Row(exalink_keyframe(TS, 0), TS), Row(tick, TS)]), ["eth1"])
    assert (stamps.counts["eth1"].keyframes, stamps.counts["eth1"].without_keyframe) == (1, 0)
    assert told(stamps.columns(ring_batch([Row(tick, TS, flow_id=1)]), ["eth1"])) == [(TS + 1000, None, None)]
    whole = SwitchStamps({"eth1": SwitchSettings("ixia")})
    whole.left_out(ring_batch([Row(BASE + ixia(1_700_000_000, 1))]), ["eth1"])
    assert whole.counts["eth1"].stamped == 0
