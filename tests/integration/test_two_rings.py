"""Two rings, two interfaces, one service: what happens to one ring does not happen to the other."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator

import namespaces
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from archive_truth import assert_same_bytes
from command_line import call
from deadline import wait_for
from service_rig import NOBODY, Exchange
from two_rings import RINGS, TwoRings, starting, two_rings

from nanotape.storage.archive import Archive

pytestmark = pytest.mark.root


@pytest.fixture
def both(namespace_pair: namespaces.NamespacePair) -> Iterator[TwoRings]:
    """The service, ready."""
    with two_rings(namespace_pair) as made:
        yield made


def assert_ring_is_line(archive: Archive, ring: str, line: str) -> int:
    """All of a ring is of one line, each ring sequence once; returns the last."""
    table = archive.table(["ring", "line", "ring_seq", "lost_before"])
    rows = table.filter(pc.equal(table.column("ring").cast(pa.string()), ring))
    assert set(rows.column("line").cast(pa.string()).to_pylist()) == {line}
    assert (np.diff(rows.column("ring_seq").to_numpy(), prepend=0) == 1).all()
    assert not any(rows.column("lost_before").to_pylist())
    return len(rows)


def send(both: TwoRings, packets: int, rate: int = 50_000) -> dict[str, Exchange]:
    """Both lines, each over its wire; by the ring that takes it."""
    options = ("--rate", str(rate), "--packets", str(packets))
    return {ring: both.exchange(ring.upper(), *options) for ring in RINGS}


def test_a_killed_capture_loses_nothing_and_the_other_ring_is_not_touched(both: TwoRings) -> None:
    """Each line stands in its own ring and folder, byte for byte; the status and the books tell of both."""
    other = both.writer("b")
    assert both.attached() == {"veth-r", "veth-r2"}
    exchanges = send(both, 90_000)
    for at in (15_000, 45_000):
        wait_for(lambda at=at: both.in_ring("a") > at, "packets", 20)
        both.kill_capture("a")
    logs = {ring: exchange.result() for ring, exchange in exchanges.items()}
    sent = {ring: log.line(ring.upper()).sent for ring, log in logs.items()}
    for ring in RINGS:
        both.wait_taken(ring, sent[ring])
    assert both.writer("b") == other
    told = json.loads(call("status", "--json", "--config", both.rig.config)[1])
    assert {each["name"]: (each["packets"], each["deaths"]) for each in told["rings"]} == {
        "a": (sent["a"], {"capture": 2}),
        "b": (sent["b"], {}),
    }
    status, output = both.stop()
    assert status == 0, both.said()
    reports = json.loads(output)["rings"]
    facts = ("ring", "in_ring", "lost", "unexplained", "unrecorded", "restarts", "error")
    assert [tuple(each[fact] for fact in facts) for each in reports] == [
        ("a", sent["a"], 0, 0, 0, {"capture": 2}, None),
        ("b", sent["b"], 0, 0, 0, {}, None),
    ]
    archive = both.rig.archive()
    for ring, log in logs.items():
        assert assert_ring_is_line(archive, ring, ring.upper()) == sent[ring]
        assert assert_same_bytes(archive, log, ring.upper()) == sent[ring]
    assert both.attached() == set()
    assert os.stat(both.rig.folder / "archive" / "segments" / "b").st_uid == NOBODY


def test_a_killed_holder_ends_its_own_ring_in_order_and_the_other_goes_on(both: TwoRings) -> None:
    """It is told at once; the ring can be started again beside the other; the exit status remembers."""
    exchanges = send(both, 75_000, rate=30_000)
    wait_for(lambda: all(both.in_ring(ring) > 10_000 for ring in RINGS), "packets", 20)
    other = both.writer("b")
    os.kill(both.holder("a"), signal.SIGKILL)
    wait_for(lambda: "all was ended in order, start again; the others go on: b" in both.said(), "the news", 20)
    assert "ring a: holder: killed by SIGKILL" in both.said()
    assert both.attached() == {"veth-r2"}
    assert (both.writer("a"), both.writer("b")) == (None, other)
    found, text, _ = call("status", "--config", both.rig.config)
    assert found == 1
    assert text.startswith("NOT CAPTURING a; ")
    assert "start it: nanotape run --ring a" in text
    with starting(both.rig, "--ring", "a", rings=1) as again:
        assert both.attached() == {"veth-r", "veth-r2"}
        status, output = again.stop()
        assert (status, json.loads(output)["ring"]) == (0, "a"), both.said()
    log = exchanges["b"].result()
    exchanges["a"].stop()
    sent = log.line("B").sent
    both.wait_taken("b", sent)
    status, output = both.stop()
    assert status == 1
    a, b = json.loads(output)["rings"]
    assert (a["unexplained"], a["unrecorded"]) == (0, 0)
    assert "all was ended in order" in a["error"]
    assert (b["in_ring"], b["lost"], b["unexplained"], b["unrecorded"], b["error"]) == (sent, 0, 0, 0, None)
    assert assert_ring_is_line(both.rig.archive(), "a", "A") == a["in_ring"]
    assert assert_ring_is_line(both.rig.archive(), "b", "B") == sent
    assert assert_same_bytes(both.rig.archive(), log, "B") == sent
