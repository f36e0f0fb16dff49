"""A soak under faults of the world: kills of every process, links that fail, programs detached, no memory, no room.

Ten minutes by default, an hour with NANOTAPE_SOAK_SECONDS=3600; NANOTAPE_SOAK_RATE sets the packets a second,
NANOTAPE_SOAK_EVERY the seconds between faults, NANOTAPE_SOAK_SEED repeats one.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from operator import itemgetter
from typing import Any

import foreign_xdp
import namespaces
import numpy as np
import pytest
from bpf_objects import still_there
from command_line import processes
from deadline import wait_for
from service_rig import Rig
from soak_faults import NOTHING, RECORDER, SUPERVISOR, Holdings, World, holdings, in_namespace

from nanotape.capture.conservation import ring_books
from nanotape.storage.table_schemas import TABLES
from nanotape.storage.verify import verify

pytestmark = [pytest.mark.root, pytest.mark.slow]

SECONDS = float(os.environ.get("NANOTAPE_SOAK_SECONDS", "600"))
RATE = int(os.environ.get("NANOTAPE_SOAK_RATE", "50000"))
SEED = int(os.environ.get("NANOTAPE_SOAK_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
EVERY_S = float(os.environ.get("NANOTAPE_SOAK_EVERY", "20"))
EXPLAINING = ("link", "restart", "disk", "capture_loss")
"""Kinds of events that explain a gap of the feed."""
SLACK_NS = 3 * 10**9
"""A recorder looks once a second, and one that has just begun tells what was before it."""


def test_a_soak_under_faults_balances_leaks_nothing_and_explains_every_loss(
    make_service_rig: Callable[..., Rig], namespace_pair: namespaces.NamespacePair
) -> None:
    rig = make_service_rig(recorder='rotate_bytes = "64 MiB"')
    with foreign_xdp.passing_program() as foreign:
        world = World(rig, namespace_pair, random.Random(SEED), foreign)
        with world.running():
            exchange = rig.exchange("--rate", str(RATE), "--seconds", "0", lines=["A"])
            try:
                grown = befall_for(world)
                world.goes_on()
                exchange.process.send_signal(signal.SIGINT)
                sent = exchange.result().line("A")
            finally:
                exchange.stop()
            wait_for(lambda: at_rest(rig), "all that was sent to be taken", 120)
            with rig.ring() as ring:
                books = ring_books(ring)
    said = f"seed {SEED}: {len(world.happened)} faults, {world.starts} starts"
    assert (books.unexplained, processes(rig.folder)) == (0, set()), said
    found = account(rig, books.last_seq, sent.messages)
    found |= {"seconds": SECONDS, "rate": RATE, "seed": SEED, "faults": len(world.happened), "starts": world.starts}
    found |= {"sent": sent.sent, "in_ring": books.last_seq, "lost_before_ring": books.lost, "leaks": grown}
    sys.stderr.write(f"\n{json.dumps(found)}\n")
    assert found["unexplained_gaps"] == [], said
    assert sum(what == NOTHING for _, what in world.happened) * 10 <= len(world.happened), world.happened
    assert verify(rig.archive()).findings == [], said
    assert {kind for kind, _ in world.objects} == {"prog", "map", "link"}, said
    wait_for(lambda: not still_there(world.objects), "all BPF objects to be freed", 30)
    assert not any(map(in_namespace, (namespace_pair.left, namespace_pair.right))), said
    assert grown["descriptors"]["descriptors"] <= 4, grown
    assert grown["archive_files"]["archive_files"] <= 4 * len(TABLES), grown
    assert grown["mebibytes"]["mebibytes"] <= 96, grown  # a young recorder's batches, and what its libraries load


def befall_for(world: World) -> dict[str, dict[str, Any]]:
    """Faults until the time is over; returns who grew most, by what, while it lived."""
    end, first = time.monotonic() + SECONDS, dict[int, Holdings]()
    worst = {what: {what: 0} for what in ("descriptors", "archive_files", "mebibytes")}
    world.goes_on()
    while time.monotonic() < end:
        due = time.monotonic() + EVERY_S
        what = world.befall()
        world.goes_on()
        sys.stderr.write(f"{time.strftime('%H:%M:%S')} {what}\n")
        while time.monotonic() < min(due, end):
            world.ensure_running()
            time.sleep(0.5)
        for name in (SUPERVISOR, RECORDER):
            pid = world.pid(name)
            with contextlib.suppress(OSError, StopIteration):  # it has just ended
                if pid is not None:
                    now = holdings(name, pid)
                    grown = now.more_than(first.setdefault(pid, now))
                    worst = {what: max(most, grown, key=itemgetter(what)) for what, most in worst.items()}
    return worst


def at_rest(rig: Rig) -> bool:
    """Nothing waits before the ring, and the recorder has all."""
    with rig.ring() as ring:
        before = ring_books(ring)
        time.sleep(0.5)
        after = ring_books(ring)
        return before == after and not any(source.waiting for source in after.sources)


def account(rig: Rig, last_seq: int, messages_sent: int) -> dict[str, Any]:
    """Each ring sequence is there once or counted as lost; each hole in the feed has an event, and that one a cause."""
    rows = recorded = lost = 0
    expected, begin, end = 1, [], []
    for batch in rig.archive().packets(["ring_seq", "lost_before", "feed_seq", "feed_count"]):
        sequences, before = (batch.column(name).to_numpy() for name in ("ring_seq", "lost_before"))
        steps = np.diff(sequences, prepend=expected - 1) - 1
        assert (steps == before).all(), "what is missing is what the next row says"
        expected, rows, lost = int(sequences[-1]) + 1, rows + len(sequences), lost + int(before.sum())
        counts = batch.column("feed_count").to_numpy(zero_copy_only=False)
        begin.append(batch.column("feed_seq").to_numpy(zero_copy_only=False)[counts > 0])
        end.append(begin[-1] + counts[counts > 0])
        recorded += int(counts.sum())
    assert rows + lost == expected - 1 == last_seq
    holes = missing(np.concatenate(begin).astype(np.int64), np.concatenate(end).astype(np.int64), messages_sent)
    events = rig.archive().rows("events").to_pylist()
    assert sum(event["packets_lost"] for event in events if event["kind"] == "capture_loss") == lost
    unexplained = [(*hole, around(hole, events)) for hole in holes if not is_explained(hole, events)]
    return {
        "rows": rows, "lost_behind_ring": lost, "messages": recorded, "messages_missing": sum(b - a for a, b in holes),
        "holes": len(holes), "unexplained_gaps": unexplained[:10], "unexplained": len(unexplained),
        "events": {kind: sum(event["kind"] == kind for event in events) for kind in {e["kind"] for e in events}},
    }  # fmt: skip


def missing(begin: Any, end: Any, messages_sent: int) -> list[tuple[int, int]]:
    """Ranges of the feed's sequences that no row brought."""
    order = np.argsort(begin, kind="stable")
    begin, end = begin[order], np.maximum.accumulate(end[order])
    at = np.flatnonzero(begin[1:] > end[:-1])
    holes = [(int(end[each]), int(begin[each + 1])) for each in at]
    tail = [(int(end[-1]), messages_sent + 1)] if end[-1] <= messages_sent else []
    return ([(1, int(begin[0]))] if begin[0] > 1 else []) + holes + tail


def is_explained(hole: tuple[int, int], events: list[dict[str, Any]]) -> bool:
    """Gaps of the feed cover it, and something befell the host while it came about."""
    gaps = [
        event
        for event in events
        if event["kind"] == "feed_gap" and event["seq_first"] < hole[1] and event["seq_last"] >= hole[0]
    ]
    if hole[0] == 1 and not gaps:
        return True  # before the first packet there was none to follow
    covered = sum(min(gap["seq_last"] + 1, hole[1]) - max(gap["seq_first"], hole[0]) for gap in gaps)
    return covered >= hole[1] - hole[0] and all(has_cause(gap, events) for gap in gaps)


def around(hole: tuple[int, int], events: list[dict[str, Any]]) -> list[str]:
    """What was told of a hole, and near it: kind, first and last sequence, seconds from first to last moment."""
    overlapping = [
        event
        for event in events
        if event["kind"] == "feed_gap" and event["seq_first"] < hole[1] and event["seq_last"] >= hole[0]
    ]
    zero = overlapping[0]["ts_start"].value if overlapping else 0
    near = [
        event for event in events if abs(event["ts_start"].value - zero) < 60 * 10**9 and event["kind"] in EXPLAINING
    ]
    return [
        f"{event['kind']} {event['seq_first']} {event['seq_last']}"
        f" {(event['ts_start'].value - zero) / 1e9:.2f}"
        f" {((event['ts_end'] or event['ts_start']).value - zero) / 1e9:.2f} {event['detail']}"
        for event in overlapping + near
    ]


def has_cause(gap: dict[str, Any], events: list[dict[str, Any]]) -> bool:
    begin, end = (gap[name].value for name in ("ts_start", "ts_end"))
    for event in events:
        if event["kind"] in EXPLAINING:
            last = event["ts_end"] or event["ts_start"]
            if event["ts_start"].value <= end + SLACK_NS and last.value >= begin - SLACK_NS:
                return True
    return False


def test_a_hole_without_an_event_is_not_explained() -> None:
    """The negative control of the soak's judgement."""
    assert not is_explained((5, 7), [])
    assert missing(np.array([1, 7]), np.array([5, 9]), 8) == [(5, 7)]
    assert missing(np.array([3]), np.array([5]), 6) == [(1, 3), (5, 7)]
