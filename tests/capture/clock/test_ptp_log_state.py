"""What recorded logs say of clocks."""

from __future__ import annotations

import pathlib

import pytest

from nanotape.capture.clock.observation import Observation
from nanotape.capture.clock.ptp_log import LogReader
from nanotape.capture.clock.ptp_log_state import LogState

DATA = pathlib.Path(__file__).parents[2] / "data" / "linuxptp"


def state_of(*lines: str, phc: str | None = None, free_running: bool | None = None) -> LogState:
    state = LogState(lambda _: phc, free_running)
    for line in LogReader().read(lines):
        state.take(line)
    return state


def recorded(name: str, until: str) -> list[str]:
    """Lines up to the last that has `until`."""
    lines = (DATA / name).read_text().splitlines()
    last = max(number for number, line in enumerate(lines) if until in line)
    return lines[: last + 1]


def ptp4l(state: LogState, monotonic_ms: int) -> Observation:
    seen = state.ptp4l(0, monotonic_ms, 24)
    assert seen is not None
    return seen


@pytest.mark.parametrize(
    ("version", "last", "interface", "offset", "delay"),
    [("3.1.1", 25619439, None, -670, 2383), ("4.4", 25645323, "vr", -175, 2248)],
)
def test_a_log_of_samples_gives_what_pmc_would(
    version: str, last: int, interface: str | None, offset: int, delay: int
) -> None:
    lines = [
        line for line in recorded(f"ptp4l-{version}-samples.log", f"{last // 1000}.{last % 1000}") if "UTC" not in line
    ]
    seen = ptp4l(state_of(*lines), last + 500)
    assert (seen.clock, seen.source, seen.method, seen.interface) == ("system", "ptp4l", "log", interface)
    assert (seen.offset_ns, seen.path_delay_ns, seen.has_master, seen.measured) == (offset, delay, True, last)
    assert seen.grandmaster in ("222bf0.fffe.1d9bbe", "4ea12a.fffe.43d5f5")
    assert (seen.port_state, seen.is_disciplined) == ("UNCALIBRATED", False)


def test_the_utc_offset_and_the_leap_second_that_were_announced_are_taken_over() -> None:
    seen = ptp4l(state_of(*recorded("ptp4l-4.4-samples.log", "25648.324")), 25648324)
    assert (seen.utc_offset_s, seen.utc_offset_source, seen.leap) == (38, "ptp", 1)
    assert any("TAI minus UTC" in note for note in seen.notes)


def test_a_summary_counts_by_its_worst() -> None:
    seen = ptp4l(state_of(*recorded("ptp4l-4.4-syslog.log", "25789.047")), 25789050)
    assert (seen.offset_ns, seen.path_delay_ns, seen.freq_ppb) == (758, 1361, -55)


def test_a_lost_master_takes_all_with_it() -> None:
    seen = ptp4l(state_of(*recorded("ptp4l-4.4-tagged.log", "25800.259")), 25800300)
    assert (seen.has_master, seen.offset_ns, seen.grandmaster, seen.port_state) == (False, None, None, "LISTENING")
    assert seen.notes == ("no master heard in domain 24 on vr",)


def test_lines_of_another_boot_or_of_one_that_fell_silent_count_for_nothing() -> None:
    state = state_of(*recorded("ptp4l-4.4-samples.log", "25645.323"))
    assert state.ptp4l(0, 25645323 + 9_000, 24) is not None
    assert state.ptp4l(0, 25645323 + 11_000, 24) is None
    assert state.ptp4l(0, 5_000, 24) is None


PHC2SYS = "phc2sys[203.001]: CLOCK_REALTIME phc offset        21 s2 freq    +182 delay    809"


def test_phc2sys_steers_the_system_clock_and_its_offset_has_the_sign_of_that() -> None:
    (seen,) = state_of(PHC2SYS).followers(0, 203_100)
    assert (seen.clock, seen.source, seen.offset_ns, seen.phc_sys_ns) == ("system", "phc2sys", 21, -21)
    assert (seen.is_disciplined, seen.freq_ppb, seen.has_master) == (True, -182, True)
    (other,) = state_of("phc2sys[204.001]: eth1 sys offset         -9 s1 freq    -412", phc="ptp1").followers(
        0, 204_100
    )
    assert (other.clock, other.interface, other.phc_sys_ns, other.is_disciplined) == ("ptp1", "eth1", -9, False)


def test_beside_phc2sys_ptp4l_steers_a_phc() -> None:
    lines = [
        "ptp4l[202.500]: port 1 (eth0): UNCALIBRATED to SLAVE on MASTER_CLOCK_SELECTED",
        "ptp4l[203.000]: master offset         17 s2 freq   +1593 path delay       511",
    ]
    assert ptp4l(state_of(*lines, PHC2SYS, phc="ptp0"), 203_100).clock == "ptp0"
    assert ptp4l(state_of(*lines, phc="ptp0"), 203_100).clock == "system"
    named = state_of("ptp4l[202.000]: selected /dev/ptp3 as PTP clock", *lines)
    assert (ptp4l(named, 203_100).clock, ptp4l(named, 203_100).is_disciplined) == ("ptp3", True)
    assert ptp4l(state_of(*lines, free_running=True), 203_100).is_disciplined is False


def test_ts2phc_without_a_pulse_has_no_master() -> None:
    def seen(line: str) -> Observation:
        (found,) = state_of(line, phc="ptp0").followers(0, 302_500)
        return found

    assert seen("ts2phc[301.001]: eth0 offset        -12 s2 freq    -534").has_master is True
    held = seen("ts2phc[301.001]: /dev/ptp0 offset        -12 s3 freq    -534 holdover")
    assert (held.clock, held.has_master, held.source) == ("ptp0", False, "ts2phc")
    assert held.notes == ("ts2phc hears no pulse for ptp0, and holds its frequency",)


def test_an_offset_of_whole_seconds_between_phc_and_system_is_told_of() -> None:
    (seen,) = state_of(PHC2SYS.replace("    21", "36999999977")).followers(0, 203_100)
    assert any("TAI minus UTC" in note for note in seen.notes)


def test_what_phc2sys_reads_is_as_exact_as_its_reading_took_time() -> None:
    line = "phc2sys[100.000]: {} offset        40 s2 freq     +10 delay   1250"
    [system] = state_of(line.format("CLOCK_REALTIME phc")).followers(0, 100_000)
    assert (system.offset_ns, system.phc_sys_ns, system.phc_sys_within_ns) == (40.0, -40.0, 625.0)
    [nic] = state_of(line.format("/dev/ptp1 sys")).followers(0, 100_000)
    assert (nic.clock, nic.offset_ns, nic.phc_sys_ns) == ("ptp1", None, 40.0)
    summary = "phc2sys[100.000]: CLOCK_REALTIME rms    9 max   31 freq   +10 +/-   2 delay  1250 +/-   3"
    [worst] = state_of(summary).followers(0, 100_000)
    assert (worst.offset_ns, worst.is_worst_of_many, worst.phc_sys_within_ns) == (31.0, True, 625.0)
