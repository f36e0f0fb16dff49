"""Log lines of linuxptp, as recorded from 3.1.1 and 4.4 (tests/data/linuxptp/README.md)."""

from __future__ import annotations

import pathlib
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanotape.capture.clock.ptp_log import (
    Fact,
    LogReader,
    Notice,
    PortTransition,
    ServoSample,
    ServoSummary,
    read_line,
)

DATA = pathlib.Path(__file__).parents[2] / "data" / "linuxptp"
LOGS = sorted(DATA.glob("ptp4l-*.log"))
WRITTEN = (DATA / "written-from-format-strings.log").read_text().splitlines()


def fact(line: str) -> Fact | None:
    read = read_line(line)
    assert read is not None, line
    return read.fact


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.stem)
def test_recorded_logs_are_read(path: pathlib.Path) -> None:
    reader = LogReader()
    lines = path.read_text().splitlines()
    kinds = Counter(type(line.fact).__name__ for line in reader.read(lines))
    by_hand = {
        "ServoSample": sum("master offset" in line for line in lines),
        "ServoSummary": sum(" rms " in line for line in lines),
        "PortTransition": sum(" to " in line and " on " in line for line in lines),
    }
    assert {kind: kinds[kind] for kind in by_hand} == by_hand
    assert sum(by_hand.values()) > 4
    # 4.x says on standard error that an option's name is deprecated, without its own prefix.
    assert reader.garbage == sum("deprecated" in line for line in lines)


@pytest.mark.parametrize("version", ["3.1.1", "4.4"])
def test_syslog_and_standard_output_say_the_same(version: str) -> None:
    told = [(DATA / f"ptp4l-{version}-{form}.log").read_text().splitlines() for form in ("tagged", "syslog")]
    stdout, syslog = (list(map(read_line, lines)) for lines in told)
    assert stdout == syslog
    assert None not in stdout


def test_recorded_values_are_those_that_were_written() -> None:
    line = read_line("ptp4l[25616.439]: master offset       -207 s0 freq     +70 path delay      2080")
    assert line is not None
    assert (line.program, line.pid, line.monotonic_s) == ("ptp4l", None, 25616.439)
    assert line.fact == ServoSample(None, None, -207, 0, 70, 2080)
    assert fact("ptp4l[25785.044]: <6> lab rms 1027 max 1317 freq   -524 +/- 2502 delay  1792 +/- 234") == ServoSummary(
        None, 1027, 1317, -524, 2502, 1792, 234
    )
    assert fact(
        "ptp4l[25802.362]: <5> lab port 1 (vr): LISTENING to FAULTY on FAULT_DETECTED (FT_UNSPECIFIED)"
    ) == PortTransition(1, "vr", "LISTENING", "FAULTY", "FAULT_DETECTED", "FT_UNSPECIFIED")
    assert fact("ptp4l[1.000]: [0:lab] port 1: UNCALIBRATED to LISTENING on RS_SLAVE") == PortTransition(
        1, None, "UNCALIBRATED", "LISTENING", "RS_SLAVE", None
    )


def test_every_form_of_the_sources_is_read() -> None:
    reader = LogReader()
    facts = [line.fact for line in reader.read(WRITTEN)]
    samples = [each for each in facts if isinstance(each, ServoSample)]
    assert samples == [
        ServoSample(None, None, -52342, 0, 1234, 512),
        ServoSample(None, None, -52001, 1, 1576, 511),
        ServoSample(None, None, 17, 2, 1593, 511),
        ServoSample(None, None, -3, 3, 1578, 509),
        ServoSample("CLOCK_REALTIME", "phc", -125673, 0, 0, 812),
        ServoSample("CLOCK_REALTIME", "phc", -125512, 1, 161, 811),
        ServoSample("CLOCK_REALTIME", "phc", 21, 2, 182, 809),
        ServoSample("/dev/ptp1", "sys", -9, 3, -412, None),
        ServoSample("eth0", None, -12, 2, -534, None),
        ServoSample("/dev/ptp0", None, -12, 3, -534, None, holdover=True),
        ServoSample("eth0", None, -12, None, None, None),
        ServoSample("eth0", None, -11, 2, -534, None),
        ServoSample("eth0", None, -11, None, None, None),
    ]
    assert [each for each in facts if isinstance(each, ServoSummary)] == [
        ServoSummary(None, 7, 12, 1580, 6, 510, 1),
        ServoSummary(None, 7, 12, 1580, 6, None, None),
        ServoSummary("CLOCK_REALTIME", 14, 21, 175, 8, 810, 3),
        ServoSummary("eth1", 14, 21, 175, 8, None, None),
    ]
    assert [(each.what, each.value, each.subject) for each in facts if isinstance(each, Notice)] == [
        ("phc", "ptp0", None),
        ("clockcheck", None, None),
        ("clockcheck", None, None),
        ("clockcheck", None, None),
        ("utc_offset", 37, None),
        ("leap", 1, None),
        ("leap", -1, None),
        ("leap", 0, None),
        ("leap_pause", None, None),
        ("grandmaster", "001122.fffe.334455", None),
        ("tx_timestamp", None, None),
        ("adjust_failed", None, None),
        ("no_ptp4l", None, None),
        ("clockcheck", None, None),
        ("holdover_lost", 51234, "eth0"),
    ]
    assert reader.garbage == 0
    assert reader.not_understood == 3  # what phc2sys selects is of no consequence


@pytest.mark.parametrize("tag", ["lab", "[0:lab]", "<6> a b", "rms 1", "port 1:", "CLOCK_REALTIME phc offset"])
@pytest.mark.parametrize("head", ["{0}[{1}]: ", "Nov 28 19:20:27 lab {0}[4711]: [{1}] ", "lab {0}: [{1}] "])
def test_any_tag_is_passed_over_in_both_forms(tag: str, head: str) -> None:
    for line in WRITTEN:
        prefix, _, body = line.partition(": ")
        program, moment = prefix.rstrip("]").split("[")
        read = read_line(head.format(program, moment) + f"{tag} {body}")
        plain = read_line(line)
        assert read is not None
        assert plain is not None
        if not isinstance(plain.fact, type(None)):
            assert read.fact == plain.fact, line
        assert read.monotonic_s == plain.monotonic_s
        assert read.pid == (4711 if "4711" in head else None)


def test_garbage_is_skipped_and_counted() -> None:
    odd = ["", "Nov 28 systemd[1]: Started ptp4l.", "ptp4l[x]: y", "ptp4l: selected", "\ufffd", "ptp4l[1.0]: no"]
    reader = LogReader()
    assert len(list(reader.read([*odd, *WRITTEN, *odd]))) == len(WRITTEN) - 3
    assert reader.garbage == 2 * len(odd)


PIECES = st.sampled_from(WRITTEN)


@given(
    st.one_of(
        st.text(max_size=100),
        st.tuples(PIECES, st.integers(0, 60), st.text(max_size=5)).map(
            lambda cut: cut[0][: cut[1]] + cut[2] + cut[0][cut[1] :]
        ),
    )
)
def test_no_line_raises(line: str) -> None:
    reader = LogReader()
    told = list(reader.read([line]))
    assert len(told) + reader.garbage + reader.not_understood == 1


def test_a_line_of_any_length_takes_no_time_to_refuse() -> None:
    assert read_line("ptp4l[1.000]: " + "master offset 1 " * 100_000) is None
    assert fact("ptp4l[1.000]: " + "rms 1 max " * 190) is None
