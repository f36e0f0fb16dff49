"""A whole service on packet sockets: every packet is accounted for, and what dies is replaced without a trace."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import pytest
from archive_truth import assert_same_bytes, assert_sequences_once
from deadline import wait_for
from service_rig import Rig

from nanotape.capture.conservation import ring_books
from nanotape.capture.service import CAPTURE

pytestmark = pytest.mark.root

RATE = 60_000
EVERY_S = 0.8


@pytest.fixture
def rig(make_service_rig: Callable[..., Rig]) -> Rig:
    """A service with one packet socket."""
    return make_service_rig(kind="packet", descriptors=262_144, capacity="256 MiB")


@pytest.mark.parametrize("end", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_a_capture_that_ends_again_and_again_under_load_loses_and_repeats_nothing(
    end: signal.Signals, rig: Rig
) -> None:
    with rig.service() as service:
        exchange = rig.exchange("--rate", str(RATE), "--packets", str(4 * RATE), lines=["A"])
        try:
            ended, due = 0, time.monotonic() + EVERY_S
            while exchange.running():
                service.wait(0.02)
                pid = service.pid(CAPTURE)
                if time.monotonic() >= due and pid is not None:
                    due = time.monotonic() + EVERY_S
                    if end == signal.SIGKILL:
                        os.kill(pid, end)
                    else:
                        service.restart(CAPTURE)
                    ended += 1
            assert ended >= 3
            log = exchange.result()
        finally:
            exchange.stop()
        books = rig.wait_taken(service)
        service.stop()
    sent = log.line("A").sent
    assert books.lost == 0
    assert books.unexplained == 0
    assert books.last_seq == sent
    assert assert_sequences_once(rig.archive()) == sent
    assert assert_same_bytes(rig.archive(), log, "A") == sent


def test_what_a_small_ring_dropped_while_nobody_took_is_counted(make_service_rig: Callable[..., Rig]) -> None:
    rig = make_service_rig(kind="packet", descriptors=64, capacity="64 MiB")
    with rig.service() as service:
        pid = wait_for(lambda: service.wait(0.02) or service.pid(CAPTURE), "a capture", 20)
        os.kill(pid, signal.SIGSTOP)
        log = rig.exchange("--rate", "20000", "--packets", "20000", lines=["A"]).result()
        os.kill(pid, signal.SIGCONT)
        books = rig.wait_taken(service)
        service.stop()
    assert books.unexplained == 0
    assert 0 < books.lost < log.line("A").sent
    assert books.last_seq == log.line("A").sent - books.lost
    assert assert_sequences_once(rig.archive()) == books.last_seq


def test_a_new_holder_goes_on_in_the_same_ring_with_balanced_books(rig: Rig) -> None:
    sent = 0
    for _ in range(2):
        with rig.service() as service:
            log = rig.exchange("--rate", "20000", "--packets", "10000", lines=["A"]).result()
            books = rig.wait_taken(service)
            service.stop()
        sent += log.line("A").sent
        assert (books.lost, books.unexplained, books.last_seq) == (0, 0, sent)
    with rig.ring() as ring:
        assert ring_books(ring).unexplained == 0


@pytest.mark.parametrize("stops", [2, pytest.param(6, marks=pytest.mark.slow)])
def test_a_stop_in_the_middle_of_the_traffic_is_no_loss_to_the_next_start(rig: Rig, stops: int) -> None:
    """Packet sockets outlive the holder in the capture's hands: what still comes in then, nobody asked for."""
    exchange = rig.exchange("--rate", str(RATE), "--seconds", "60", lines=["A"])
    try:
        for _ in range(stops):
            with rig.service() as service:
                enough = taken(rig) + RATE // 4
                wait_for(lambda at=enough: service.wait(0.1) is not None and taken(rig) > at, "some packets", 20)
            with rig.ring() as ring:
                books = ring_books(ring)
            assert [source.waiting for source in books.sources] == [0]
            assert books.lost == books.unexplained == 0
    finally:
        exchange.stop()


def taken(rig: Rig) -> int:
    with rig.ring() as ring:
        return ring_books(ring).in_ring
