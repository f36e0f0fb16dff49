"""The bound of one packet, written down as docs/clock.md says it: the twin of `nanotape.storage.clock_bounds`."""

from collections.abc import Sequence
from fractions import Fraction
from math import ceil

from nanotape.storage.clock_entries import ClockSample

SECOND_NS = 10**9
GRANULARITY_NS = {"nic": 8, "xdp": 1, "kernel": 1, "user": 1}


def bound_of(samples: Sequence[ClockSample], ts_ns: int, kind: str, interface: str | None) -> int | None:
    """`ts_error_ns` of a packet whose source has this interface; samples in the order in which they were written."""
    if kind not in GRANULARITY_NS:
        return None
    of_clock = _of_clock(samples, None if kind == "nic" else "system", interface)
    before = [each for each in of_clock if each.at_ns <= ts_ns]
    after = [each for each in of_clock if each.at_ns > ts_ns]
    if not before or ts_ns - before[-1].at_ns > 5 * SECOND_NS:
        return None
    last = before[-1]
    if last.error_ns is None or last.growth_ppb is None:
        return None
    bound = last.error_ns + ceil(Fraction(last.growth_ppb * (ts_ns - last.at_ns), SECOND_NS))
    if after and after[0].at_ns - ts_ns <= 2 * SECOND_NS:
        if after[0].error_ns is None:
            return None
        bound = max(bound, after[0].error_ns)
    return bound + GRANULARITY_NS[kind]


def _of_clock(samples: Sequence[ClockSample], clock: str | None, interface: str | None) -> list[ClockSample]:
    """Those of a clock that still hold, by time; without its name that of the interface's NIC."""
    if clock is None:
        named = [each.clock for each in samples if each.clock != "system" and each.interface == interface]
        if interface is None or not named:
            return []
        clock = named[-1]
    held: list[ClockSample] = []
    for each in samples:
        if each.clock == clock:
            held = [earlier for earlier in held if earlier.at_ns < each.at_ns]
            held.append(each)
    return held
