"""chronyc's lines, as chronyd 4.3 gave them, and what else may come: read with their signs, or counted."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanotape.capture.clock.chrony import ChronyLook, chronyc, observe_chrony, parse_chronyc

AT_NS = 1_795_893_432 * 10**9
SLOW = (
    "54455354,TEST,1,1795893432.205472679,0.001000000,-0.000250000,0.000300000,1.274,-0.005,0.161,"
    "0.000000200,0.000001497,1.0,Normal"
)
"""Recorded of chronyd 4.3 with a reference 1 ms ahead of the clock; offsets, delay and frequency made round."""
NOBODY = (
    "00000000,,0,0.000000000,0.000000000,0.000000000,0.000000000,0.000,0.000,0.000,1.000000000,1.000000000,0.0,"
    "Not synchronised"
)
"""Recorded of chronyd 4.3 as it began."""
HEARD = "#,*,TEST,0,0,77,1,-0.000000000,0.000000000,0.000000020"
SILENT = "^,?,10.211.0.1,0,6,0,4294967295,0.000000000,0.000000000,0.000000000"
DANISH = "^,+,10.211.0.3,2,6,377,13,-0.000021000,-0.000023000,0.000210000"


def look(*lines: str) -> ChronyLook:
    """At a chronyd that says these lines."""
    return observe_chrony(AT_NS, lambda: "".join(f"{line}\n" for line in lines))


def test_a_clock_that_is_slow_has_a_negative_offset_and_chronys_own_bound() -> None:
    found = look(SLOW, HEARD)
    seen = found.observation
    assert seen is not None
    assert (found.garbage, found.reason) == (0, None)
    assert (seen.clock, seen.source, seen.method, seen.at_ns) == ("system", "chrony", "chronyc", AT_NS)
    assert seen.offset_ns == -1_000_000
    assert seen.bound_ns == 1_000_000 + 1_497 + 100
    assert seen.freq_ppb == -1274
    assert (seen.has_master, seen.is_disciplined, seen.leap, seen.grandmaster) == (True, True, 0, "TEST")
    assert seen.notes == ()


def test_every_field_of_tracking_is_read() -> None:
    tracking, _, _ = parse_chronyc([SLOW])
    assert tracking is not None
    assert (tracking.reference_id, tracking.name, tracking.stratum) == ("54455354", "TEST", 1)
    assert tracking.reference_time_ns == 1_795_893_432_205_472_679
    assert (tracking.last_offset_ns, tracking.rms_offset_ns) == (250_000, 300_000)
    assert (tracking.residual_freq_ppb, tracking.skew_ppb) == (-5, 161)
    assert (tracking.root_delay_ns, tracking.root_dispersion_ns) == (200, 1497)
    assert (tracking.update_interval_s, tracking.leap_status) == (1.0, "Normal")


def test_a_chronyd_without_a_reference_says_nothing_of_offset_and_bound() -> None:
    seen = look(NOBODY, SILENT).observation
    assert seen is not None
    assert (seen.has_master, seen.is_disciplined) == (False, False)
    assert (seen.offset_ns, seen.bound_ns, seen.grandmaster, seen.leap) == (None, None, None, None)


def test_a_chronyd_whose_sources_fell_silent_has_no_master_though_it_calls_itself_synchronised() -> None:
    seen = look(SLOW, SILENT).observation
    assert seen is not None
    assert (seen.has_master, seen.is_disciplined, seen.bound_ns) == (False, True, 1_001_597)
    assert seen.notes == ("chronyd hears no source any more; its last was TEST",)


def test_one_source_that_is_heard_among_silent_ones_is_a_master() -> None:
    seen = look(SLOW, SILENT, DANISH).observation
    assert seen is not None
    assert seen.has_master is True


def test_a_chronyd_that_serves_its_own_clock_follows_nobody() -> None:
    seen = look(SLOW.replace("54455354,TEST", "7F7F0101,")).observation
    assert seen is not None
    assert (seen.has_master, seen.is_disciplined, seen.offset_ns) == (False, False, None)
    assert "serves its own clock" in seen.notes[0]


@pytest.mark.parametrize(("word", "leap"), [("Insert second", 1), ("Delete second", -1)])
def test_leap_seconds_that_chrony_was_told_of_are_told_on(word: str, leap: int) -> None:
    seen = look(SLOW.replace("Normal", word), HEARD).observation
    assert seen is not None
    assert seen.leap == leap


@pytest.mark.parametrize(
    "garbage",
    [
        "506 Cannot talk to daemon",
        SLOW[:60],
        SLOW.replace("0.001000000", "nan"),
        SLOW.replace("0.001000000", "much"),
        SLOW.replace("54455354", "XYZ"),
        SLOW.replace("Normal", "Weird"),
        HEARD.replace("77", "99"),
        HEARD.replace("#,*", "%,*"),
        SLOW + ",more",
    ],
)
def test_a_line_that_is_neither_is_counted_and_the_others_are_read(garbage: str) -> None:
    found = look(garbage, SLOW, HEARD)
    assert found.garbage == 1
    assert found.observation is not None
    assert found.observation.offset_ns == -1_000_000
    assert look(garbage).observation is None


@given(st.text(max_size=300))
def test_no_text_at_all_is_an_error(text: str) -> None:
    found = observe_chrony(AT_NS, lambda: text)
    assert found.observation is None or text.strip()


def test_a_host_without_chronyc_is_told_in_a_word(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert observe_chrony(AT_NS) == ChronyLook(None, 0, "chronyc is not installed")


def test_a_chronyd_that_does_not_answer_is_told_with_chronycs_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _executable(tmp_path / "chronyc", "echo '506 Cannot talk to daemon'; exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    found = observe_chrony(AT_NS)
    assert found == ChronyLook(None, 0, "chronyd does not answer: chronyc says '506 Cannot talk to daemon'")


def test_a_chronyc_that_waits_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _executable(tmp_path / "chronyc", "exec sleep 60")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    found = observe_chrony(AT_NS, lambda: chronyc(timeout_s=0.05))
    assert found == ChronyLook(None, 0, "chronyd does not answer within 0.05 s")


def test_chronyc_is_asked_only_and_without_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _executable(tmp_path / "chronyc", 'echo "$@"')
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert chronyc("/run/c.sock") == "-h /run/c.sock -n -c -m tracking sources\n"


def _executable(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
