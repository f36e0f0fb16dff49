"""The bound is held against clocks whose true error is known: masters die, come back, and give way to others."""

from __future__ import annotations

from random import Random

import pytest

from nanotape.capture.clock.observation import Observation
from nanotape.capture.clock.sample import Sample
from nanotape.capture.clock.thresholds import Thresholds
from nanotape.capture.clock.tracker import ClockTracker

SECOND = 10**9
DRIFT_PPB = 1000
ACCURACY_NS = 100
OVERDUE = 1.5
LOOK_S = 1.05


class Truth:
    """A clock that a servo holds to its master within some ten nanoseconds, and that drifts where there is none."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.sync_s = self.random.choice((0.125, 1.0, 2.0))
        self.error_ns, self.offset_ns, self.drift = self.random.uniform(-500, 500), 0.0, 0.0
        self.master, self.master_error_ns = 0, 0.0
        self.hears, self.deaf_since_s, self.notices_after_s = True, 0.0, 0.0
        self.now_s = self.measured_s = self._sync_due_s = 0.0
        self.measurements = 0
        self._change_due_s = self.random.uniform(20, 60)

    def go_to(self, moment_s: float) -> None:
        while self._sync_due_s <= moment_s:
            self._drift(self._sync_due_s)
            self._sync_due_s += self.sync_s
            if self.hears:
                self._measure()
        self._drift(moment_s)
        if self.now_s > self._change_due_s:
            self._change()

    def _drift(self, until_s: float) -> None:
        if not self.hears:
            self.error_ns += self.drift * DRIFT_PPB * (until_s - self.now_s)
        self.now_s = until_s

    def _measure(self) -> None:
        self.error_ns += self.random.uniform(-40, 40)
        self.offset_ns, self.measured_s = self.error_ns - self.master_error_ns, self.now_s
        self.measurements += 1
        self.error_ns -= 0.3 * self.offset_ns

    def _change(self) -> None:
        self._change_due_s = self.now_s + self.random.uniform(3, 60)
        if self.random.random() < 0.5:  # another master, or the first one that comes back
            self.master += 1
            self.master_error_ns = self.random.uniform(-0.9, 0.9) * ACCURACY_NS
        self.hears = not self.hears
        self.drift, self.deaf_since_s = self.random.uniform(-1, 1), self.now_s
        self.notices_after_s = self.random.uniform(3, 7)

    def seen(self) -> Observation:
        """As pmc has it: some seconds pass before it says that nobody is heard."""
        if not self.measurements or (not self.hears and self.now_s - self.deaf_since_s > self.notices_after_s):
            return Observation("system", 0, source="ptp4l", method="pmc", has_master=False)
        return Observation(
            "system", 0, source="ptp4l", method="pmc", has_master=True, is_disciplined=True, offset_ns=self.offset_ns,
            measured=self.measurements, path_delay_ns=1000.0, grandmaster=f"gm{self.master}",
            gm_accuracy_ns=ACCURACY_NS, is_hardware=True,
        )  # fmt: skip


def looks(truth: Truth, seconds: int) -> list[tuple[Sample, float, float, bool]]:
    """Samples, with the clock's true error, the age of what was measured last, and whether a master is there."""
    tracker, found, now_s = ClockTracker("system", Thresholds(holdover_drift_ppb=DRIFT_PPB)), [], 0.0
    while now_s < seconds:
        now_s += truth.random.uniform(1.0, LOOK_S)
        truth.go_to(now_s)
        now_ns = int(now_s * SECOND)
        sample, _ = tracker.look(truth.seen(), 1_800_000_000 * SECOND + now_ns, now_ns)
        found.append((sample, truth.error_ns, now_s - truth.measured_s, truth.hears))
    return found


@pytest.mark.parametrize("seed", range(40))
def test_no_error_is_beyond_its_bound_once_a_missing_measurement_is_overdue(seed: int) -> None:
    truth = Truth(seed)
    told = looks(truth, 300)
    overdue_s = OVERDUE * (truth.sync_s + LOOK_S) + LOOK_S  # as far apart as looks can see measurements
    beyond = [
        (sample, error)
        for sample, error, age_s, hears in told
        if sample.error_ns is not None and abs(error) > sample.error_ns and age_s > (0 if hears else overdue_s)
    ]
    assert beyond == []
    bounded = [sample for sample, *_ in told if sample.error_ns is not None]
    assert len(bounded) > 50, "else nothing was held against anything"
