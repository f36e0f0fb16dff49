"""Whose fault a gap is follows from what was counted around it, and nothing is claimed that nobody counted."""

from dataclasses import replace

import pytest

from nanotape.storage.books import Reading, RingReadings
from nanotape.storage.feed_attribution import Attribution, Blame
from nanotape.storage.feed_findings import Found
from nanotape.storage.settlement import Loss

SECOND_NS = 10**9
T0 = 1_792_000_000 * SECOND_NS
GAP = Found(
    kind="gap", stream=0, flow_id=1, session="S", key=None, session_before=None, seq_first=10, seq_last=19, packets=0,
    messages=10, ts_before_ns=T0 + 5 * SECOND_NS, ts_ns=T0 + 5 * SECOND_NS + 1000, ring_seq_before=100, ring_seq=101,
    flow_lost=0, ring_lost=0,
)  # fmt: skip
AFXDP = {"redirected": 1000, "rx_dropped": 3, "rx_ring_full": 7}
SOCKET = {"socket_drops": 5}


def readings(epoch: int = 1, interface: str = "eth1", **values: int | None) -> RingReadings:
    return RingReadings(epoch, 1, tuple(Reading("s", interface, stage, value) for stage, value in values.items()))


def blamed(gap: Found, before: RingReadings, after: RingReadings, *losses: Loss) -> Blame:
    attribution = Attribution()
    attribution.read(T0 + 4 * SECOND_NS, before)
    attribution.lost(losses)
    attribution.read(T0 + 6 * SECOND_NS, after)
    return attribution.blame(gap, "eth1")


def test_nothing_lost_after_xdp_is_upstream_whatever_others_lost() -> None:
    assert blamed(GAP, readings(**AFXDP), readings(**{**AFXDP, "rx_dropped": 9})) == Blame("upstream")


@pytest.mark.parametrize("stage", ["rx_dropped", "rx_ring_full"])
def test_what_the_flow_lost_before_the_ring_has_the_stage_that_grew(stage: str) -> None:
    after = readings(**{**AFXDP, stage: AFXDP[stage] + 4})
    assert blamed(replace(GAP, flow_lost=4), readings(**AFXDP), after) == Blame("ours", stage, 4)


@pytest.mark.parametrize("stage", ["recorder_lapped", "recorder_write", "archive"])
def test_what_the_ring_lost_in_between_has_the_stage_of_the_loss(stage: str) -> None:
    gap = replace(GAP, ring_seq=151, ring_lost=50, flow_lost=10)
    losses = (Loss(1, 50, 50, "recorder_lapped"), Loss(101, 120, 20, stage), Loss(121, 150, 30, stage))
    assert blamed(gap, readings(**AFXDP), readings(**AFXDP), *losses) == Blame("ours", stage, 10)


def test_of_several_stages_the_one_that_lost_most_is_named_and_all_are_told() -> None:
    gap = replace(GAP, ring_seq=111, ring_lost=10, flow_lost=30)
    after = readings(**{**AFXDP, "rx_ring_full": 47})
    found = blamed(gap, readings(**AFXDP), after, Loss(101, 110, 10, "recorder_write"))
    assert (found.cause, found.stage, found.packets) == ("ours", "rx_ring_full", 30)
    assert found.detail == "lost about then, of all channels: recorder_write 10, rx_ring_full 40"


def test_a_sockets_drops_are_ours_and_their_number_is_not_known_by_channel() -> None:
    found = blamed(GAP, readings(**SOCKET), readings(socket_drops=8))
    assert (found.cause, found.stage, found.packets) == ("ours", "socket_drops", None)
    assert found.detail == "lost about then, of all channels: socket_drops 3"
    assert blamed(GAP, readings(**SOCKET), readings(**SOCKET)) == Blame("upstream")


def test_another_interfaces_counters_do_not_matter() -> None:
    assert (
        blamed(GAP, readings(interface="eth2", **SOCKET), readings(interface="eth2", socket_drops=8)).cause == "unknown"
    )


def test_what_nobody_counts_is_unknown() -> None:
    assert blamed(GAP, readings(offered=None), readings(offered=None)) == Blame("unknown")
    assert Attribution().blame(GAP, "eth1") == Blame("unknown")
    assert blamed(replace(GAP, flow_lost=None), readings(**SOCKET), readings(**SOCKET)) == Blame("unknown")


def test_a_capture_or_ring_that_began_anew_was_away() -> None:
    gap = replace(GAP, flow_lost=None)
    assert blamed(gap, readings(1, **SOCKET), readings(2, **SOCKET)).stage == "not_running"
    assert blamed(replace(gap, ring_seq_before=0), readings(**SOCKET), readings(**SOCKET)).stage == "not_running"


def test_a_gap_is_judged_by_the_readings_nearest_to_it_however_many_came_since() -> None:
    attribution = Attribution()
    for second in range(20):
        dropped = 3 + (second > 5) * 4 + (second > 12) * 100
        attribution.read(T0 + second * SECOND_NS, readings(**{**AFXDP, "rx_dropped": dropped}))
        if second > 5:
            found = attribution.blame(replace(GAP, flow_lost=4, ts_ns=GAP.ts_before_ns + 1), "eth1")
            assert found == Blame("ours", "rx_dropped", 4)
    later = replace(GAP, flow_lost=100, ts_before_ns=T0 + 12 * SECOND_NS, ts_ns=T0 + 12 * SECOND_NS + 1)
    assert attribution.blame(later, "eth1").stage == "rx_dropped"
    assert attribution.blame(replace(later, flow_lost=2), "eth2") == Blame("ours", None, 2, None), (
        "what another interface dropped is not meant"
    )
