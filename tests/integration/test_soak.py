"""A soak: bursts of traffic on both lines, everything that may die dying at random, and books that balance at the end.

The short form runs with the default tests; the long one is `make test-slow` (NANOTAPE_SOAK_SECONDS sets its length).
"""

from __future__ import annotations

import os
import random
import signal
import time

import numpy as np
import pytest
from archive_truth import assert_same_bytes, assert_sequences_once
from service_rig import Rig

from nanotape.capture.service import CAPTURE, RECORDER, Service
from nanotape.storage.verify import verify

pytestmark = pytest.mark.root

RATE = 40_000


def misfortune(chance: random.Random, service: Service) -> str:
    """One random fault; returns what it was."""
    name = chance.choice([CAPTURE, RECORDER])
    if chance.random() < 0.25:
        service.restart(name)
        return f"planned restart of {name}"
    pid = service.pid(name)
    if pid is not None:
        os.kill(pid, signal.SIGKILL)
    return f"kill of {name}"


def soak(rig: Rig, seconds: float, seed: int) -> None:
    """Runs for `seconds`, a fault every two on average, then compares archive and sender's log byte for byte."""
    chance = random.Random(seed)
    happened: list[str] = []
    with rig.service() as service:
        exchange = rig.exchange("--rate", str(RATE), "--seconds", str(seconds), "--burst", "3")
        due = time.monotonic() + 2
        while exchange.running():
            service.wait(max(0.0, min(0.1, due - time.monotonic())))
            if time.monotonic() >= due:
                happened.append(misfortune(chance, service))
                due = time.monotonic() + chance.uniform(0.5, 3.5)
        log = exchange.result()
        books = rig.wait_taken(service)
    sent = sum(line.sent for line in log.lines)
    said = f"seed {seed}: {', '.join(happened)}"
    assert len(happened) >= seconds / 5, said
    assert (books.last_seq, books.lost, books.unexplained) == (sent, 0, 0), said
    assert assert_sequences_once(rig.archive()) == sent, said
    for line in log.lines:
        assert assert_same_bytes(rig.archive(), log, line.name) == line.sent, said
    losses = np.concatenate([batch.column(0).to_numpy() for batch in rig.archive().packets(["lost_before"])])
    assert losses.sum() == 0, said
    assert verify(rig.archive()).findings == []


def test_a_short_soak_with_random_kills_balances(rig: Rig) -> None:
    soak(rig, 6, random.SystemRandom().randrange(1 << 32))


@pytest.mark.slow
def test_a_long_soak_with_random_kills_balances(rig: Rig) -> None:
    soak(rig, float(os.environ.get("NANOTAPE_SOAK_SECONDS", "300")), random.SystemRandom().randrange(1 << 32))
