"""Steps of the system clock are told from its slewing and from the noise of reading it."""

from __future__ import annotations

from itertools import cycle

from hypothesis import given
from hypothesis import strategies as st

from nanotape.capture.clock.host_time import HostTime, StepWatch


class Clocks:
    """Both go on with each read; UTC may be set."""

    def __init__(self, costs: list[int]) -> None:
        self.monotonic, self.offset = 0, 1_800_000_000 * 10**9
        self._costs = cycle(costs)

    def host(self) -> HostTime:
        return HostTime(lambda: self._go() + self.offset, self._go)

    def _go(self) -> int:
        self.monotonic += next(self._costs)
        return self.monotonic


@given(st.lists(st.integers(1, 40_000_000), min_size=3, max_size=40))
def test_being_off_the_core_between_two_reads_is_no_step(costs: list[int]) -> None:
    clocks = Clocks(costs)
    watch = StepWatch(clocks.host())
    assert [watch.look() for _ in range(5)] == [None] * 5


@given(st.integers(1_000_000, 10**15), st.booleans())
def test_a_step_is_told_once_with_its_size(size: int, forward: bool) -> None:
    clocks, step = Clocks([30, 50, 20]), size if forward else -size
    watch = StepWatch(clocks.host())
    clocks.offset += step
    told = watch.look()
    assert told is not None
    assert abs(told - step) <= 100
    assert watch.look() is None
    assert StepWatch(HostTime()).look() is None
