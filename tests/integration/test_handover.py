"""What dies is replaced, and the archive does not show it: no packet lost, none twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest
from archive_truth import assert_same_bytes, assert_sequences_once
from deadline import wait_for
from service_rig import Exchange, Rig

from nanotape.capture.conservation import ring_books
from nanotape.capture.errors import ServiceError
from nanotape.capture.service import CAPTURE, HOLDER, RECORDER, Service

pytestmark = pytest.mark.root


@pytest.fixture
def exchange_at_300k(rig: Rig) -> Iterator[Callable[[float], Exchange]]:
    """Starts an exchange of 300,000 packets a second for some seconds, on line A."""
    started: list[Exchange] = []

    def start(seconds: float) -> Exchange:
        packets = str(round(300_000 * seconds))
        started.append(rig.exchange("--rate", "300000", "--packets", packets, lines=["A"]))
        return started[-1]

    yield start
    for exchange in started:
        exchange.stop()


def watch(service: Service, exchange: Exchange, act: Callable[[], bool], every: float) -> int:
    """Lets the exchange send, calls `act` again and again; returns how often it did something."""
    done, due = 0, time.monotonic() + every
    while exchange.running():
        service.wait(max(0.0, min(0.05, due - time.monotonic())))
        if time.monotonic() >= due:
            due = time.monotonic() + every
            done += act()
    return done


def kill(service: Service, name: str) -> bool:
    """SIGKILL to a part of the service, if it runs."""
    pid = service.pid(name)
    if pid is not None:
        os.kill(pid, signal.SIGKILL)
    return pid is not None


def assert_all_there(rig: Rig, service: Service, exchange: Exchange) -> None:
    """Sent = in ring = recorded, each sequence once, the very bytes."""
    log = exchange.result()
    books = rig.wait_taken(service)
    service.stop()
    sent = log.line("A").sent
    assert books.lost == 0
    assert books.unexplained == 0
    assert books.last_seq == sent
    assert assert_sequences_once(rig.archive()) == sent
    assert assert_same_bytes(rig.archive(), log, "A") == sent
    table = rig.archive().table(["lost_before"])
    assert sum(table.column("lost_before").to_pylist()) == 0


@pytest.mark.parametrize(("seconds", "least"), [(3, 3), pytest.param(6, 5, marks=pytest.mark.slow)])
def test_the_capture_killed_again_and_again_under_300000_packets_a_second_loses_and_repeats_nothing(
    seconds: float, least: int, rig: Rig, exchange_at_300k: Callable[[float], Exchange]
) -> None:
    """The supervisor restarts it; the successor adopts what the holder kept."""
    with rig.service() as service, rig.ring() as watched:

        def kill_at_work() -> bool:
            """Not one that has yet to take over."""
            return watched.epoch == service.restarts.get(CAPTURE, 0) + 1 and kill(service, CAPTURE)

        exchange = exchange_at_300k(seconds)
        kills = watch(service, exchange, kill_at_work, 0.6)
        assert kills >= least
        assert_all_there(rig, service, exchange)
        assert service.restarts[CAPTURE] == kills
        with rig.ring() as ring:
            assert ring.epoch == kills + 1


def test_a_planned_restart_of_the_capture_loses_and_repeats_nothing(
    rig: Rig, exchange_at_300k: Callable[[float], Exchange]
) -> None:
    """SIGTERM instead of SIGKILL."""
    with rig.service() as service:
        exchange = exchange_at_300k(2)
        restarts = watch(service, exchange, lambda: bool(service.restart(CAPTURE)), 0.5)
        assert restarts >= 2
        assert_all_there(rig, service, exchange)


@pytest.mark.parametrize("wanted", [4, pytest.param(40, marks=pytest.mark.slow)])
def test_the_recorder_killed_at_random_instants_records_each_sequence_exactly_once(rig: Rig, wanted: int) -> None:
    """Each successor cuts the part file after its last whole message and goes on."""
    chance = random.Random(20)
    with rig.service() as service:
        exchange = rig.exchange("--rate", "40000", "--seconds", str(3 * wanted), lines=["A"])
        kills = 0
        try:
            while kills < wanted:
                old = wait_for(lambda: service.wait(0.02) or service.pid(RECORDER), "a recorder", 30)
                end = time.monotonic() + chance.uniform(0.0, 1.6)
                while time.monotonic() < end:
                    service.wait(0.02)
                kills += kill(service, RECORDER)
                wait_for(
                    lambda old=old: service.wait(0.02) is not None and service.pid(RECORDER) != old, "its death", 30
                )
            os.kill(_simulate_pid(exchange), signal.SIGTERM)
            assert_all_there(rig, service, exchange)
        finally:
            exchange.stop()


def _simulate_pid(exchange: Exchange) -> int:
    """`ip netns exec` has become the command itself."""
    return exchange.process.pid


@pytest.mark.parametrize(
    "instant",
    ["just died", *(pytest.param(when, marks=pytest.mark.slow) for when in ("only starting", "waits to be started"))],
)
def test_a_recorder_that_is_not_at_work_when_the_service_stops_takes_what_is_in_the_ring(
    rig: Rig, instant: str
) -> None:
    with rig.service() as service:
        sent = rig.exchange("--rate", "20000", "--packets", "20000", lines=["A"]).result().line("A").sent
        rig.wait_taken(service)
        for _ in range({"just died": 1, "only starting": 1, "waits to be started": 3}[instant]):
            pid = service.pid(RECORDER)
            if pid:
                os.kill(pid, signal.SIGKILL)
            if instant != "just died":
                service.wait(1)
        service.stop()
    assert service.recorder_words
    assert assert_sequences_once(rig.archive()) == sent


def test_when_the_holder_dies_the_service_ends_in_order_and_nothing_stays_attached(rig: Rig) -> None:
    """What waited is taken, what was taken is recorded."""
    with rig.service() as service:
        exchange = rig.exchange("--rate", "20000", "--seconds", "60", lines=["A"])
        try:
            wait_for(lambda: service.wait(0.05) is not None and _in_ring(rig) > 10_000, "packets in the ring", 20)
            kill(service, HOLDER)
            with pytest.raises(ServiceError, match="holder"):
                wait_for(lambda: bool(service.wait(0.1)) and False, "the end of the service", 20)
        finally:
            exchange.stop()
        assert service.pid(CAPTURE) is None
        assert service.pid(RECORDER) is None
    with rig.ring() as ring:
        books = ring_books(ring)
    assert books.unexplained == 0
    assert assert_sequences_once(rig.archive()) == books.last_seq
    shown = subprocess.run([*rig.capture_side, "ip", "-d", "link", "show"], capture_output=True, text=True, check=True)
    assert "xdp" not in shown.stdout


def _in_ring(rig: Rig) -> int:
    with rig.ring() as ring:
        return sum(source.loop.packets for source in ring.sources())


def test_processes_end_with_a_supervisor_that_is_killed(rig: Rig) -> None:
    """`nanotape run` under SIGKILL leaves no process behind, and its next start goes on."""
    command = [*rig.capture_side, sys.executable, "-m", "nanotape.cli.main", "run", "-c", str(rig.config)]
    with rig.talk.open("w", encoding="utf-8") as talk:
        supervisor = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=talk)
    try:
        wait_for(lambda: "capturing" in rig.talk.read_text(encoding="utf-8"), "the service", 30)
        children = _children(supervisor.pid)
        assert len(children) in (3, 4)  # and one that looks for listeners, now and then
    finally:
        supervisor.kill()
        supervisor.wait()
    wait_for(lambda: not any(_runs(pid) for pid in children), "the end of its processes", 20)
    with rig.service() as service:
        assert service.pid(CAPTURE) is not None


def _children(pid: int) -> list[int]:
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=True)
    return [int(word) for word in listed.stdout.split()]


def _runs(pid: int) -> bool:
    return os.path.exists(f"/proc/{pid}")
