"""By how much a line is ahead is what the stamps say, whatever the batches, losses and copies."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanotape.capture.counters import Flow
from nanotape.storage import line_skew
from nanotape.storage.line_skew import CLASSES, WAIT_NS, LineSkew

MS = 10**6
SESSIONS = ["s", "another"]
Arrival = tuple[int, int, int | None]
"""Stamp, flow, sequence."""


def flows(*channels: str) -> list[Flow]:
    rest = ("moldudp64", "incremental", "eth1", "239.0.0.1", None, 1, None)
    return [Flow(at + 1, "feed", name, "ABC"[channels[:at].count(name)], *rest) for at, name in enumerate(channels)]


def skew(*channels: str) -> LineSkew:
    made = LineSkew()
    made.set_flows(flows(*channels))
    return made


def take(into: LineSkew, arrivals: list[Arrival], session: str | None = "s", messages: int = 3) -> None:
    rows = len(arrivals)
    code = None if session is None else SESSIONS.index(session)  # the decoder's codes stay
    names: Any = pa.DictionaryArray.from_arrays(pa.array([code] * rows, pa.int32()), pa.array(SESSIONS))
    columns = {
        "feed_session": names,
        "feed_key": pa.nulls(rows, pa.string()).dictionary_encode(),
        "feed_seq": pa.array([seq for _, _, seq in arrivals], pa.int64()),
        "feed_count": pa.array([None if seq is None else messages for _, _, seq in arrivals], pa.uint16()),
    }
    ts, ids = (np.array([each[at] for each in arrivals], np.int64) for at in (0, 1))
    into.take(ids.astype(np.uint32), ts, columns)


def class_of(delay_ns: int) -> int:
    return min(delay_ns.bit_length(), CLASSES - 1)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-50_000, 50_000), st.booleans(), st.booleans()), min_size=1, max_size=60),
    st.integers(1, 7),
)
def test_each_pair_counts_once_for_the_line_that_was_first(plan: list[tuple[int, bool, bool]], pieces: int) -> None:
    """Of each sequence: how much later B comes, whether A or B is lost; A comes twice."""
    arrivals: list[Arrival] = []
    expected: dict[int, list[int]] = {}
    for seq, (later, lacks_a, lacks_b) in enumerate(plan, 1):
        at = seq * MS
        arrivals += [] if lacks_a else [(at, 1, seq), (at + 200_000, 1, seq)]
        arrivals += [] if lacks_b else [(at + later, 2, seq)]
        if not lacks_a and not lacks_b and later != 0:
            expected.setdefault(1 if later > 0 else 2, []).append(abs(later))
        elif not lacks_a and not lacks_b:
            expected.setdefault(0, []).append(0)
    arrivals.sort()
    made = skew("c", "c")
    size = -(-len(arrivals) // pieces) or 1
    for at in range(0, len(arrivals), size):
        take(made, arrivals[at : at + size])
    told = made.tell()
    counted = {flow: sum(each["skew_log2"]) for flow, each in told.items()}
    ties = len(expected.pop(0, []))
    assert sum(counted.values()) == ties + sum(map(len, expected.values()))
    for flow, delays in expected.items():
        for of_class in {class_of(each) for each in delays}:
            wanted = sum(class_of(each) == of_class for each in delays)
            assert told[flow]["skew_log2"][of_class] == wanted
        if not ties:
            assert told[flow]["lead_p50_ns"] == sorted(delays)[(len(delays) - 1) // 2]


def test_other_channels_sessions_and_what_is_not_decoded_are_no_copies() -> None:
    made = skew("one", "two", "one", "alone")
    take(made, [(1, 1, 5), (2, 2, 5), (3, 4, 5), (4, 3, None), (5, 1, None), (6, 0, 5), (7, 99, 5)])
    assert made.tell() == {}
    take(made, [(7, 3, 5)], messages=0)  # a heartbeat: what comes next has that sequence
    take(made, [(7, 3, 5)], session="another")
    take(made, [(8, 3, 5)])
    assert made.tell() == {1: {"lead_p50_ns": 7, "skew_log2": [0, 0, 0, 1]}}


def test_what_comes_too_late_is_no_copy_and_a_third_line_counts_nothing_more() -> None:
    made = skew("c", "c", "c")
    take(made, [(0, 1, 1), (WAIT_NS + 1, 2, 1)])
    assert made.tell() == {}
    take(made, [(2 * WAIT_NS, 2, 2), (2 * WAIT_NS + 3, 1, 2)])
    take(made, [(2 * WAIT_NS + 900, 3, 2), (2 * WAIT_NS + 950, 1, 2)])
    assert made.tell() == {2: {"lead_p50_ns": 3, "skew_log2": [0, 0, 1]}}


def test_the_median_is_of_the_last_seconds_and_the_histogram_of_all() -> None:
    made = skew("c", "c")
    take(made, [(0, 1, 1), (1000, 2, 1)])
    take(made, [(11 * 10**9, 1, 2), (11 * 10**9 + 4, 2, 2)])
    [told] = made.tell(20 * 10**9).values()
    assert told["lead_p50_ns"] == 4
    [later] = made.tell(22 * 10**9).values()
    assert (later["lead_p50_ns"], later["skew_log2"]) == (None, told["skew_log2"])
    assert sum(told["skew_log2"]) == 2


def test_of_many_packets_the_same_few_sequences_are_looked_at_on_each_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_skew, "_SAMPLES_MAX", 128)
    made = skew("c", "c")
    pairs = 0
    for second in range(4):
        arrivals = []
        for seq in range(2_000):
            at = second * 10**9 + seq * 400_000
            arrivals += [(at, 1, second * 2_000 + seq), (at + 700, 2, second * 2_000 + seq)]
        take(made, arrivals)
    [told] = made.tell().values()
    pairs = sum(told["skew_log2"])
    assert told["lead_p50_ns"] == 700
    assert 4 * 32 <= pairs <= 4 * 128
    assert made.one_in >= 32
