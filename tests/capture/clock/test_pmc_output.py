"""Replies of pmc, as recorded from linuxptp 3.1.1 and 4.4 (tests/data/linuxptp/README.md)."""

from __future__ import annotations

import pathlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanotape.capture.clock.pmc_output import FIELDS, Answer, Reply, parse

DATA = pathlib.Path(__file__).parents[2] / "data" / "linuxptp"
VERSIONS = ("3.1.1", "4.4")
ONLY_IN_4 = {"PORT_HWCLOCK_NP", "PORT_SERVICE_STATS_NP"}


def recorded(version: str, what: str) -> str:
    return (DATA / f"pmc-{version}-{what}.txt").read_text()


def reply_of(answer: Answer, management_id: str) -> Reply:
    reply = answer.one(management_id)
    assert reply is not None
    return reply


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("what", ["slave", "master", "leap", "lost"])
def test_every_field_of_every_id_is_read_and_typed(version: str, what: str) -> None:
    answer = parse(recorded(version, what))
    assert (answer.garbage, answer.refused) == (0, 0)
    expected = set(FIELDS) - (ONLY_IN_4 if version == "3.1.1" else set())
    assert {reply.management_id for reply in answer.replies} == expected
    for management_id in expected:
        reply = answer.one(management_id)
        assert reply is not None
        assert set(reply.fields) == set(FIELDS[management_id])
    assert set(answer.not_understood) == (ONLY_IN_4 if version == "3.1.1" else set())


def test_values_are_those_that_were_printed() -> None:
    answer = parse(recorded("4.4", "leap"))
    status, current = reply_of(answer, "TIME_STATUS_NP"), reply_of(answer, "CURRENT_DATA_SET")
    parent, times = reply_of(answer, "PARENT_DATA_SET"), reply_of(answer, "TIME_PROPERTIES_DATA_SET")
    port, properties = reply_of(answer, "PORT_DATA_SET"), reply_of(answer, "PORT_PROPERTIES_NP")
    hardware, whole = reply_of(answer, "PORT_HWCLOCK_NP"), reply_of(answer, "DEFAULT_DATA_SET")
    assert (status.identity, status.port) == ("fab877.fffe.fda815", 0)
    assert status.whole("master_offset") == 38_000_000_010
    assert status.whole("ingress_time") == 1795893493534081289
    assert status.real("lastGmPhaseChange") == 0.0
    assert status.flag("gmPresent") is True
    assert status.text("gmIdentity") == "4ea12a.fffe.43d5f5"
    assert (current.whole("stepsRemoved"), current.real("meanPathDelay")) == (1, 2243.0)
    assert (parent.whole("gm.ClockClass"), parent.whole("gm.ClockAccuracy")) == (6, 0x21)
    assert parent.text("parentPortIdentity") == "4ea12a.fffe.43d5f5-1"
    assert (times.whole("currentUtcOffset"), times.flag("leap61"), times.flag("leap59")) == (38, True, False)
    assert (port.port, port.text("portState"), port.whole("logSyncInterval")) == (1, "UNCALIBRATED", 0)
    assert (properties.text("timestamping"), properties.text("interface")) == ("SOFTWARE", "vr")
    assert hardware.whole("phcIndex") == -1
    assert (whole.whole("domainNumber"), whole.flag("slaveOnly")) == (24, True)


@pytest.mark.parametrize("version", VERSIONS)
def test_nobody_who_answers_is_no_reply_and_no_garbage(version: str) -> None:
    answer = parse(recorded(version, "wrong-domain"))
    assert (answer.replies, answer.garbage) == ((), 0)


def test_a_phase_change_is_signed_nanoseconds_with_their_fraction() -> None:
    text = (
        "\t0a155d.fffe.aac4cb-0 seq 0 RESPONSE MANAGEMENT TIME_STATUS_NP \n"
        "\t\tlastGmPhaseChange          0xffff'ffffffffffffffff.8000\n"
    )
    reply = parse(text).one("TIME_STATUS_NP")
    assert reply is not None
    assert reply.real("lastGmPhaseChange") == -0.5


def test_refusals_and_empty_replies_are_counted() -> None:
    text = (
        "sending: GET TIME_STATUS_NP\n"
        "\t0a155d.fffe.aac4cb-0 seq 0 RESPONSE MANAGEMENT_ERROR_STATUS \n"
        "\t0a155d.fffe.aac4cb-0 seq 1 RESPONSE MANAGEMENT empty-tlv \n"
        "\t0a155d.fffe.aac4cb-0 seq 2 RESPONSE \n"
    )
    answer = parse(text)
    assert (answer.replies, answer.refused, answer.garbage) == ((), 3, 0)


def test_garbage_is_skipped_and_counted() -> None:
    clean = recorded("3.1.1", "slave")
    lines = clean.split("\n")
    odd = ["uds: bind failed: Permission denied", "\t\torphan 1", "\tnonsense seq 0", "\ufffd\ufffd"]
    answer = parse("\n".join([*odd, *lines, *odd]))
    assert answer.garbage == 2 * len(odd)
    assert answer.replies == parse(clean).replies
    assert parse(clean.replace("master_offset              95", "master_offset              9x5")).garbage == 1


def test_several_ports_come_in_their_order() -> None:
    header = "\t0a155d.fffe.aac4cb-{} seq 0 RESPONSE MANAGEMENT PORT_DATA_SET \n\t\tportState               SLAVE\n"
    answer = parse("".join(header.format(port) for port in (2, 1)))
    assert [reply.port for reply in answer.all("PORT_DATA_SET")] == [1, 2]


PIECES = st.sampled_from(recorded("4.4", "slave").split("\n"))


@given(st.lists(st.one_of(st.text(max_size=60), PIECES, PIECES.map(lambda line: line[1:]))).map("\n".join))
def test_nothing_that_is_printed_raises(text: str) -> None:
    answer = parse(text)
    assert answer.garbage >= 0


@given(st.lists(st.text(max_size=60).filter(lambda line: "seq" not in line and ":" not in line), max_size=20))
def test_lines_that_are_none_of_pmcs_are_all_counted(lines: list[str]) -> None:
    text = "\n".join(lines)
    found = [line for line in text.split("\n") if line.strip() or line.startswith("\t\t")]
    assert parse(text).garbage == len(found)
