"""The main job: what the exchange sent is what stands in the archive, byte for byte and in order."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from archive_truth import assert_same_bytes, assert_sequences_once
from deadline import wait_for
from service_rig import Rig, Wanted, make_rig

from nanotape.capture.sent_log import SentLog

pytestmark = [pytest.mark.root, pytest.mark.shared]


@pytest.mark.parametrize("seconds", [2, pytest.param(10, marks=pytest.mark.slow)])
def test_three_hundred_thousand_packets_a_second_all_arrive_through_af_xdp(
    seconds: int, make_service_rig: Callable[..., Rig], hugepages: Callable[[int], pathlib.Path]
) -> None:
    """Sent = captured = recorded; the recorder is another user than the capture, on huge pages."""
    rig = make_service_rig(hugepages=hugepages((512 << 20) * 2 // (2 << 20) + 2))
    with rig.service() as service:
        exchange = rig.exchange("--rate", "300000", "--packets", str(300_000 * seconds), lines=["A"])
        while exchange.running():
            service.wait(0.1)
        sent = exchange.result().line("A")
        books = rig.wait_taken(service)
    assert sent.sent == 300_000 * seconds + 1  # and the end of the session
    assert books.sources[0].redirected == sent.sent
    assert books.in_ring == books.last_seq == sent.sent
    assert books.lost == 0
    assert books.unexplained == 0
    assert assert_sequences_once(rig.archive()) == sent.sent
    assert assert_same_bytes(rig.archive(), SentLog.read(exchange.log), "A") == sent.sent
    assert not service.restarts


@pytest.mark.parametrize("seconds", [2, pytest.param(10, marks=pytest.mark.slow)])
def test_ten_thousand_packets_a_second_all_arrive_through_plain_sockets(seconds: int) -> None:
    """On loopback, both lines, with headers rebuilt and flagged so."""
    with make_rig(Wanted(kind="socket", interface="lo", capacity="64 MiB"), None) as rig, rig.service() as service:
        exchange = rig.exchange("--rate", "10000", "--seconds", str(seconds))
        while exchange.running():
            service.wait(0.1)
        log = exchange.result()
        books = rig.wait_taken(service)
        service.stop()
        assert books.in_ring == sum(line.sent for line in log.lines)
        assert books.lost == books.unexplained == 0
        for line in log.lines:
            assert assert_same_bytes(rig.archive(), log, line.name) == line.sent
        flags = rig.archive().table(["flags"]).column("flags")
        assert pc.all(pc.not_equal(pc.bit_wise_and(flags, pa.scalar(1 << 2, pa.uint16())), 0)).as_py()


def test_both_lines_with_gaps_stand_in_the_archive_as_sent(rig: Rig) -> None:
    """What the exchange withheld is missing, and nothing else."""
    gaps = ("--gap", "A:1000:5", "--gap", "A:3000:2", "--gap", "B:3000:2", "--burst", "4")
    with rig.service() as service:
        exchange = rig.exchange("--rate", "20000", "--seconds", "2", *gaps)
        while exchange.running():
            service.wait(0.1)
        log = exchange.result()
        rig.wait_taken(service)
    for line in log.lines:
        assert assert_same_bytes(rig.archive(), log, line.name) == line.sent
        assert line.withheld == {"A": 7, "B": 2}[line.name]


def test_a_quiet_feed_is_on_disk_within_the_flush_interval(rig: Rig) -> None:
    """One packet, and nothing after it: visible in the archive while everything runs on."""
    with rig.service() as service:
        exchange = rig.exchange("--rate", "10", "--packets", "1", "--no-end-of-session", lines=["A"])
        sent = exchange.result().line("A")

        def visible() -> int:
            service.wait(0.05)
            return sum(facts.rows for facts in rig.archive().segments())

        wait_for(lambda: visible() == sent.sent, "the packet in the archive", 15.0)
