"""A planned restart of the whole service: the supervisor executes itself anew, and loses nothing."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import subprocess
from collections.abc import Iterator

import namespaces
import pytest
from command_line import NANOTAPE
from deadline import wait_for
from reloading import PACKETS, RATE, Reloading, channels, processes, reloading, wait_in_ring

from nanotape.capture.sent_log import SentLog

pytestmark = pytest.mark.root

LONG = 2 * PACKETS


def check_nothing_lost(made: Reloading) -> None:
    """Ends it: all that was sent to its channels is recorded, by feed sequences and by the books."""
    wait_in_ring(made, 3 * (LONG + 1))  # the end of the session is one more
    books = made.stop()
    sent = SentLog.read(made.log)
    assert made.recorded() == {name: sent.line(name).sent for name in "ABC"}
    assert [made.gaps(name) for name in "ABC"] == [0, 0, 0]
    assert (books["lost"], books["unexplained"], books["unrecorded"]) == (0, 0, 0)


@pytest.mark.parametrize(("kind", "stays"), [("afxdp", set()), ("packet", {"holder"})], ids=["afxdp", "packet"])
def test_a_restart_of_the_whole_service_loses_nothing(
    namespace_pair: namespaces.NamespacePair, kind: str, stays: set[str]
) -> None:
    with reloading(namespace_pair, kind) as made:
        with made.sending(LONG) as exchange:
            wait_in_ring(made, 30_000)
            before, in_ring = processes(made), made.in_ring()
            status, said = made.ctl("restart")
            assert status == 0, said
            assert made.in_ring() - in_ring > 3 * RATE, "not a second of traffic while it was under way"
            after = processes(made)
            assert {name for name in before if before[name] == after[name]} == stays
            assert None not in after.values()
            assert made.service.poll() is None
            assert exchange.wait(60) == 0
        check_nothing_lost(made)


def test_what_was_restarted_can_be_steered_and_dies_as_ever(namespace_pair: namespaces.NamespacePair) -> None:
    with reloading(namespace_pair, "afxdp") as made:
        with made.sending() as exchange:
            wait_in_ring(made, 20_000)
            assert made.ctl("restart")[0] == 0
            made.rewrite(lambda text: text + channels("D"))
            status, said = made.ctl("restart")
            assert (status, "channel D: changed meanwhile: reload first" in said) == (1, True), said
            assert made.ctl("reload")[0] == 0
            assert made.ctl("restart")[0] == 0
            before = processes(made)
            os.kill(before["capture"] or 0, signal.SIGKILL)
            wait_for(lambda: processes(made)["capture"] not in (None, before["capture"]), "another capture", 30)
            assert exchange.wait(60) == 0
        before = processes(made)
        made.service.kill()
        made.service.wait(30)
        for pid in before.values():
            wait_for(lambda pid=pid: not pathlib.Path(f"/proc/{pid}").exists(), f"the end of {pid}", 30)


@contextlib.contextmanager
def recording(made: Reloading) -> Iterator[subprocess.Popen[bytes]]:
    """A recorder that is a service of its own, in the same namespace."""
    archive = made.rig.folder / "archive"
    archive.mkdir()
    archive.chmod(0o777)  # a recorder that root starts writes as its own user
    with (made.rig.folder / "recorder.talk").open("w", encoding="utf-8") as talk:
        command = [*made.rig.capture_side, *NANOTAPE, "record", "--config", str(made.rig.config)]
        process = subprocess.Popen(command, stdout=talk, stderr=talk)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


def test_a_recorder_of_its_own_takes_no_heir_for_another_program(namespace_pair: namespaces.NamespacePair) -> None:
    with reloading(namespace_pair, "afxdp", verb="capture") as made:
        with recording(made) as recorder, made.sending() as exchange:
            wait_for(lambda: made.recorded_rows() > 0, "the first rows", 60)
            made.rewrite(lambda text: text + channels("D"))
            assert made.ctl("reload")[0] == 0
            assert made.ctl("restart")[0] == 0
            assert exchange.wait(60) == 0
            wait_for(lambda: made.recorded_rows() >= 3 * (PACKETS + 1), "all rows", 60)
            assert recorder.poll() is None
        made.stop()
        events = made.rig.archive().rows("events", ["kind", "detail"]).to_pylist()
        assert [event for event in events if "XDP" in (event["detail"] or "")] == []
        assert {event["kind"] for event in events} >= {"restart"}
        recorded, sent = made.recorded(), SentLog.read(made.log)
        assert {name: recorded[name] for name in "ABC"} == {name: sent.line(name).sent for name in "ABC"}
