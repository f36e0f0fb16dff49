"""The real ptp4l in namespaces over veth: masters, and a slave that nanotape manages. Software stamps, free_running."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from deadline import wait_for
from ptp_net import DOMAIN, PtpNet, missing_for_ptp, ptp_net

from nanotape.capture.clock.linuxptp_version import installed_version
from nanotape.capture.clock.observation import Observation
from nanotape.capture.clock.pmc import Pmc
from nanotape.capture.clock.ptp_reader import PtpReader
from nanotape.capture.errors import PmcUnusable

pytestmark = pytest.mark.root

LOST_WITHIN_S = 20.0  # three announce intervals of 2 s, and a random part of another


@pytest.fixture
def net() -> Iterator[PtpNet]:
    reason = missing_for_ptp()
    if reason:
        pytest.skip(reason)
    with ptp_net() as made:
        yield made


def look(reader: PtpReader) -> Observation | None:
    """What it sees; None: ptp4l is not up yet."""
    try:
        return next(iter(reader()), None)
    except PmcUnusable:
        return None


def measured(net: PtpNet, reader: PtpReader) -> Observation:
    """The first observation with an offset and a delay."""

    def seen() -> Observation | None:
        found = look(reader)
        return found if found and found.offset_ns is not None and found.path_delay_ns is not None else None

    try:
        return wait_for(seen, "a measurement", 40.0)
    except AssertionError:
        raise AssertionError(net.logs()) from None


def test_offset_and_delay_are_those_that_pmc_prints_and_a_killed_ptp4l_is_restarted(net: PtpNet) -> None:
    master = net.master("gm", clock_class=6)
    managed = net.managed()
    managed.start()
    reader = net.reader(managed)
    seen = measured(net, reader)
    assert (seen.clock, seen.source, seen.method) == ("system", "ptp4l", "pmc")
    assert (seen.grandmaster, seen.gm_class, seen.gm_accuracy_ns) == (master.identity, 6, 100)
    assert (seen.domain, seen.steps_removed, seen.has_master) == (DOMAIN, 1, True)
    # free_running: linuxptp's own state never becomes SLAVE, and it steers nothing.
    assert (seen.port_state, seen.is_disciplined, seen.is_hardware) == ("UNCALIBRATED", False, False)
    assert seen.interface == net.pair.right.interface

    socket = next(each for each in managed.sockets if each.exists())

    def printed() -> tuple[float | None, float | None, int | None]:
        answer = Pmc(socket, DOMAIN, net.folder).ask()
        current, status = answer.one("CURRENT_DATA_SET"), answer.one("TIME_STATUS_NP")
        assert current is not None
        assert status is not None
        return current.real("offsetFromMaster"), current.real("meanPathDelay"), status.whole("ingress_time")

    def bracketed() -> bool:
        """Whether ours, between two of pmc's that are the same, is the same.

        Not always: a delay may be another meanwhile, and be the first again. Never would be a fault.
        """
        before, ours, after = printed(), look(reader), printed()
        return ours is not None and (ours.offset_ns, ours.path_delay_ns, ours.measured) == before == after

    for _ in range(3):
        wait_for(bracketed, "ours to be what pmc prints before and after")

    pid = managed.processes[0].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: managed.processes[0].pid is None, "its end")
    told = managed.look()
    assert [each.what for each in told if each.what != "started"] == ["ended", "restarted"]
    assert managed.processes[0].restarts == 1
    again = measured(net, reader)
    assert again.grandmaster == seen.grandmaster


def test_a_dead_master_is_lost_and_another_takes_over(net: PtpNet) -> None:
    first = net.master("gm-a", priority=100)
    managed = net.managed()
    managed.start()
    reader = net.reader(managed)
    assert measured(net, reader).grandmaster == first.identity

    better = net.master("gm-b", priority=90)

    def grandmaster() -> str | None:
        seen = look(reader)
        return seen.grandmaster if seen else None

    wait_for(lambda: grandmaster() == better.identity, "the better master", 40.0)
    better.kill()
    wait_for(lambda: grandmaster() == first.identity, "the first master again", 40.0)
    measured(net, reader)
    first.kill()
    marks: list[int | None] = []

    def lost() -> Observation | None:
        seen = look(reader)
        marks.append(seen.measured if seen else None)
        return seen if seen and seen.has_master is False else None

    seen = wait_for(lost, "its loss", LOST_WITHIN_S)
    assert (seen.offset_ns, seen.grandmaster, seen.measured) == (None, None, None)
    assert any(f"no master heard in domain {DOMAIN} on {net.pair.right.interface}" in note for note in seen.notes)
    # Until ptp4l says so, the mark of its last measurement stays.
    assert len(set(marks[5:-1])) <= 1


def test_a_master_in_another_domain_is_not_heard(net: PtpNet) -> None:
    net.master("gm", domain=5)
    managed = net.managed()
    managed.start()
    reader = net.reader(managed)
    seen = wait_for(lambda: look(reader), "an answer")
    assert seen.has_master is False
    assert any(f"no master heard in domain {DOMAIN}" in note for note in seen.notes)
    # Nor does ptp4l answer in a domain that is not its own.
    with pytest.raises(PmcUnusable, match="no ptp4l answers in domain 5"):
        net.reader(managed, domain=5, logs=())()


def test_without_a_socket_the_log_says_the_same(net: PtpNet) -> None:
    master = net.master("gm")
    managed = net.managed()
    managed.start()
    reader = net.reader(managed, sockets=(net.folder / "absent",))
    seen = measured(net, reader)
    assert (seen.method, seen.grandmaster, seen.has_master) == ("log", master.identity, True)
    asked = measured(net, net.reader(managed))
    assert asked.method == "pmc"
    assert abs((seen.offset_ns or 0) - (asked.offset_ns or 0)) < 1_000_000


def test_what_a_master_announces_of_utc_and_leap_seconds_is_seen(net: PtpNet) -> None:
    master = net.master("gm")
    managed = net.managed()
    managed.start()
    reader = net.reader(managed)
    seen = measured(net, reader)
    assert (seen.utc_offset_s, seen.leap) == (None, 0)
    assert any("arbitrary" in note for note in seen.notes)
    # 4.4 as a free-running master tells by an uninitialised time whether a leap second is over: now and then at once.
    has_leap = not installed_version().is_4
    master.announce(utc_offset=37, leap61=has_leap)

    def announced() -> Observation | None:
        found = look(reader)
        return found if found and found.utc_offset_s == 37 and abs(found.offset_ns or 0) > 1e9 else None

    # It announces TAI and sends UTC, which is what a wrong configuration of a grandmaster looks like.
    try:
        seen = wait_for(announced, "the announcement")
    except AssertionError:
        raise AssertionError(f"{look(reader)}\n{net.logs()}") from None
    assert (seen.utc_offset_source, seen.leap) == ("ptp", int(has_leap))
    assert any("TAI minus UTC" in note for note in seen.notes)
