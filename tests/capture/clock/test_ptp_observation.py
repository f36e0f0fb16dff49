"""What recorded replies of ptp4l say of its clock."""

from __future__ import annotations

import pathlib

import pytest

from nanotape.capture.clock.observation import Observation
from nanotape.capture.clock.pmc_output import parse
from nanotape.capture.clock.ptp_observation import accuracy_ns, observe_ptp4l, whole_seconds_note

DATA = pathlib.Path(__file__).parents[2] / "data" / "linuxptp"
AT_NS = 1_795_893_465_000_000_000
VERSIONS = ("3.1.1", "4.4")


def recorded(version: str, what: str, *changes: tuple[str, str]) -> str:
    text = (DATA / f"pmc-{version}-{what}.txt").read_text()
    for found, wanted in changes:
        assert found in text
        text = text.replace(found, wanted)
    return text


def observed(text: str, phc: str | None = None, free_running: bool | None = None) -> Observation:
    return observe_ptp4l(parse(text), AT_NS, 24, lambda _: phc, free_running)


def test_a_slave_with_software_stamps_steers_the_system_clock() -> None:
    seen = observed(recorded("4.4", "slave"))
    assert (seen.clock, seen.source, seen.method, seen.interface) == ("system", "ptp4l", "pmc", "vr")
    assert (seen.offset_ns, seen.path_delay_ns, seen.has_master) == (-165.0, 2248.0, True)
    assert (seen.grandmaster, seen.gm_class, seen.gm_accuracy_ns) == ("4ea12a.fffe.43d5f5", 6, 100)
    assert (seen.domain, seen.steps_removed, seen.is_hardware) == (24, 1, False)
    assert (seen.measured, seen.port_state) == (1795893490533164457, "UNCALIBRATED")


@pytest.mark.parametrize("version", VERSIONS)
def test_an_arbitrary_timescale_gives_no_utc_offset_but_a_note(version: str) -> None:
    seen = observed(recorded(version, "slave"))
    assert (seen.utc_offset_s, seen.utc_offset_source) == (None, None)
    assert any("arbitrary" in note for note in seen.notes)


@pytest.mark.parametrize("version", VERSIONS)
def test_tai_its_offset_and_the_leap_second_are_taken_over(version: str) -> None:
    seen = observed(recorded(version, "leap"))
    assert (seen.utc_offset_s, seen.utc_offset_source, seen.leap) == (38, "ptp", 1)
    unsure = observed(recorded(version, "leap", ("currentUtcOffsetValid 1", "currentUtcOffsetValid 0")))
    assert unsure.utc_offset_s is None
    assert any("UTC offset is valid" in note for note in unsure.notes)
    shorter = recorded(
        version, "leap", ("leap61                1", "leap61                0"), ("leap59                0", "leap59 1")
    )
    assert observed(shorter).leap == -1


def test_an_offset_of_whole_seconds_is_told_of() -> None:
    seen = observed(recorded("4.4", "leap"))
    assert seen.offset_ns == 38_000_000_010
    assert any("TAI minus UTC" in note for note in seen.notes)
    assert whole_seconds_note(-37e9 + 120) is not None
    for offset in (None, 0.0, 900.0, 37.4e9, 12e9, 1e9):
        assert whole_seconds_note(offset) is None


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("what", "state"), [("listening", "LISTENING"), ("faulty", "FAULTY")])
def test_nothing_that_was_measured_outlives_its_master(version: str, what: str, state: str) -> None:
    seen = observed(recorded(version, what))
    assert (seen.has_master, seen.port_state, seen.is_disciplined) == (False, state, False)
    assert (seen.offset_ns, seen.path_delay_ns, seen.grandmaster, seen.measured) == (None, None, None, None)
    assert any("no master heard in domain 24" in note for note in seen.notes)


def test_a_master_itself_is_steered_by_nobody() -> None:
    seen = observed(recorded("3.1.1", "master"))
    assert (seen.has_master, seen.offset_ns, seen.grandmaster) == (False, None, None)
    assert any("master itself" in note for note in seen.notes)


def test_a_dead_master_leaves_its_last_figures_under_the_same_mark() -> None:
    alive, dead = observed(recorded("3.1.1", "leap")), observed(recorded("3.1.1", "lost"))
    assert dead.has_master is True  # ptp4l itself says so for three announce intervals
    assert dead.measured is not None
    assert alive.measured != dead.measured
    assert observed(recorded("3.1.1", "lost")).measured == dead.measured


def test_whether_the_clock_follows_is_what_ptp4l_says_unless_it_only_measures() -> None:
    calibrated = recorded("4.4", "slave", ("UNCALIBRATED", "SLAVE"))
    assert observed(calibrated).is_disciplined is True
    assert observed(calibrated, free_running=True).is_disciplined is False
    assert observed(recorded("4.4", "slave")).is_disciplined is False


def test_hardware_stamps_are_of_the_phc_that_ptp4l_or_the_host_names() -> None:
    hardware = ("timestamping            SOFTWARE", "timestamping            HARDWARE")
    named = observed(
        recorded("4.4", "slave", hardware, ("phcIndex                -1", "phcIndex                2")), "ptp7"
    )
    assert (named.clock, named.is_hardware, named.interface) == ("ptp2", True, "vr")
    assert observed(recorded("3.1.1", "slave", hardware), "ptp7").clock == "ptp7"
    nameless = observed(recorded("3.1.1", "slave", hardware))
    assert nameless.clock == "vr"
    assert any("cannot be named" in note for note in nameless.notes)


def test_the_port_that_follows_counts_among_several() -> None:
    text = recorded("4.4", "slave")
    second = "\tfab877.fffe.fda815-{0} seq 5 RESPONSE MANAGEMENT {1} \n\t\tportState               {2}\n"
    for number, state in ((2, "LISTENING"), (3, "SLAVE")):
        text += second.format(number, "PORT_DATA_SET", state)
        text += second.format(number, "PORT_PROPERTIES_NP", state) + f"\t\tinterface               eth{number}\n"
    seen = observed(text)
    assert (seen.interface, seen.port_state) == ("eth3", "SLAVE")


def test_no_path_delay_yet_is_none_and_not_0() -> None:
    assert observed(recorded("4.4", "slave", ("2248.0", "0.0"))).path_delay_ns is None


def test_a_first_sync_message_without_a_path_delay_is_no_measurement() -> None:
    seen = observed(recorded("4.4", "read-only"))
    assert (seen.has_master, seen.offset_ns, seen.path_delay_ns, seen.measured) == (True, None, None, None)


def test_an_answer_of_nothing_is_all_unknown() -> None:
    seen = observed("")
    assert (seen.has_master, seen.offset_ns, seen.is_disciplined, seen.is_hardware) == (None, None, None, None)


def test_accuracies_are_bounds_rounded_up() -> None:
    assert [accuracy_ns(code) for code in (0x17, 0x1E, 0x20, 0x21, 0x22, 0x2F, 0x30, 0x31, 0xFE, None)] == [
        *(1, 3, 25, 100, 250, 10**9, 10**10, None, None, None)
    ]
