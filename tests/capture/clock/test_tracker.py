"""The state of a clock, told by looks that are a second apart."""

from __future__ import annotations

from dataclasses import replace

from nanotape.capture.clock.observation import Observation
from nanotape.capture.clock.sample import Change, Sample
from nanotape.capture.clock.thresholds import Thresholds
from nanotape.capture.clock.tracker import ClockTracker

SECOND = 10**9
UTC = 1_800_000_000 * SECOND
GM, OTHER_GM = "001122.fffe.334455", "00aabb.fffe.ccddee"
PTP = Observation(
    "system", 0, source="ptp4l", method="pmc", has_master=True, is_disciplined=False, offset_ns=400.0,
    path_delay_ns=2000.0, grandmaster=GM, gm_class=6, gm_accuracy_ns=100, domain=0, utc_offset_s=37, is_hardware=False,
)  # fmt: skip
UNSYNCHRONISED = Observation("system", 0, source="kernel", method="adjtimex", is_disciplined=False)
NTP = Observation(
    "system", 0, source="chrony", method="chronyc", has_master=True, is_disciplined=True, offset_ns=20_000.0,
    bound_ns=800_000.0, leap=0,
)  # fmt: skip


class Watched:
    """A tracker and a clock that goes on by a second with each look."""

    def __init__(self, thresholds: Thresholds | None = None) -> None:
        self.tracker = ClockTracker("system", thresholds or Thresholds())
        self.seconds = 0
        self.changes: list[Change] = []

    def look(self, seen: Observation | None, times: int = 1, *, fresh: bool = True) -> Sample:
        for _ in range(times):
            self.seconds += 1
            if seen is not None and fresh:
                seen = replace(seen, measured=self.seconds)
            sample, changes = self.tracker.look(seen, UTC + self.seconds * SECOND, self.seconds * SECOND)
            self.changes += changes
        return sample

    def told(self, what: str) -> list[str]:
        return [each.detail for each in self.changes if each.what == what]


def test_a_clock_is_locked_once_its_offset_has_stayed_within_for_so_long() -> None:
    watched = Watched()
    assert watched.look(PTP, 5).state == "acquiring"
    assert watched.look(PTP).state == "locked"
    assert watched.told("state") == [
        "system: not locked but acquiring: ptp4l measures an offset of +400 ns; locked within 100,000 ns",
        "system: acquiring -> locked: ptp4l measures an offset of +400 ns; locked within 100,000 ns",
        "system: not locked but acquiring: ptp4l measures an offset of +400 ns; locked within 100,000 ns",
    ]
    first, _, over = [each for each in watched.changes if each.what == "state"]
    assert (first.at_ns, first.end_ns) == (UTC + SECOND, None)
    assert (over.at_ns, over.end_ns, over.severity) == (UTC + SECOND, UTC + 6 * SECOND, "warning")


def test_an_offset_between_the_two_thresholds_neither_locks_nor_unlocks() -> None:
    watched, between = Watched(), replace(PTP, offset_ns=500_000.0)
    assert watched.look(between, 20).state == "acquiring"
    assert watched.look(PTP, 6).state == "locked"
    assert watched.look(between, 20).state == "locked"
    assert watched.look(replace(PTP, offset_ns=-1_000_001.0)).state == "acquiring"
    assert watched.look(between, 20).state == "acquiring"


def test_what_was_disciplined_before_the_first_look_is_locked_at_once() -> None:
    watched = Watched()
    sample = watched.look(NTP)
    assert (sample.state, sample.error_ns, sample.source) == ("locked", 800_000, "chrony")
    assert watched.changes == []


def test_a_master_that_falls_silent_leaves_a_bound_that_grows() -> None:
    watched = Watched(Thresholds(holdover_drift_ppb=500))
    locked = watched.look(PTP, 10)
    assert locked.error_ns == 400 + 100
    lost = replace(PTP, has_master=False, grandmaster=None, notes=("no master heard in domain 0 on eth1",))
    first = watched.look(lost)
    assert (first.state, first.error_ns, first.growth_ppb) == ("holdover", 500 + 500, 500)
    assert (first.offset_ns, first.grandmaster, first.path_delay_ns) == (None, None, None)
    assert watched.look(lost, 9).error_ns == 500 + 10 * 500
    assert watched.told("master") == ["system: no master heard in domain 0 on eth1"]
    assert watched.tracker.episode is not None
    assert watched.tracker.episode.severity == "warning"
    assert watched.look(PTP).state == "acquiring"
    assert watched.look(PTP, 5).state == "locked"
    assert watched.tracker.episode is None


def test_an_offset_that_is_never_measured_anew_is_a_dead_masters() -> None:
    """ptp4l goes on showing the last one until its announce timeout."""
    watched = Watched()
    watched.look(PTP, 10)
    stale = replace(PTP, measured=10)
    assert watched.look(stale, 4, fresh=False).state == "locked"
    assert watched.look(stale, fresh=False).state == "holdover"


def test_a_holdover_that_lasts_too_long_is_free_running_with_an_unknown_bound() -> None:
    watched = Watched(Thresholds(holdover_limit_ns=20 * SECOND))
    watched.look(PTP, 10)
    lost = replace(PTP, has_master=False)
    assert watched.look(lost, 20).state == "holdover"
    sample = watched.look(lost)
    assert (sample.state, sample.error_ns) == ("free-running", None)
    assert watched.tracker.episode is not None
    assert watched.tracker.episode.severity == "error"
    holdover, ended, free = [each for each in watched.changes if each.severity != "info" and each.what == "state"][-3:]
    assert (holdover.end_ns, ended.end_ns) == (None, free.at_ns)
    assert holdover.at_ns == ended.at_ns


def test_nobody_to_ask_is_unknown_and_after_a_lock_holdover() -> None:
    watched = Watched()
    assert (watched.look(None).state, watched.look(None).error_ns) == ("unknown", None)
    watched.look(PTP, 10)
    assert watched.look(None, 3).state == "holdover"


def test_the_kernel_s_word_does_not_stand_for_a_daemon_that_died() -> None:
    """It goes on saying `synchronised` for hours."""
    watched = Watched()
    watched.look(PTP, 10)
    kernel = replace(UNSYNCHRONISED, is_disciplined=True, bound_ns=8e6)
    assert watched.look(kernel, 3).state == "holdover"
    alone = Watched()
    assert (alone.look(kernel).state, alone.look(kernel).error_ns) == ("locked", 8_000_000)


def test_a_clock_that_nobody_disciplines_is_free_running() -> None:
    watched = Watched()
    sample = watched.look(UNSYNCHRONISED, 3)
    assert (sample.state, sample.error_ns, sample.offset_ns) == ("free-running", None, None)
    assert [each.severity for each in watched.changes] == ["error"]


def test_another_grandmaster_is_told_and_its_offsets_are_measured_anew() -> None:
    watched = Watched()
    watched.look(PTP, 10)
    other = replace(PTP, grandmaster=OTHER_GM, offset_ns=-3000.0)
    assert watched.look(other, 2).error_ns is None
    assert watched.look(other).error_ns == 3000 + 100
    assert watched.told("grandmaster") == [f"system: grandmaster {GM} -> {OTHER_GM}"]
    assert watched.tracker.state == "locked"


def test_a_change_of_utc_offset_or_leap_flag_is_told_once() -> None:
    watched = Watched()
    watched.look(PTP, 3)
    watched.look(replace(PTP, leap=1), 3)
    watched.look(replace(PTP, leap=0, utc_offset_s=38), 3)
    assert watched.told("utc_offset") == ["system: TAI-UTC 37 s -> 38 s"]
    assert watched.told("leap") == [
        "system: leap second: a second is to be inserted at the end of the UTC day",
        "system: leap second: none",
    ]


def test_a_step_makes_a_lock_to_be_earned_again() -> None:
    watched = Watched()
    watched.look(PTP, 10)
    watched.tracker.stepped(SECOND)
    sample = watched.look(PTP)
    assert (sample.state, sample.error_ns) == ("acquiring", None)
    assert watched.look(PTP, 5).state == "locked"


def test_the_bound_is_the_sum_of_its_terms() -> None:
    watched = Watched(Thresholds(asymmetry_ns=7))
    hardware = replace(PTP, is_hardware=True, phc_sys_ns=-30.0)
    watched.look(hardware)
    watched.look(replace(hardware, offset_ns=410.0, path_delay_ns=2011.0))
    sample = watched.look(replace(hardware, offset_ns=-405.0, phc_sys_ns=20.0))
    assert watched.tracker.budget is not None
    assert watched.tracker.budget.offset_spread == 815
    assert watched.tracker.budget.delay_spread == 5.5
    assert watched.tracker.budget.phc_sys == 20 + 50
    assert sample.error_ns == 405 + 815 + 6 + 70 + 100 + 7


def test_measurements_leave_the_spread_after_a_minute() -> None:
    watched = Watched()
    watched.look(replace(PTP, offset_ns=50_000.0))
    watched.look(PTP, 60)
    assert watched.look(PTP).error_ns == 500
    assert watched.tracker.state == "locked"


def test_a_watch_that_ends_ends_what_goes_on() -> None:
    watched = Watched()
    watched.look(UNSYNCHRONISED)
    [begun] = watched.changes
    [ended] = watched.tracker.end(UTC + 9 * SECOND)
    assert replace(begun, end_ns=UTC + 9 * SECOND) == ended
    assert watched.tracker.end(UTC + 10 * SECOND) == []


def test_a_measurement_that_is_shown_again_and_again_is_one() -> None:
    watched = Watched()
    once = replace(PTP, measured=1)
    assert watched.look(once, 4, fresh=False).error_ns is None


def test_a_measurement_that_is_overdue_leaves_a_bound_that_grows_from_it_on() -> None:
    """Before its silence is long enough for a lost master, and all of it once it is."""
    watched = Watched(Thresholds(holdover_drift_ppb=500))
    watched.look(PTP, 10)
    stale = replace(PTP, measured=10)
    between_two = watched.look(stale, fresh=False)
    assert (between_two.error_ns, between_two.growth_ppb) == (500, 0)
    overdue = watched.look(stale, fresh=False)
    assert (overdue.state, overdue.error_ns, overdue.growth_ppb) == ("locked", 500 + 2 * 500, 500)
    lost = watched.look(stale, 4, fresh=False)
    assert (lost.state, lost.error_ns, lost.growth_ppb) == ("holdover", 500 + 6 * 500, 500)


def test_after_a_step_what_a_dead_master_left_behind_is_no_measurement() -> None:
    watched = Watched()
    watched.look(PTP, 10)
    watched.tracker.stepped(SECOND)
    assert watched.look(replace(PTP, measured=10), 4, fresh=False).error_ns is None


def test_a_grandmaster_that_comes_after_a_holdover_is_measured_anew() -> None:
    watched = Watched()
    watched.look(PTP, 10)
    watched.look(replace(PTP, has_master=False, grandmaster=None, offset_ns=None), 3)
    other = replace(PTP, grandmaster=OTHER_GM)
    assert watched.look(other, 2).error_ns is None
    assert watched.look(other).error_ns == 500


def test_a_holdover_is_of_the_master_that_was_followed_last() -> None:
    """Two measurements of another one are enough to steer the clock away from what the first one's bound says."""
    watched = Watched()
    watched.look(PTP, 10)
    watched.look(replace(PTP, grandmaster=OTHER_GM, offset_ns=900_000.0), 2)
    lost = watched.look(replace(PTP, has_master=False, grandmaster=None, offset_ns=None))
    assert (lost.state, lost.error_ns) == ("free-running", None)


def test_the_kernel_s_word_counts_again_when_somebody_has_told_it_anew() -> None:
    watched = Watched(Thresholds(holdover_limit_ns=20 * SECOND))
    watched.look(PTP, 10)
    kernel = replace(UNSYNCHRONISED, is_disciplined=True)
    for second in range(60):
        sample = watched.look(replace(kernel, bound_ns=8e6 + second * 500_000), fresh=False)
    assert (sample.state, sample.error_ns) == ("free-running", None)
    watched.look(PTP, 10)
    assert watched.look(replace(kernel, bound_ns=2e6), fresh=False).state == "holdover", "as that daemon left it"
    assert watched.look(replace(kernel, bound_ns=1e6), 7, fresh=False).state == "locked"


def test_a_source_that_hears_nobody_and_bounds_itself_is_believed_where_it_is_worse() -> None:
    watched = Watched()
    watched.look(NTP, 10)
    deaf = watched.look(replace(NTP, has_master=False, bound_ns=1_300_000.0), 10)
    assert (deaf.state, deaf.error_ns) == ("holdover", 1_300_000 + 10 * 1000)


def test_after_a_step_a_bound_that_rests_on_older_measurements_is_none() -> None:
    watched = Watched()
    ntp = replace(NTP, bound_of=1)
    watched.look(ntp, 10)
    watched.tracker.stepped(SECOND)
    sample = watched.look(ntp, 30)
    assert (sample.state, sample.error_ns) == ("acquiring", None)
    assert watched.look(replace(ntp, bound_of=2)).error_ns == 800_000
    watched.tracker.stepped(SECOND)  # by the daemon itself, as it measures
    assert watched.look(replace(ntp, bound_of=3)).error_ns == 800_000


def test_a_time_without_a_lock_is_cut_in_two_by_a_step_back() -> None:
    watched = Watched()
    watched.look(UNSYNCHRONISED, 5)
    watched.tracker.stepped(-3600 * SECOND)
    watched.changes.clear()
    sample, changes = watched.tracker.look(UNSYNCHRONISED, UTC + 6 * SECOND - 3600 * SECOND, 6 * SECOND)
    over, begun = changes
    assert (over.at_ns, over.end_ns) == (UTC + SECOND, UTC + 6 * SECOND)
    assert (begun.at_ns, begun.end_ns) == (sample.at_ns, None)


def test_the_last_words_of_a_log_are_no_measurement_after_what_pmc_said() -> None:
    """A ptp4l that was killed: its log holds what was measured some seconds ago."""
    watched = Watched(Thresholds(holdover_drift_ppb=500))
    watched.look(PTP, 10)
    pmc, log = replace(PTP, measured=10), replace(PTP, method="log", measured=5)
    for each in (log, pmc, log, pmc):
        sample = watched.look(each, fresh=False)
    assert (sample.state, sample.error_ns) == ("locked", 500 + 4 * 500)
    assert watched.look(log, fresh=False).state == "holdover"
    assert watched.look(replace(log, measured=16), fresh=False).state == "acquiring"


def test_a_worst_offset_without_a_sign_may_have_been_on_either_side() -> None:
    sample = Watched().look(replace(PTP, is_worst_of_many=True), 3)
    assert sample.error_ns == 400 + 2 * 400 + 100


def test_a_ptp4l_that_was_started_anew_ends_no_holdover_before_it_has_measured() -> None:
    watched = Watched()
    watched.look(PTP, 10)
    new = replace(PTP, offset_ns=None, path_delay_ns=None, is_disciplined=False)
    sample = watched.look(new, 3, fresh=False)
    assert (sample.state, sample.error_ns) == ("holdover", 500 + 3 * 1000)
    assert watched.tracker.why == "ptp4l hears a master, and has measured nothing yet"


def test_a_log_does_not_forget_what_pmc_said_of_the_same_master() -> None:
    watched = Watched()
    watched.look(PTP, 10)
    log = replace(PTP, method="log", gm_accuracy_ns=None, grandmaster=None)
    assert watched.look(log, 3).error_ns == 500
    assert watched.look(replace(log, grandmaster=OTHER_GM), 3).error_ns is None
    assert watched.look(replace(PTP, gm_accuracy_ns=None), 3).error_ns is None
