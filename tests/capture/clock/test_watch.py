"""Several sources, one word on each clock; what none of them says, what they disagree on, and steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nanotape.capture.clock.host_time import HostTime
from nanotape.capture.clock.merge import disagreements, merged
from nanotape.capture.clock.observation import Observation
from nanotape.capture.clock.thresholds import Thresholds
from nanotape.capture.clock.watch import ClockLook, ClockWatch
from nanotape.capture.errors import HostError

SECOND = 10**9
GM = "001122.fffe.334455"
KERNEL = Observation(
    "system", 0, source="kernel", method="adjtimex", is_disciplined=False, utc_offset_s=37, utc_offset_source="kernel",
    leap=0, freq_ppb=-12.5,
)  # fmt: skip
PHC = Observation(
    "ptp0", 0, "eth1", "ptp4l", "pmc", True, True, 12.0, path_delay_ns=900.0, grandmaster=GM, gm_class=6,
    gm_accuracy_ns=100, domain=24, steps_removed=1, utc_offset_s=37, utc_offset_source="ptp", is_hardware=True,
)  # fmt: skip
PHC2SYS = Observation("system", 0, source="phc2sys", method="log", is_disciplined=True, offset_ns=40.0, phc_sys_ns=40.0)
CHRONY = Observation(
    "system", 0, source="chrony", method="chronyc", has_master=True, is_disciplined=True, offset_ns=5e4, bound_ns=9e5
)


class Host:
    """Clocks that a test sets; each read of one takes 20 ns."""

    def __init__(self) -> None:
        self.monotonic, self.offset = 0, 1_800_000_000 * SECOND

    def clocks(self) -> HostTime:
        return HostTime(lambda: self._go() + self.offset, self._go)

    def _go(self) -> int:
        self.monotonic += 20
        return self.monotonic


class Watched:
    def __init__(self, *seen: Observation) -> None:
        self.host, self.seen = Host(), list(seen)
        self.watch = ClockWatch(Thresholds(), {"test": self.read}, self.host.clocks())

    def read(self) -> Sequence[Observation]:
        return self.seen

    def look(self, times: int = 1) -> ClockLook:
        for _ in range(times):
            self.host.monotonic += SECOND
            look = self.watch.look()
        return look


def test_who_knows_best_is_believed_and_the_others_fill_the_gaps() -> None:
    found = merged([KERNEL, CHRONY])["system"]
    assert (found.source, found.offset_ns, found.utc_offset_s, found.utc_offset_source) == ("chrony", 5e4, 37, "kernel")
    software = replace(PHC, clock="system", is_hardware=False)
    assert merged([KERNEL, CHRONY, software])["system"].source == "ptp4l"


def test_a_source_that_hears_nobody_yields_to_one_that_does() -> None:
    deaf = replace(PHC, clock="system", has_master=False, offset_ns=None, notes=("no master heard in domain 24",))
    found = merged([KERNEL, deaf, CHRONY])["system"]
    assert found.source == "chrony"
    assert found.notes == ("no master heard in domain 24",)
    assert merged([KERNEL, deaf])["system"].source == "ptp4l"
    synchronised = replace(KERNEL, is_disciplined=True, bound_ns=5e6)
    assert merged([synchronised, deaf])["system"].source == "kernel"


def test_the_system_clock_behind_a_phc_is_as_good_as_both_steps_together() -> None:
    watched = Watched(KERNEL, PHC, PHC2SYS)
    system, phc = watched.look(3).clocks
    assert (system.sample.clock, phc.sample.clock) == ("system", "ptp0")
    assert (system.sample.source, system.sample.offset_ns, system.sample.phc_sys_ns) == ("phc2sys", 12, 40)
    assert (system.sample.grandmaster, system.sample.domain) == (GM, 24)
    assert system.sample.error_ns == 12 + 100 + 40
    assert phc.sample.error_ns == 12 + 100
    watched.seen = [KERNEL, replace(PHC, has_master=False), PHC2SYS]
    assert [each.sample.state for each in watched.look().clocks] == ["holdover", "holdover"]


def test_a_phc_that_was_measured_here_tells_of_a_system_clock_that_nobody_speaks_for() -> None:
    found = merged([KERNEL, replace(PHC, phc_sys_ns=-70.0)])["system"]
    assert (found.source, found.method, found.offset_ns, found.phc_sys_ns) == ("phc", "phc", 12.0, -70.0)
    assert merged([KERNEL, CHRONY, replace(PHC, phc_sys_ns=-70.0)])["system"].source == "chrony"


def test_two_figures_for_the_utc_offset_are_told_once() -> None:
    wrong = replace(PHC, utc_offset_s=36)
    assert disagreements([KERNEL, PHC]) == []
    assert disagreements([replace(KERNEL, utc_offset_s=None), wrong]) == []
    watched = Watched(KERNEL, wrong)
    looks = [watched.look() for _ in range(3)]
    [line] = looks[-1].findings
    assert line.startswith("TAI-UTC: expected one figure, found 37 s by kernel, 36 s by ptp")
    assert [each.detail for look in looks for each in look.changes if each.what == "utc_offset"] == [line]


def test_a_step_of_the_host_s_clock_is_told_with_its_size() -> None:
    watched = Watched(KERNEL, CHRONY)
    assert watched.look(8).clocks[0].sample.state == "locked"
    watched.host.offset += 250_000_000
    look = watched.look()
    assert [each.detail for each in look.changes if each.what == "step"] == ["system: stepped by +0.250000000 s"]
    assert look.clocks[0].sample.state == "acquiring"
    assert watched.look(6).clocks[0].sample.state == "locked"


def test_a_reader_that_fails_is_told_of_and_the_others_are_asked() -> None:
    def fails() -> Sequence[Observation]:
        raise HostError("no such socket")

    host = Host()
    watch = ClockWatch(Thresholds(), {"pmc": fails, "kernel": lambda: [CHRONY]}, host.clocks())
    look = watch.look()
    assert look.findings == ("pmc: cannot be asked: no such socket",)
    assert look.clocks[0].sample.state == "locked"


def test_the_state_says_what_a_bound_is_made_of() -> None:
    told = Watched(KERNEL, PHC).look(3).clocks[1].as_json()
    assert (told["state"], told["error_ns"], told["why"][:5]) == ("locked", 112, "ptp4l")
    assert told["budget"]["grandmaster"] == 100
    assert Watched().look().clocks[0].as_json()["budget"] is None


def test_a_leap_second_that_was_announced_is_no_step() -> None:
    watched = Watched(replace(CHRONY, leap=1, bound_of=1))
    watched.look(8)
    watched.host.offset -= SECOND
    look = watched.look()
    assert [(each.what, each.detail) for each in look.changes] == [("leap", "system: a leap second was inserted")]
    assert (look.clocks[0].sample.state, look.clocks[0].sample.error_ns) == ("locked", 900_000)
    watched.host.offset += SECOND
    assert [each.what for each in watched.look().changes if each.what == "step"] == ["step"]


def test_a_system_clock_behind_a_phc_that_has_lost_its_master_has_lost_it_too() -> None:
    """However near the two are to each other: phc2sys goes on."""
    lost = replace(PHC, has_master=False, offset_ns=None, path_delay_ns=None, grandmaster=None, gm_accuracy_ns=None)
    watched = Watched(KERNEL, lost, PHC2SYS)
    system, phc = watched.look(10).clocks
    assert [(each.sample.state, each.sample.error_ns) for each in (system, phc)] == [("free-running", None)] * 2
    watched = Watched(KERNEL, PHC, PHC2SYS)
    assert watched.look(10).clocks[0].sample.error_ns == 152
    watched.seen = [KERNEL, lost, PHC2SYS]
    system = watched.look(3).clocks[0]
    assert system.sample.state == "holdover"
    assert system.sample.error_ns in range(152 + 3 * 1000, 152 + 3 * 1000 + 2)  # the clocks of a test take time to read


def test_a_system_clock_behind_a_phc_of_which_nobody_speaks_has_no_bound() -> None:
    look = Watched(KERNEL, PHC2SYS).look(10)
    sample = look.clocks[0].sample
    assert (sample.source, sample.offset_ns, sample.error_ns, sample.phc_sys_ns) == ("phc2sys", None, None, 40)
    [line] = look.findings
    assert "nobody says how far it is from UTC" in line


def test_of_several_phcs_the_system_clock_follows_the_one_with_ptp4l() -> None:
    others = [Observation(f"ptp{at}", 0, f"eth{at}", "phc", "phc", phc_sys_ns=9.0) for at in range(1, 10)]
    system = merged([*others, KERNEL, PHC, PHC2SYS])["system"]
    assert (system.offset_ns, system.grandmaster) == (12.0, GM)


def test_what_was_measured_here_between_phc_and_system_clock_is_believed_before_a_log() -> None:
    """Which repeats its last figure until it counts as silent."""
    here = replace(PHC, phc_sys_ns=-70.0, phc_sys_within_ns=400.0)
    system = merged([KERNEL, here, PHC2SYS])["system"]
    assert (system.source, system.phc_sys_ns, system.phc_sys_within_ns) == ("phc2sys", -70.0, 400.0)
    watched = Watched(KERNEL, here, PHC2SYS)
    assert watched.look(3).clocks[0].sample.error_ns == 12 + 100 + 70 + 400


def test_a_summary_of_phc2sys_without_a_sign_is_no_distance_of_nothing() -> None:
    summary = replace(PHC2SYS, phc_sys_ns=None, offset_ns=900.0, is_worst_of_many=True, phc_sys_within_ns=250.0)
    assert Watched(KERNEL, PHC, summary).look(3).clocks[0].sample.error_ns == 12 + 100 + 900 + 2 * 900 + 250


def test_a_clock_behind_the_pulse_of_another_is_no_better_than_that() -> None:
    pulsed = Observation("ptp1", 0, "eth2", "ts2phc", "log", True, True, -300.0, measured=1, is_hardware=True)
    found = merged([KERNEL, PHC, pulsed])["ptp1"]
    assert (found.offset_ns, found.grandmaster, found.gm_accuracy_ns) == (-288.0, GM, 100)
    assert (found.measured, found.interface, found.source) == (1, "eth2", "ts2phc")
    deaf = replace(PHC, has_master=False, offset_ns=None)
    found = merged([KERNEL, deaf, pulsed])["ptp1"]
    assert (found.offset_ns, found.has_master) == (None, False)
    # What ptp4l only compares with its master has the pulse from elsewhere.
    assert merged([KERNEL, replace(PHC, is_disciplined=False), replace(pulsed, clock="ptp0")])["ptp0"].offset_ns == -300


def test_a_master_that_announces_no_accuracy_leaves_the_bound_unknown_unless_it_is_configured() -> None:
    """Unknown is not 0: the clock may be as far off as its master is."""
    silent = replace(PHC, gm_accuracy_ns=None)
    look = Watched(KERNEL, silent).look(10)
    assert (look.clocks[1].sample.state, look.clocks[1].sample.error_ns) == ("locked", None)
    [line] = look.findings
    assert line == ("ptp0: its bound is unknown, for its source announces no accuracy: set clock.grandmaster_accuracy")
    watched = Watched(KERNEL, silent)
    watched.watch = ClockWatch(Thresholds(gm_accuracy_ns=250), {"test": watched.read}, watched.host.clocks())
    look = watched.look(10)
    assert (look.clocks[1].sample.error_ns, look.findings) == (12 + 250, ())


def test_what_the_kernel_s_own_loop_has_left_to_do_is_no_bound() -> None:
    """As systemd-timesyncd uses it: some nanoseconds are left of a correction that may be wrong by milliseconds."""
    synchronised = replace(KERNEL, is_disciplined=True, offset_ns=40.0)
    sample = Watched(synchronised).look(10).clocks[0].sample
    assert (sample.state, sample.offset_ns, sample.error_ns) == ("locked", 40, None)


def test_a_phc_is_no_worse_for_a_system_clock_that_is_far_from_it() -> None:
    near = Observation("ptp0", 0, "eth1", "phc", "phc", phc_sys_ns=5e7, phc_sys_within_ns=300.0)
    system, phc = Watched(KERNEL, CHRONY, near, PHC).look(3).clocks
    assert (phc.sample.phc_sys_ns, phc.sample.error_ns) == (50_000_000, 12 + 100)
    assert system.sample.error_ns == 900_000


def test_a_phc_that_phc2sys_steers_is_no_better_than_the_one_that_it_follows() -> None:
    """boundary_clock_jbod: several NICs, one of which hears the master."""
    steered = Observation("ptp1", 0, "eth2", "phc2sys", "log", True, True, -300.0, measured=1)
    assert merged([KERNEL, PHC, steered])["ptp1"].offset_ns == -288.0
    look = Watched(KERNEL, steered).look(10)
    assert (look.clocks[1].sample.offset_ns, look.clocks[1].sample.error_ns) == (None, None)
    assert "nobody says how far it is from UTC" in look.findings[0]


def test_a_chronyd_that_follows_a_phc_is_no_better_than_that() -> None:
    """Its own bound is of the way to its reference clock, whether that hears a master or not."""
    chrony = replace(CHRONY, grandmaster="PHC0", offset_ns=30.0, bound_ns=500.0)
    sample = Watched(KERNEL, PHC, chrony).look(3).clocks[0].sample
    assert (sample.source, sample.offset_ns, sample.grandmaster) == ("chrony", 12, GM)
    assert sample.error_ns == 12 + 100 + 30 + 500
    lost = replace(PHC, has_master=False, offset_ns=None)
    assert Watched(KERNEL, lost, chrony).look(10).clocks[0].sample.error_ns is None
    look = Watched(KERNEL, chrony).look(10)
    assert (look.clocks[0].sample.error_ns, len(look.findings)) == (None, 1)
    deaf = Watched(KERNEL, PHC, replace(chrony, has_master=False)).look(10).clocks[0].sample
    assert (deaf.state, deaf.error_ns) == ("free-running", None)
