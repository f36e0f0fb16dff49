"""The bound of each packet is held against a plain twin that looks at one packet after the other."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from clock_lines import SECOND_NS, sample
from clock_twin import bound_of
from hypothesis import given, settings
from hypothesis import strategies as st
from recorder_bench import HandClock

from nanotape.storage import clock_bounds
from nanotape.storage.clock_bounds import ClockBounds
from nanotape.storage.clock_entries import ClockSample
from nanotape.storage.clock_interfaces import ClockInterfaces

T = 1_795_207_020_000_000_000
KINDS = ("nic", "xdp", "kernel", "user", "file")
INTERFACES = {0: "eth8", 1: "eth9"}
CLOCKS = {"eth8": "ptp0", "eth9": "ptp1"}
Packet = tuple[int, str, int]
"""Stamp, kind, slot of its source."""


def batch(packets: Sequence[Packet]) -> pa.RecordBatch:
    codes = pa.array([KINDS.index(kind) for _, kind, _ in packets], pa.int32())
    return pa.RecordBatch.from_pydict(
        {
            "ts": pa.array([ts for ts, _, _ in packets], pa.int64()).cast(pa.timestamp("ns", "UTC")),
            "ts_kind": pa.DictionaryArray.from_arrays(codes, pa.array(KINDS)),
            "source": pa.array([slot for _, _, slot in packets], pa.uint8()),
        }
    )


def errors(samples: Sequence[ClockSample], packets: Sequence[Packet], parts: int = 1) -> list[int | None]:
    bounds = ClockBounds()
    for part in np.array_split(np.arange(len(samples)), parts):
        bounds.take([samples[at] for at in part])
    column = bounds.errors(batch(packets), INTERFACES.get)
    assert column.type == pa.int64()
    column.validate(full=True)
    return column.to_pylist()  # type: ignore[no-any-return]


def one(samples: Sequence[ClockSample], after_ns: int, kind: str = "xdp", slot: int = 0) -> int | None:
    [found] = errors(samples, [(T + after_ns, kind, slot)])
    return found


def test_a_bound_grows_from_its_sample_on_and_is_rounded_up() -> None:
    samples = [sample(T, 100, growth_ppb=1000)]
    assert one(samples, 0) == 100 + 0 + 1
    assert one(samples, 1) == 100 + 1 + 1, "0.000001 ns is rounded up"
    assert one(samples, SECOND_NS // 2) == 100 + 500 + 1
    assert one(samples, 5 * SECOND_NS) == 100 + 5000 + 1


def test_there_is_none_before_the_first_sample_or_long_after_the_last() -> None:
    samples = [sample(T, 100)]
    assert one([], 0) is None
    assert one(samples, -1) is None
    assert one(samples, 5 * SECOND_NS + 1) is None
    assert one([*samples, sample(T + 20 * SECOND_NS)], 5 * SECOND_NS + 1) is None


def test_a_later_sample_that_is_near_has_its_say_if_it_is_worse() -> None:
    worse = [sample(T, 100, growth_ppb=0), sample(T + 3 * SECOND_NS, 9000)]
    assert one(worse, SECOND_NS) == 9001, "2 s before it"
    assert one(worse, SECOND_NS - 1) == 101
    better = [sample(T, 100, growth_ppb=1000), sample(T + SECOND_NS, 50)]
    assert one(better, SECOND_NS - 1) == 100 + 1000 + 1
    assert one(better, SECOND_NS) == 51


def test_what_is_unknown_in_either_sample_stays_unknown() -> None:
    assert one([sample(T, None)], 0) is None
    assert one([sample(T, 100, growth_ppb=None)], 0) is None
    assert one([sample(T, 100), sample(T + SECOND_NS, None)], 1) is None
    assert one([sample(T, 100, growth_ppb=0), sample(T + 3 * SECOND_NS, None)], 1) == 101
    assert one([sample(T, None), sample(T + SECOND_NS, 100)], 1) is None


def test_each_stamp_is_held_against_the_clock_that_made_it() -> None:
    samples = [
        sample(T, 1000, interface="eth8", growth_ppb=0),  # the system clock, whose master is heard there
        sample(T, 20, "ptp0", interface="eth8", growth_ppb=0),
        sample(T, 70, "ptp1", interface="eth9", growth_ppb=0),
    ]
    packets = [(T, kind, slot) for slot in (0, 1, 2, 7) for kind in KINDS]
    assert errors(samples, packets) == [
        28, 1001, 1001, 1001, None,
        78, 1001, 1001, 1001, None,
        None, 1001, 1001, 1001, None,
        None, 1001, 1001, 1001, None,
    ]  # fmt: skip
    assert errors(samples[:1], packets[:2]) == [None, 1001], "a NIC's clock that nobody looks at is unknown"


def test_interfaces_that_share_a_clock_have_its_bound(tmp_path: Path) -> None:
    clock, state = HandClock(), tmp_path / "state.json"
    bounds = ClockBounds(ClockInterfaces(tmp_path, clock).phc_of)
    bounds.take([sample(T, 20, "ptp0", interface="eth9", growth_ppb=0), sample(T, 5000)])
    packets = batch([(T, "nic", 0), (T, "nic", 1), (T, "nic", 2)])

    def found() -> list[int | None]:
        clock.sleep(1)
        return bounds.errors(packets, INTERFACES.get).to_pylist()  # type: ignore[no-any-return]

    assert found() == [None, 28, None]
    for told in ("", "{}", "[]", '{"interfaces": [3]}', '{"interfaces": [{"interface": "eth8", "phc": null}]}'):
        state.write_text(told)
        assert found() == [None, 28, None]
    state.write_text(json.dumps({"interfaces": [{"interface": name, "phc": "ptp0"} for name in ("eth8", "eth9")]}))
    assert found() == [28, 28, None]
    state.unlink()
    clock.sleep(60)
    assert found() == [28, 28, None], "a service that ends takes no clock with it"


def test_a_clock_that_was_set_back_voids_what_was_said_of_the_time_after() -> None:
    samples = [sample(T + at * SECOND_NS, 100 + at, growth_ppb=0) for at in range(10)]
    samples += [sample(T + 3 * SECOND_NS, 5000, growth_ppb=0)]
    assert one(samples, 9 * SECOND_NS) is None
    assert one(samples, 4 * SECOND_NS) == 5001
    assert one(samples, SECOND_NS - 1) == 102


@pytest.mark.parametrize("growth", [0, 10**9])
def test_the_largest_bounds_do_not_overflow(growth: int) -> None:
    assert one([sample(T, 2**61, growth_ppb=growth)], 5 * SECOND_NS) == 2**61 + 5 * growth + 1
    assert one([sample(T, 2**61, growth_ppb=growth)], 2**63 - 1 - T) is None


def test_no_packets_have_no_bounds() -> None:
    assert errors([sample(T)], []) == []


OFFSETS = st.one_of(
    st.integers(-3 * SECOND_NS, 12 * SECOND_NS),
    st.builds(lambda second, by: second * SECOND_NS + by, st.integers(-3, 12), st.integers(-1, 1)),
)
SAMPLES = st.lists(
    st.builds(
        lambda after, error, growth, clock: sample(
            T + after, error, clock, growth_ppb=growth, interface={v: k for k, v in CLOCKS.items()}.get(clock)
        ),
        OFFSETS,
        st.one_of(st.none(), st.integers(0, 5000), st.just(2**61)),
        st.one_of(st.none(), st.integers(0, 3000), st.just(10**9)),
        st.sampled_from(["system", "system", "ptp0", "ptp1"]),
    ),
    max_size=12,
)
PACKETS = st.one_of(
    st.lists(st.tuples(OFFSETS, st.sampled_from(KINDS), st.integers(0, 3)), min_size=1, max_size=20),
    st.lists(st.tuples(OFFSETS, st.just("xdp"), st.just(0)), min_size=1, max_size=20),
    st.builds(
        lambda begin, steps: [(begin + step, "xdp", 0) for step in steps],
        OFFSETS,
        st.lists(st.integers(0, 10_000), min_size=1, max_size=20),
    ),
)


@settings(max_examples=250, deadline=None)
@given(SAMPLES, PACKETS, st.booleans(), st.integers(1, 4))
def test_every_bound_is_the_twins(
    samples: list[ClockSample], offsets: list[Packet], is_sorted: bool, parts: int
) -> None:
    samples = sorted(samples, key=lambda each: each.at_ns) if is_sorted else samples
    packets = [(T + after, kind, slot) for after, kind, slot in offsets]
    expected = [bound_of(samples, ts, kind, INTERFACES.get(slot)) for ts, kind, slot in packets]
    assert errors(samples, packets, parts) == expected


def test_the_twin_notices_where_a_later_sample_is_not_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = [sample(T, 100), sample(T + SECOND_NS, 9000)]
    expected = [bound_of(samples, T + 1, "xdp", None)]
    assert errors(samples, [(T + 1, "xdp", 0)]) == expected
    monkeypatch.setattr(clock_bounds, "NEAR_NS", 0)
    assert errors(samples, [(T + 1, "xdp", 0)]) != expected
