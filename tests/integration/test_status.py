"""`nanotape status` of a real service: fine while it is, and the right line when a part is killed or too slow."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from command_line import as_nobody, call
from deadline import wait_for
from refusals import edit
from service_rig import NOBODY, RING_GID, Exchange, Rig

from nanotape.capture.service import CAPTURE, RECORDER, Service
from nanotape.config import load

pytestmark = [pytest.mark.root, pytest.mark.shared]


def status(rig: Rig, expected: int | None = None) -> dict[str, Any]:
    """What it says of the rig."""
    found, output, errors = call("status", "--config", rig.config, "--json", "--interval", "0.5")
    assert errors == ""
    told: dict[str, Any] = json.loads(output)
    if expected is not None:
        assert found == expected, told["findings"]
    assert told["fine"] is (found == 0)
    return told


def errors_of(told: dict[str, Any]) -> list[str]:
    return [each["what"] for each in told["findings"] if each["severity"] == "error"]


def kill(service: Service, name: str, number: signal.Signals) -> int:
    pid = service.pid(name)
    assert pid
    os.kill(pid, number)
    return pid


@contextmanager
def traffic(rig: Rig, *options: str) -> Iterator[Exchange]:
    exchange = rig.exchange(*(options or ("--rate", "2000", "--seconds", "60")), lines=["A"])
    try:
        with rig.ring() as ring:
            wait_for(lambda: ring.tail > 0, "the first packet", 30)
        yield exchange
    finally:
        exchange.stop()


def test_a_service_that_runs_is_fine(wired: Rig) -> None:
    with wired.service() as service, traffic(wired):
        told = wait_for(lambda: service.wait(0.1) is not None and _fine(wired), "a fine service", 30)
        [ring] = told["rings"]
        assert ring["packets_s"] > 500
        assert ring["lost"] == {}
        [recorder] = ring["readers"]
        assert (recorder["name"], recorder["alive"], recorder["records"]) == ("recorder", True, True)
        assert ring["space"]["free_bytes"] > 0
        found, output, _ = call("status", "--config", wired.config, "test")
        assert found == 0
        assert output.startswith("capturing ")
        assert "losing nothing; the disk keeps up" in output
    told = status(wired, 1)
    assert errors_of(told) == ["not capturing: the capture was ended"]
    assert told["headline"].startswith("NOT CAPTURING test; ")
    assert told["rings"][0]["unexplained"] == 0


def _fine(rig: Rig) -> dict[str, Any] | None:
    told = status(rig)
    return told if told["fine"] else None


def test_a_killed_recorder_is_found_and_its_successor_too(wired: Rig) -> None:
    """Nobody attends to the service meanwhile, so that nobody restarts it."""
    with wired.service() as service, traffic(wired):
        wait_for(lambda: _fine(wired), "a fine service", 30)
        pid = kill(service, RECORDER, signal.SIGKILL)
        (died,) = errors_of(status(wired, 1))
        assert died.startswith(f"not recording: recorder (process {pid}) died, lapped in ")
        wait_for(lambda: service.wait(0.1) is not None and _fine(wired), "a new recorder", 60)
        assert service.restarts == {RECORDER: 1}


def test_a_capture_that_is_stopped_or_killed_is_found(wired: Rig) -> None:
    with wired.service() as service, traffic(wired):
        wait_for(lambda: _fine(wired), "a fine service", 30)
        pid = kill(service, CAPTURE, signal.SIGSTOP)
        [stopped] = errors_of(status(wired, 1))
        assert stopped.startswith(f"not capturing: process {pid} lives, but its loop stood still for ")
        kill(service, CAPTURE, signal.SIGCONT)
        wait_for(lambda: _fine(wired), "a capture that goes on", 30)
        kill(service, CAPTURE, signal.SIGKILL)
        assert errors_of(status(wired, 1)) == [f"not capturing: the capture, process {pid}, died"]
        wait_for(lambda: service.wait(0.1) is not None and _fine(wired), "a new capture", 60)


def test_a_recorder_that_hangs_is_found_before_it_is_lapped_and_after(make_service_rig: Callable[..., Rig]) -> None:
    rig = make_service_rig(capacity="4 MiB", descriptors=4096)
    with rig.service() as service, traffic(rig, "--rate", "10000", "--seconds", "200"):
        wait_for(lambda: _fine(rig), "a fine service", 30)
        kill(service, RECORDER, signal.SIGSTOP)
        with rig.ring() as ring:
            stopped_at = ring.tail
            wait_for(
                lambda: any("% of the ring behind" in what for what in errors_of(status(rig))), "a lag of 90 %", 30
            )
            wait_for(lambda: ring.tail > stopped_at + ring.capacity_bytes, "the ring to go round once", 60)
        kill(service, RECORDER, signal.SIGCONT)
        told: list[dict[str, Any]] = []
        try:
            wait_for(lambda: _is_told_afterwards(told, status(rig)), "what it lost", 60)
        except AssertionError as error:
            raise AssertionError(f"{error}; last status: {json.dumps(told[-1])}") from None


def _is_told_afterwards(told: list[dict[str, Any]], now: dict[str, Any]) -> bool:
    """Once it has caught up: fine, with a warning of what was lost."""
    told.append(now)
    warned = any("was lapped over" in each["what"] and "none now" in each["what"] for each in now["findings"])
    return bool(now["fine"] and now["rings"][0]["readers"][0]["lost"] and warned)


def test_packets_lost_before_the_ring_are_an_error_while_they_are_lost(plain: Rig) -> None:
    edit(plain, 'receive_buffer = "64 MiB"', 'receive_buffer = "4 KiB"')
    plain.settings = load(plain.config)
    with plain.service(record=False) as service:
        with traffic(plain, "--rate", "200000", "--burst", "64", "--seconds", "60"):
            told = wait_for(lambda: service.wait(0.01) is not None and _losing(plain), "a loss", 60)
            assert told["headline"].startswith("LOSING DATA: ")
        # the kernel's counter is read now and then: the last drops may be published after the traffic has ended
        told = wait_for(lambda: service.wait(0.01) is not None and _fine(plain), "an end of the loss", 30)
        assert any("(socket_drops), none now" in each["what"] for each in told["findings"])
        assert any("nobody writes to disk" in each["what"] for each in told["findings"])


def _losing(rig: Rig) -> dict[str, Any] | None:
    told = status(rig)
    return told if any("before the ring: socket_drops" in what for what in errors_of(told)) else None


def test_an_unprivileged_user_of_the_rings_group_can_ask_and_tail(wired: Rig) -> None:
    edit(wired, f'group = "{RING_GID}"', f'group = "{NOBODY}"')
    wired.settings = load(wired.config)
    with wired.service() as service, traffic(wired), as_nobody() as (nobody, _):
        wait_for(lambda: service.wait(0.1) is not None and _fine(wired), "a fine service", 30)
        done = said_to(nobody, "status", "--config", str(wired.config))
        assert done[0] == 0, done
        assert done[1].startswith("capturing ")
        done = said_to(nobody, "tail", "--config", str(wired.config), "-c", "3")
        assert (done[0], done[1].count("[channel-0/A]")) == (0, 3)


def said_to(nobody: tuple[str, ...], *arguments: str) -> tuple[int, str, str]:
    """As that user."""
    done = subprocess.run([*nobody, *arguments], capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout, done.stderr
