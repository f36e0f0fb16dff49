"""UTC, TAI, free-running or unknown: by injected readings, the kernel's offset 0 and 37, each way to be wrong."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanotape.capture.clock.phc import PhcReading
from nanotape.capture.clock.phc_domain import NEAR_NS, OffsetKnowledge, PhcDomainWatch, PhcVerdict, judge

NOON_NS = 1_795_867_200 * 10**9
MINUTE_NS = 60 * 10**9
TAI_NS = 37 * 10**9
LISTED = OffsetKnowledge(listed_s=37, system_is_synchronised=True)
KERNEL_37 = OffsetKnowledge(kernel_s=37, system_is_synchronised=True)


def reading(phc_sys_ns: int, minute: float = 0, uncertainty_ns: int = 300) -> PhcReading:
    """One."""
    return PhcReading(NOON_NS + int(minute * MINUTE_NS), phc_sys_ns, uncertainty_ns, "PTP_SYS_OFFSET_EXTENDED")


def of(phc_sys_ns: int, known: OffsetKnowledge = KERNEL_37) -> PhcVerdict:
    """By one reading."""
    return judge([reading(phc_sys_ns)], known)


@pytest.mark.parametrize("known", [KERNEL_37, LISTED, OffsetKnowledge(), OffsetKnowledge(ptp_s=37)])
def test_a_clock_beside_the_systems_reads_utc_whatever_is_known_of_tai(known: OffsetKnowledge) -> None:
    found = of(-1234, known)
    assert (found.domain, found.phc_sys_ns, found.utc_offset_s) == ("utc", -1234, None)
    assert "-0.000001234 s" in found.reason


@pytest.mark.parametrize(
    ("known", "source"),
    [
        (KERNEL_37, "kernel"),
        (OffsetKnowledge(ptp_s=37, kernel_s=37, listed_s=37), "ptp"),
        (OffsetKnowledge(kernel_s=None, listed_s=37), "leap-seconds.list"),
        (OffsetKnowledge(kernel_s=0, listed_s=37), "leap-seconds.list"),
    ],
)
def test_a_clock_ahead_by_the_utc_offset_reads_tai_to_the_nanosecond(known: OffsetKnowledge, source: str) -> None:
    found = of(TAI_NS + 55, known)
    assert (found.domain, found.phc_sys_ns) == ("tai", 55)
    assert (found.utc_offset_s, found.utc_offset_source, found.notes) == (37, source, ())


def test_a_kernel_offset_of_0_is_no_offset_and_37_s_are_not_explained_by_it() -> None:
    found = of(TAI_NS, OffsetKnowledge(kernel_s=0, system_is_synchronised=True))
    assert found.domain == "unknown"
    assert "nobody says how far TAI is from UTC" in found.reason


@pytest.mark.parametrize("beside_ns", [-NEAR_NS, NEAR_NS])
def test_a_tenth_of_a_second_is_near_and_a_nanosecond_more_is_not(beside_ns: int) -> None:
    beyond = beside_ns + (1 if beside_ns > 0 else -1)
    assert (of(beside_ns).domain, of(beyond).domain) == ("utc", "free")
    assert (of(TAI_NS + beside_ns).domain, of(TAI_NS + beyond).domain) == ("tai", "free")


@pytest.mark.parametrize(
    ("seconds", "note"),
    [
        (74, "the UTC offset of 37 s was put on twice"),
        (-37, "the UTC offset of 37 s was taken off a clock that read UTC already"),
        (36, "somebody sets it with a UTC offset of 36 s, where 37 s are right"),
        (35, "somebody sets it with a UTC offset of 35 s, where 37 s are right"),
        (1_000_000, None), (-NOON_NS // 10**9, None),
    ],
)  # fmt: skip
def test_a_clock_that_is_neither_is_free_and_a_known_mistake_is_named(seconds: int, note: str | None) -> None:
    found = of(seconds * 10**9 + 77)
    assert (found.domain, found.phc_sys_ns, found.utc_offset_s) == ("free", None, None)
    assert found.notes == (() if note is None else (note,))


def test_a_clock_between_the_seconds_is_nobodys_mistake() -> None:
    assert of(36 * 10**9 + 400_000_000).notes == ()


def test_nothing_is_judged_by_a_system_clock_that_follows_nobody_itself() -> None:
    found = of(5 * 10**9, OffsetKnowledge(kernel_s=37, system_is_synchronised=False))
    assert (found.domain, found.phc_sys_ns) == ("unknown", None)
    assert "not synchronised itself" in found.reason


def test_sources_that_disagree_are_told_and_the_one_that_fits_is_taken() -> None:
    found = of(TAI_NS, OffsetKnowledge(ptp_s=36, kernel_s=37, system_is_synchronised=True))
    assert (found.domain, found.utc_offset_s, found.utc_offset_source) == ("tai", 37, "kernel")
    assert found.notes == ("TAI minus UTC is not agreed on: ptp 36 s, kernel 37 s",)


def test_an_assumption_that_does_not_hold_is_reported() -> None:
    sfptpd = of(TAI_NS, OffsetKnowledge(kernel_s=37, expected="utc"))
    assert sfptpd.domain == "tai"
    assert sfptpd.notes == ("whoever disciplines it makes it UTC, but it reads TAI",)
    ptp4l = of(0, OffsetKnowledge(kernel_s=37, expected="tai"))
    assert ptp4l.domain == "utc"
    assert ptp4l.notes[0].endswith("it reads UTC: or the system's clock reads TAI itself")
    assert of(TAI_NS, OffsetKnowledge(kernel_s=37, expected="tai")).notes == ()


def test_a_reading_that_took_too_long_judges_nothing() -> None:
    assert judge([reading(0, uncertainty_ns=NEAR_NS + 1)], KERNEL_37).domain == "unknown"
    assert judge([reading(0, uncertainty_ns=NEAR_NS)], KERNEL_37).domain == "utc"


def followed(path_ns: Callable[[int], float], minutes: int, known: OffsetKnowledge = KERNEL_37) -> PhcVerdict:
    """A PHC read each minute."""
    return judge([reading(round(path_ns(minute)), minute) for minute in range(minutes)], known)


@pytest.mark.parametrize("start_ns", [0, TAI_NS])
@pytest.mark.parametrize("ppm", [-20, 1])
def test_a_clock_that_leaves_in_a_straight_line_is_free_however_near_it_is_still(start_ns: int, ppm: int) -> None:
    minutes = 30
    moved_ms = ppm * 60 * (minutes - 1) / 1000
    found = followed(lambda minute: start_ns + ppm * 60_000 * minute + minute % 3 * 900, minutes)
    assert found.domain == "free"
    assert f"{moved_ms:+.1f} ms in 29 minutes" in found.reason


def test_two_readings_are_no_drift_yet() -> None:
    assert followed(lambda minute: 5_000_000.0 * minute, 2).domain == "utc"
    assert followed(lambda minute: 5_000_000.0 * minute, 3).domain == "free"


def test_a_clock_that_a_servo_brings_nearer_or_that_wobbles_is_not_free() -> None:
    assert followed(lambda minute: 80_000_000 * 0.5**minute, 20).domain == "utc"
    assert followed(lambda minute: 700_000.0 * (-1) ** minute, 60).domain == "utc"
    assert followed(lambda minute: 0 if minute < 10 else 50_000_000, 20).domain == "utc"  # set once


def test_a_drift_against_a_system_clock_that_follows_nobody_is_a_note_and_no_verdict() -> None:
    known = OffsetKnowledge(kernel_s=37, system_is_synchronised=False)
    found = followed(lambda minute: TAI_NS + 600_000 * minute, 10, known)
    assert (found.domain, found.phc_sys_ns, found.utc_offset_s) == ("tai", 5_400_000, 37)
    assert "one of the two runs free" in found.notes[-1]


def test_a_change_of_domain_is_reported_once_and_the_first_is_none() -> None:
    watch = PhcDomainWatch("ptp0")
    assert watch.verdict.domain == "unknown"
    assert watch.look(reading(TAI_NS), KERNEL_37) is None
    assert watch.verdict.domain == "tai"
    assert watch.look(reading(TAI_NS, 1), KERNEL_37) is None
    told = watch.look(reading(7, 2), KERNEL_37)
    assert told == "ptp0 was TAI and is UTC: it is +0.000000007 s from the system's clock"
    assert watch.look(reading(7, 3), KERNEL_37) is None


def test_a_leap_second_changes_the_offset_and_not_the_domain() -> None:
    watch = PhcDomainWatch("ptp0")
    watch.look(reading(TAI_NS), KERNEL_37)
    told = watch.look(reading(TAI_NS + 10**9, 1), OffsetKnowledge(kernel_s=38, system_is_synchronised=True))
    assert told is not None
    assert told.startswith("ptp0: its UTC offset was 37 s and is 38 s")
    assert watch.verdict.domain == "tai"


def test_a_clock_that_cannot_be_read_any_more_is_unknown_and_begins_anew() -> None:
    watch = PhcDomainWatch("ptp0")
    for minute in range(5):
        watch.look(reading(400_000 * minute, minute), KERNEL_37)
    assert watch.verdict.domain == "free"
    assert watch.fail("gone") == "ptp0 was free-running and is unknown: gone"
    assert watch.fail("gone") is None
    watch.look(reading(2_000_000, 6), KERNEL_37)
    assert watch.verdict.domain == "utc"


def test_where_a_clock_was_before_it_was_set_does_not_count_as_drift() -> None:
    watch = PhcDomainWatch("ptp0")
    for minute in range(4):
        watch.look(reading(3 * 10**9 + 20_000_000 * minute, minute), KERNEL_37)
    assert watch.verdict.domain == "free"
    told = watch.look(reading(0, 4), KERNEL_37)
    assert told is not None
    assert watch.verdict.domain == "utc"


@given(st.integers(-(2**62), 2**62), st.sampled_from([None, 0, 36, 37]), st.sampled_from([None, 37, 38]))
def test_a_domain_is_only_claimed_where_its_stamps_would_be_right_within_a_tenth(
    phc_sys_ns: int, kernel_s: int | None, listed_s: int | None
) -> None:
    found = of(phc_sys_ns, OffsetKnowledge(kernel_s=kernel_s, listed_s=listed_s))
    if found.domain in ("utc", "tai"):
        assert abs(phc_sys_ns - (found.utc_offset_s or 0) * 10**9) <= NEAR_NS
    else:
        assert (found.phc_sys_ns, found.utc_offset_s) == (None, None)
