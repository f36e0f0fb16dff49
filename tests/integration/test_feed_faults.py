"""Faults of a simulated A/B feed through a whole service, each found once; and our own losses, told by their stage."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fault_truth
import pyarrow.compute as pc
import pytest
from deadline import wait_for
from service_rig import NOBODY, RING, RING_GID, Rig

from nanotape.capture.readers import list_readers
from nanotape.capture.recorded_feeds import read_feeds
from nanotape.capture.sent_log import SentLog
from nanotape.capture.service import CAPTURE, RECORDER, Service
from nanotape.storage import open_archive

pytestmark = pytest.mark.root


def events(rig: Rig) -> list[dict[str, Any]]:
    return open_archive(rig.folder / "archive").events().to_pylist()  # type: ignore[no-any-return]


def test_every_fault_of_a_feed_is_found_once_and_nothing_else_is(wired: Rig) -> None:
    faults = {
        "--gap": ("A:1000:5", "B:2000:3", "A:3000:7", "B:3000:7", "A:4000:6", "B:4003:6", "B:21000:1", "A:36500:2"),
        "--duplicate": ("A:500:3", "B:1500:1", "A:20500:1"),
        "--reorder": ("A:1200:4", "B:2500:1", "A:37200:9"),
        "--reset": ("20000",),
        "--new-session": ("36000",),
    }
    # Some seconds between what is missing and the restarts: then nobody remembers any more what the other line brought.
    options = [word for option, values in faults.items() for value in values for word in (option, value)]
    with wired.service() as service:
        sent = wired.exchange("--rate", "5000", "--packets", "40000", "--delay", "B:300", *options).result()
        wired.wait_taken(service)
    told = events(wired)
    assert fault_truth.found(told) == fault_truth.expected(sent)
    gaps = [each for each in told if each["kind"] == "feed_gap"]
    assert {each["cause"] for each in gaps} == {"upstream"}
    assert sum(each["messages_lost"] for each in gaps) == sum(gap.messages for line in sent.lines for gap in line.gaps)
    told_besides = {each["kind"] for each in told} - {told.kind for told in fault_truth.expected(sent)}
    assert told_besides <= {"restart", "config"}


@contextlib.contextmanager
def sending(rig: Rig, rate: int, packets: int, *options: str) -> Iterator[Callable[[], SentLog]]:
    exchange = rig.exchange("--rate", str(rate), "--packets", str(packets), *options)
    try:
        yield exchange.result
    finally:
        exchange.stop()


def stopped(service: Service, process: str, until: Callable[[], object]) -> None:
    """A process that stands still until something has happened."""
    pid = wait_for(lambda: service.wait(0.02) or service.pid(process), process, 20)
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_for(lambda: service.wait(0.02) is not None and until(), f"what has to happen while {process} stands", 30)
    finally:
        os.kill(pid, signal.SIGCONT)


def ring_bytes(rig: Rig) -> int:
    with rig.ring() as ring:
        return ring.tail


def recorded(rig: Rig) -> int:
    """Rows that the recorder has in segments."""
    with rig.ring() as ring:
        return sum(each.recorded or 0 for each in list_readers(ring, rig.folder / "run"))


def assert_ours(rig: Rig, sent: SentLog, stages: set[str], *, packets_known: bool = True) -> None:
    """All that was sent is recorded, or told to be lost by us, at this stage, to the packet and the message.

    What the exchange withheld is told apart from it, as lost before us.
    """
    packets = open_archive(rig.folder / "archive").packets(columns=["line", "feed_count"]).read_all()
    told = events(rig)
    gaps = [each for each in told if each["kind"] == "feed_gap"]
    ours = [each for each in gaps if each["cause"] == "ours"]
    assert {each["stage"] for each in ours} <= stages
    for line in sent.lines:
        mine = packets.filter(pc.equal(packets.column("line"), line.name))
        lost = [each for each in ours if each["line"] == line.name]
        assert lost, "the test has to lose something"
        assert sum(each["messages_lost"] for each in lost) == line.messages - pc.sum(mine.column("feed_count")).as_py()
        counted = [each["packets_lost"] for each in lost]
        if packets_known:
            assert sum(counted) == line.sent - mine.num_rows
        else:
            assert set(counted) == {None}
        upstream = {(each["seq_first"], each["cause"]) for each in gaps if each["line"] == line.name} - {
            (each["seq_first"], "ours") for each in lost
        }
        assert upstream == {(gap.first_sequence, "upstream") for gap in line.gaps}
        assert_told_so(rig, line.name, gaps)
    assert {each.kind for each in fault_truth.found(told)} == {"feed_gap", "session"}, "the end, and nothing else"


def assert_told_so(rig: Rig, line: str, gaps: list[dict[str, Any]]) -> None:
    """What the recorder told of a line last, for whoever looks on, is what the archive says."""
    feeds = read_feeds(rig.folder / "run", RING, rig.settings.recorder.name)
    assert feeds is not None
    [told] = [each for (_, name), each in feeds.lines.items() if name == line]
    for cause, counted, missing in (
        ("ours", told.gaps_ours, told.missing_ours),
        ("upstream", told.gaps_theirs, told.missing_theirs),
    ):
        mine = [each for each in gaps if each["line"] == line and each["cause"] == cause]
        assert (counted, missing) == (len(mine), sum(each["messages_lost"] for each in mine))


def test_what_a_small_rx_ring_lost_while_the_capture_stood_still_is_told_as_that(
    make_service_rig: Callable[..., Rig],
) -> None:
    rig = make_service_rig(descriptors=4096, capacity="64 MiB")
    gaps = ("--gap", "A:1000:4", "--gap", "A:47000:3", "--gap", "B:48000:2")
    with rig.service() as service, sending(rig, 10_000, 50_000, *gaps) as result:
        wait_for(lambda: service.wait(0.02) is not None and recorded(rig) > 5000, "some packets", 30)
        due = time.monotonic() + 1.0  # nothing on this side counts meanwhile
        stopped(service, CAPTURE, lambda: time.monotonic() > due)
        sent = result()
        rig.wait_taken(service)
    assert_ours(rig, sent, {"rx_dropped", "rx_ring_full"})


def test_what_a_packet_socket_dropped_is_told_as_that_though_not_by_packets(
    make_service_rig: Callable[..., Rig],
) -> None:
    rig = make_service_rig(kind="packet", descriptors=1024, capacity="64 MiB")
    with rig.service() as service, sending(rig, 10_000, 50_000) as result:
        wait_for(lambda: service.wait(0.02) is not None and recorded(rig) > 5000, "some packets", 30)
        due = time.monotonic() + 1.0
        stopped(service, CAPTURE, lambda: time.monotonic() > due)
        sent = result()
        rig.wait_taken(service)
    assert_ours(rig, sent, {"socket_drops"}, packets_known=False)


def test_what_a_small_ring_lost_while_the_recorder_stood_still_is_told_as_that(
    make_service_rig: Callable[..., Rig],
) -> None:
    rig = make_service_rig(descriptors=16_384, capacity="4 MiB")
    with rig.service() as service, sending(rig, 20_000, 60_000) as result:
        wait_for(lambda: service.wait(0.02) is not None and recorded(rig) > 5000, "some packets", 30)
        enough = ring_bytes(rig) + 3 * (4 << 20)
        stopped(service, RECORDER, lambda: ring_bytes(rig) > enough)
        sent = result()
        rig.wait_taken(service)
    assert_ours(rig, sent, {"recorder_lapped"})


@contextlib.contextmanager
def small_disk(folder: Path, mebibytes: int) -> Iterator[None]:
    """A tmpfs."""
    folder.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "nanotape-test", folder]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {done.stderr.strip()}")
    try:
        os.chown(folder, NOBODY, RING_GID)
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder: Path) -> Path:
    """Takes all the room that is left."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(1 << 16)):
            pass
    return ballast


def test_what_a_full_disk_did_not_take_is_told_as_that(make_service_rig: Callable[..., Rig]) -> None:
    rig = make_service_rig(descriptors=16_384, capacity="16 MiB", tables='[archive]\nkeep_free = "0"\n')

    def write_failures() -> int:
        with rig.ring() as ring:
            return sum(each.write_failures or 0 for each in list_readers(ring, rig.folder / "run"))

    with small_disk(rig.folder / "archive", 256):
        with rig.service() as service, sending(rig, 20_000, 100_000) as result:
            wait_for(lambda: service.wait(0.02) is not None and recorded(rig) > 5000, "some packets", 30)
            ballast = fill(rig.folder / "archive")
            wait_for(lambda: service.wait(0.02) is not None and write_failures() > 0, "a write that fails", 30)
            ballast.unlink()
            sent = result()
            rig.wait_taken(service)
        assert_ours(rig, sent, {"recorder_write"})
