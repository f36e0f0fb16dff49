"""The native follower of sequences finds what its plain twin finds, in any order of packets."""

from __future__ import annotations

import os
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tracking_rig import CODES, IDLE, LOOP, Sent, assert_same

STATUSES = list(CODES)
ANYTHING = st.builds(
    Sent,
    after_ns=st.sampled_from([1, 1, 1_000_000, 9_999_999, 10_000_001]),
    flow=st.sampled_from([1, 1, 2, LOOP]),
    status=st.sampled_from(["data"] * 8 + STATUSES),
    session=st.sampled_from([5, 5, 5, 6]),
    key=st.sampled_from([0, 0, 1]),
    seq=st.one_of(st.integers(0, 30), st.integers(0, 30), st.sampled_from([IDLE, 1_000, 1_030, 1_600, 1 << 40])),
    count=st.integers(0, 5),
)


@given(st.lists(ANYTHING, max_size=60), st.sampled_from([1, 7, 1_000]))
@settings(max_examples=250, deadline=None)
def test_any_packets_in_any_order_are_followed_alike(sent: list[Sent], at_once: int) -> None:
    assert_same(sent, at_once=at_once)


@pytest.mark.slow
@given(st.lists(ANYTHING, max_size=60), st.sampled_from([1, 7, 1_000]))
@settings(max_examples=6_000, deadline=None)
def test_many_packets_in_any_order_are_followed_alike(sent: list[Sent], at_once: int) -> None:
    assert_same(sent, at_once=at_once)


def feed_with_faults(seed: int, packets: int) -> list[Sent]:
    """A long feed of two sessions, two keys and two lines: losses, late ones, doubles, resets, retransmissions."""
    chance = random.Random(seed)
    following = {(flow, key): 1 for flow in (1, 2) for key in (0, 1)}
    session = dict.fromkeys((1, 2), 5)
    kept: list[Sent] = []
    sent: list[Sent] = []
    while len(sent) < packets:
        flow, key = chance.choice(list(following))
        seq, count = following[flow, key], chance.randint(1, 4)
        each = Sent(chance.choice([1, 1_000, 700_000]), flow, "data", session[flow], key, seq, count)
        dice = chance.random()
        if dice < 0.75:
            following[flow, key] += count
            (kept if chance.random() < 0.1 else sent).append(each)
        elif dice < 0.83 and kept:
            sent.append(kept.pop(chance.randrange(len(kept))))
        elif dice < 0.88 and sent:
            sent.append(chance.choice(sent[-200:]))
        elif dice < 0.91 and kept:
            late = kept[-1]
            sent.append(Sent(1, late.flow, "retransmit", late.session, late.key, late.seq, late.count))
        elif dice < 0.97:
            status = chance.choice(["heartbeat", "heartbeat", "heartbeat", "end", "unsequenced", "bad"])
            sent.append(Sent(1_000, flow, status, session[flow], key, seq, 0))
        elif dice < 0.975:
            sent.append(Sent(1, flow, "reset", session[flow], key, 1, 1))
            following[flow, key] = 2
        elif dice < 0.98:
            following[flow, key] = 1
        elif dice < 0.985:
            session[flow] = chance.randint(5, 9)
            following[flow, 0] = following[flow, 1] = 1
        elif dice < 0.99:
            following[flow, key] += chance.randint(1, 300)
    return sent


LONG = int(os.environ.get("NANOTAPE_TWIN_SEEDS", "150"))


@pytest.mark.parametrize("seed", range(4))
def test_a_feed_with_every_fault_is_followed_alike(seed: int) -> None:
    found = assert_same(feed_with_faults(seed, 1_500), at_once=100)
    assert {each.kind for each in found} >= {"gap", "reorder", "late", "duplicate", "reset", "session", "end"}


@pytest.mark.slow
def test_many_feeds_with_every_fault_are_followed_alike() -> None:
    for seed in range(LONG):
        assert_same(feed_with_faults(1_000 + seed, 3_000), at_once=64)


@pytest.mark.parametrize("gaps", [62, 63, 64, 65, 130])
def test_as_many_open_gaps_as_can_be_are_followed_alike(gaps: int) -> None:
    missing = [Sent(1, 1, "data", 5, 0, 1 + 10 * each, 1) for each in range(gaps + 1)]
    late = [Sent(1, 1, "data", 5, 0, 10 * each + 5, 1) for each in range(gaps)]
    assert_same(missing + late)


def test_a_run_of_packets_from_far_back_is_followed_alike() -> None:
    before = [Sent(1, 1, "data", 5, 0, 1, 1_300)]
    again = [Sent(1, 1, "data", 5, 0, 2 + each, 1) for each in range(100)]
    found = assert_same(before + again)
    assert [each.kind for each in found].count("duplicate") == 63
