"""Whoever is killed, and when, while channels change: the service goes on, or ends in order; its books are balanced."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import random
import signal
import threading
import time

import namespaces
import pytest
from archive_truth import assert_sequences_once
from command_line import call
from deadline import wait_for
from reloading import PACKETS, Reloading, channels, reloading
from running_service import running

from nanotape.capture.conservation import ring_books

pytestmark = [pytest.mark.root, pytest.mark.slow]

SEEDS = (1, 2, 3)
ROUNDS = 4
PARTS = {
    "holder": b"nanotape-holder",
    "heir": b"--succeed",
    "capture": b"nanotape-capture",
    "recorder": b"--supervised",
}


def pids(made: Reloading, part: str) -> list[int]:
    """Of this service's processes, by their command lines."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
            if PARTS[part] in words and os.fsencode(made.rig.folder) in words and b"--listeners" not in words:
                found.append(int(entry.name))
    return found


def kill_one(made: Reloading, part: str, after_s: float) -> None:
    """The heir as soon as there is one, and it has had so long; any other then."""
    deadline = time.monotonic() + 20
    while part == "heir" and not pids(made, part) and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(after_s)
    for pid in pids(made, part)[:1]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def toggle_d(text: str) -> str:
    added = channels("D")
    return text.replace(added, "") if added in text else text + added


def is_settled(made: Reloading) -> bool:
    """Whether it has ended, or all its parts run."""
    if made.service.poll() is not None:
        return True
    status, said, _ = call("ctl", "status", "--config", made.rig.config, "--json")
    return status in (0, 1) and bool(said) and None not in json.loads(said)["answers"][0]["processes"].values()


@pytest.mark.parametrize("seed", SEEDS)
def test_whoever_is_killed_amid_a_reload_the_books_are_balanced(
    namespace_pair: namespaces.NamespacePair, seed: int
) -> None:
    chance = random.Random(seed)
    with reloading(namespace_pair, "afxdp") as made, contextlib.ExitStack() as stack:
        stack.enter_context(made.sending(4 * PACKETS))
        for number in range(ROUNDS):
            part = chance.choice(list(PARTS))
            after_s = chance.uniform(0, 0.3 if part == "heir" else 1.5)
            killer = threading.Thread(target=kill_one, args=(made, part, after_s))
            made.rewrite(toggle_d)
            killer.start()
            status, said = made.ctl("reload")
            killer.join()
            print(f"seed {seed}, {number}: {part} killed after {after_s:.3f} s: {status} {said.strip()}")
            wait_for(lambda: is_settled(made), "an end, or all parts", 60)
            if made.service.poll() is not None:
                assert part in ("holder", "heir"), "only a holder's death ends a service"
                assert "Traceback" not in made.rig.talk.read_text(encoding="utf-8")
                made.service = stack.enter_context(running(made.rig))
                wait_for(lambda: is_settled(made) and made.service.poll() is None, "the next start", 60)
        made.ctl("stop")
        made.service.wait(60)
        with made.rig.ring() as ring:
            books = ring_books(ring)
        talk = made.rig.talk.read_text(encoding="utf-8")
        assert books.unexplained == 0, talk
        assert "Traceback" not in talk
        assert assert_sequences_once(made.rig.archive()) == books.in_ring
        assert not [pid for part in PARTS for pid in pids(made, part)]
