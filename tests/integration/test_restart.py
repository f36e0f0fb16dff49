"""A planned restart of the whole service: the supervisor executes itself anew, and loses nothing."""

from __future__ import annotations

import os
import pathlib
import signal

import namespaces
import pytest
from deadline import wait_for
from reloading import PACKETS, Reloading, channels, processes, reloading, wait_in_ring

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
            before = processes(made)
            status, said = made.ctl("restart")
            assert status == 0, said
            assert exchange.poll() is None, "too slow: all was sent before it was over"
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
