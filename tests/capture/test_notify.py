"""What systemd is told: READY, WATCHDOG and STOPPING as sd_notify(3) has them."""

from __future__ import annotations

import os
import pathlib
import socket
from collections.abc import Iterator

import pytest
from notify_socket import NotifySocket, notify_socket

from nanotape.capture.notify import Notifier


class HandClock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def manager(tmp_path: pathlib.Path) -> Iterator[NotifySocket]:
    with notify_socket(tmp_path) as made:
        yield made


def test_it_says_that_it_is_ready_once_with_a_line_for_people(manager: NotifySocket) -> None:
    notifier = Notifier(str(manager.path))
    notifier.ready("capturing\nmain")
    assert manager.heard() == ["READY=1", "STATUS=capturing main"]


def test_a_line_for_people_is_told_when_it_changes(manager: NotifySocket) -> None:
    notifier = Notifier(str(manager.path))
    notifier.ready("one")
    manager.forget()
    notifier.say("one")
    notifier.say("two")
    assert manager.heard() == ["STATUS=two"]


def test_the_watchdog_is_fed_four_times_in_its_interval(manager: NotifySocket) -> None:
    clock = HandClock()
    notifier = Notifier(str(manager.path), 20_000_000, clock)
    assert notifier.interval_s == 5.0
    notifier.ready()
    fed = 0
    for _ in range(200):
        clock.now += 0.1
        if notifier.is_due():
            notifier.feed()
            fed += 1
    assert fed in (3, 4)
    assert manager.heard().count("WATCHDOG=1") == fed


def test_without_a_manager_it_says_nothing_and_wants_no_feeding() -> None:
    notifier = Notifier(None, 1000)
    notifier.ready()
    notifier.feed()
    notifier.stopping()
    assert not notifier.is_due()


def test_a_manager_that_is_gone_harms_nobody(tmp_path: pathlib.Path) -> None:
    notifier = Notifier(str(tmp_path / "gone"), 1000)
    notifier.ready()
    notifier.feed()
    notifier.stopping()


def test_a_manager_that_does_not_read_is_not_waited_for(manager: NotifySocket) -> None:
    notifier = Notifier(str(manager.path), 1000)
    for _ in range(5000):
        notifier.feed()
    assert 0 < manager.heard().count("WATCHDOG=1") < 5000


def test_an_abstract_socket_is_found() -> None:
    name = f"nanotape-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(f"\0{name}")
        Notifier(f"@{name}").stopping()
        assert end.recv(100) == b"STOPPING=1"


@pytest.mark.parametrize(
    ("told", "interval_s"),
    [
        ({"WATCHDOG_USEC": "8000000"}, 2.0),
        ({"WATCHDOG_USEC": "8000000", "WATCHDOG_PID": str(os.getpid())}, 2.0),
        ({"WATCHDOG_USEC": "8000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({}, None),
    ],
)
def test_the_environment_tells_who_listens_and_is_no_childs(told: dict[str, str], interval_s: float | None) -> None:
    environment = {"NOTIFY_SOCKET": "/run/nowhere", "PATH": "/bin", **told}
    assert Notifier.of_environment(environment).interval_s == interval_s
    assert environment == {"PATH": "/bin"}
