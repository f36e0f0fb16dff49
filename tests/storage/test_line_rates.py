"""Rates and peaks of lines are those of a plain count over the packets."""

from collections import Counter
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nanotape.storage.line_rates import LineRates
from nanotape.storage.traffic_sums import UNDECODED, StampedPackets, summed_up

S = 10**9
KEYS = 3
Packet = tuple[int, int, int]
"""Key, stamp in ns, bytes."""


def sums(packets: list[Packet], first: int = 2) -> Any:
    keys, ts, sizes = (np.array(each, np.int64) for each in zip(*packets, strict=True))
    rows = len(packets)
    delays, messages = np.zeros(rows, np.int64), np.full(rows, 2, np.int64)
    messages[keys == 2] = UNDECODED
    return summed_up(StampedPackets(keys, ts, sizes, delays, messages, np.full(rows, first, np.int64), rows), KEYS)


packet = st.tuples(st.integers(0, KEYS - 1), st.integers(0, S - 1), st.integers(60, 1500))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(packet, min_size=1, max_size=30), min_size=2, max_size=4))
def test_rates_are_of_the_newest_second_and_peaks_of_all(by_second: list[list[Packet]]) -> None:
    packets = [[(key, second * S + ts, size) for key, ts, size in each] for second, each in enumerate(by_second)]
    rates = LineRates()
    for each in packets[:-1]:
        rates.take(sums(each), KEYS)
    half = max(1, len(packets[-1]) // 2)  # the newest second comes in two parts
    rates.take(sums(packets[-1][:half]), KEYS)
    if packets[-1][half:]:
        rates.take(sums(packets[-1][half:]), KEYS)
    told = rates.tell(len(packets) * S, is_caught_up=True)
    everything = [each for second in packets for each in second]
    for key in [*range(KEYS), None]:
        mine = [each for each in everything if key is None or each[0] == key]
        facts = told.of_ring() if key is None else told.of_line(key, is_decoded=key != 2)
        newest = [each for each in mine if each[1] // S == len(packets) - 1]
        assert facts["packets_per_s"] == len(newest)
        assert facts["bits_per_s"] == 8 * sum(each[2] for each in newest)
        assert facts["peak_packets_per_s"] == max(Counter(each[1] // S for each in mine).values(), default=0)
        octets: Counter[int] = Counter()
        for _, ts, size in mine:
            octets[ts // S] += size
        assert facts["peak_bits_per_s"] == 8 * max(octets.values(), default=0)
        if key is not None:
            assert facts["messages_per_s"] == (None if key == 2 else 2 * len(newest))


def test_a_peak_of_the_ring_is_of_all_lines_in_the_same_millisecond() -> None:
    rates = LineRates()
    rates.take(sums([(0, 100, 60), (1, 200, 60), (1, 300, 60), (0, 5_000_000, 60)]), KEYS)
    rates.take(sums([(0, S, 100)]), KEYS)
    ring = rates.tell(2 * S, is_caught_up=True).of_ring()
    assert (ring["peak_1ms_packets"], ring["peak_1ms_bits"]) == (3, 3 * 60 * 8)
    assert (ring["second_peak_1ms_packets"], ring["second_peak_1ms_bits"]) == (1, 800)
    assert ring["second_ns"] == S
    line = rates.tell(2 * S, is_caught_up=True).of_line(1, is_decoded=True)
    assert (line["peak_1ms_packets"], line["packets_per_s"]) == (2, 0)


def test_the_second_in_whose_midst_it_began_says_no_rate() -> None:
    rates = LineRates()
    assert rates.tell(S, is_caught_up=True).of_ring() == {}
    rates.take(sums([(0, 5, 60)]), KEYS)
    assert rates.tell(S, is_caught_up=True).of_line(0, is_decoded=True)["packets_per_s"] is None
    assert rates.tell(S, is_caught_up=True).of_line(None, is_decoded=True)["packets_per_s"] is None


def test_what_is_quiet_has_a_rate_of_0_unless_it_may_be_in_the_ring_still() -> None:
    rates = LineRates()
    for second in range(2):
        rates.take(sums([(0, second * S, 60)]), KEYS)
    for later_s, is_caught_up, expected in ((2, True, 1), (5, True, 0), (5, False, 1)):
        told = rates.tell(later_s * S, is_caught_up=is_caught_up)
        assert told.of_line(0, is_decoded=True)["packets_per_s"] == expected
        assert told.of_ring()["bits_per_s"] == expected * 480
        assert told.of_line(0, is_decoded=True)["peak_packets_per_s"] == 1


def test_who_is_first_is_of_the_last_ten_seconds() -> None:
    rates = LineRates()
    rates.take(sums([(0, 0, 60)] * 4, first=0), KEYS)
    rates.take(sums([(0, 5 * S, 60)], first=1), KEYS)
    assert rates.tell(6 * S, is_caught_up=True).of_line(0, is_decoded=True)["first_share"] == 0.2
    rates.take(sums([(1, 12 * S, 60)]), KEYS)
    told = rates.tell(13 * S, is_caught_up=True)
    assert told.of_line(0, is_decoded=True)["first_share"] == 1.0
    assert told.of_line(1, is_decoded=True)["first_share"] is None, "of no packet it is known"
    for later_s, is_caught_up, expected in ((22, True, 1.0), (23, True, None), (23, False, 1.0)):
        told = rates.tell(later_s * S, is_caught_up=is_caught_up)
        assert told.of_line(0, is_decoded=True)["first_share"] == expected


def test_a_stamp_of_a_wrong_clock_is_not_the_newest_for_ever() -> None:
    rates = LineRates()
    rates.take(sums([(0, 10**18, 60)]), KEYS)
    for second in range(3):
        rates.take(sums([(0, second * S, 60)]), KEYS)
    assert rates.tell(3 * S, is_caught_up=True).of_line(0, is_decoded=True)["packets_per_s"] == 1
