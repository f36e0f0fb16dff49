"""Readers of a ring that is captured into: the slow, stopped or killed lose just what they say, others nothing."""

from __future__ import annotations

import os
import pathlib
import signal
from collections.abc import Callable, Iterator, Sequence

import pytest
from deadline import wait_for
from ring_consumer import Consumer, Taken
from service_rig import Rig

from nanotape.capture.conservation import RingBooks
from nanotape.capture.service import CAPTURE, Service

pytestmark = pytest.mark.root

MIB = 1 << 20


@pytest.fixture
def consumer() -> Iterator[Callable[..., Consumer]]:
    """Starts consumers of a rig's ring; none is left at the end."""
    made: list[Consumer] = []

    def start(rig: Rig, name: str, rows: int = 65_536, laps: float = 0.0) -> Consumer:
        made.append(Consumer(rig.shm / "test.ring", rig.folder / f"{name}.journal", rows, laps))
        made[-1].start()
        # Other tests may keep this machine busy, and a fast reader must be fast.
        os.setpriority(os.PRIO_PROCESS, made[-1].pid, 0 if laps else -15)
        return made[-1]

    yield start
    for each in made:
        each.kill()


def assert_every_sequence_read_or_counted(journal: Sequence[Taken], last: int) -> tuple[int, int]:
    """Each sequence from 1 to the last was read once, or is counted just where it is missing; returns (read, lost)."""
    expected = 1
    for entry in journal:
        assert entry.first == expected + entry.lost_first
        assert entry.last - entry.first + 1 == entry.rows + entry.lost_inside
        expected = entry.last + 1
    assert expected == last + 1
    read, lost = sum(entry.rows for entry in journal), sum(entry.lost_first + entry.lost_inside for entry in journal)
    assert read + lost == last
    return read, lost


def assert_resumed_a_quarter_past_the_oldest(entry: Taken, capacity: int) -> None:
    """The first record after a loss lies there, give or take a granule and what was written during the read."""
    began = entry.position - entry.bytes  # a little later, should there have been padding in between
    assert began >= entry.tail_before - capacity * 3 // 4
    assert began <= entry.tail_after - capacity * 3 // 4 + 2 * MIB


def run(rig: Rig, service: Service, *options: str) -> tuple[int, RingBooks]:
    """Has the exchange send on line A; returns what it sent, and the books when all is taken."""
    exchange = rig.exchange(*options, lines=["A"])
    try:
        while exchange.running():
            service.wait(0.05)
        return exchange.result().line("A").sent, rig.wait_taken(service)
    finally:
        exchange.stop()


def assert_losses_are_the_readers_own_count(journal: Sequence[Taken]) -> None:
    """What `lost_before` adds up to is what the reader says itself, in as many events; each process counts anew."""
    lost = events = 0
    for entry in journal:
        lost = entry.lost_first + entry.lost_inside + (0 if entry.fresh else lost)
        events = entry.losses + (0 if entry.fresh else events)
        assert (entry.lost, entry.events) == (lost, events)


def test_slow_and_stopped_readers_lose_an_exact_number_and_neither_writer_nor_fast_reader_notice(
    make_service_rig: Callable[..., Rig], consumer: Callable[..., Consumer]
) -> None:
    """The same load twice, first without the slow ones: all that was sent is in the ring both times."""
    rig = make_service_rig(capacity="16 MiB", descriptors=131_072)
    load = ("--rate", "120000", "--packets", "360000")
    with rig.service(record=False) as service, rig.ring() as ring:
        fast = consumer(rig, "fast")
        first_sent, without = run(rig, service, *load)
        slow, halted = consumer(rig, "slow", rows=1000, laps=1.2), consumer(rig, "halted")
        wait_for(halted.taken, "a record read by the one that will be stopped")
        halted.signal(signal.SIGSTOP)
        assert_maps_nothing_writable(slow.pid, rig.shm)
        second_sent, with_slow = run(rig, service, *load)
        halted.signal(signal.SIGCONT)
        journals = {each.journal.stem: each.finish() for each in (fast, slow, halted)}
        assert ring.tail > 4 * ring.capacity_bytes
    assert without.in_ring == without.last_seq == first_sent
    assert with_slow.in_ring == with_slow.last_seq == first_sent + second_sent
    assert with_slow.lost == with_slow.unexplained == 0
    assert assert_every_sequence_read_or_counted(journals["fast"], with_slow.last_seq) == (with_slow.last_seq, 0)
    for name in ("slow", "halted"):
        assert_every_sequence_read_or_counted(journals[name], with_slow.last_seq)
        assert_losses_are_the_readers_own_count(journals[name])
        # Without the sequence that it was started at, which is gone: then it begins at the oldest.
        overtaken = [entry for entry in journals[name] if entry.losses > (entry.fresh and entry.lost_first > 0)]
        assert overtaken
        for entry in overtaken:
            assert_resumed_a_quarter_past_the_oldest(entry, 16 * MIB)


def assert_maps_nothing_writable(pid: int, folder: pathlib.Path) -> None:
    """A reader could not touch the ring if it wanted to: so there is nothing that the writer could wait for."""
    maps = pathlib.Path(f"/proc/{pid}/maps").read_text(encoding="utf-8").splitlines()
    modes = [line.split()[1] for line in maps if str(folder) in line]
    assert len(modes) >= 2
    assert set(modes) == {"r--s"}


@pytest.mark.parametrize(
    ("capacity", "holds_all"), [("256 MiB", True), pytest.param("16 MiB", False, marks=pytest.mark.slow)]
)
def test_readers_and_writer_killed_and_restarted_go_on_with_the_sequence(
    capacity: str, holds_all: bool, make_service_rig: Callable[..., Rig], consumer: Callable[..., Consumer]
) -> None:
    """SIGKILL to each in turn under load; what the ring still holds is not lost, what it does not is counted."""
    rig = make_service_rig(capacity=capacity, descriptors=131_072)
    with rig.service(record=False) as service:
        fast, slow = consumer(rig, "fast"), consumer(rig, "slow", rows=1000, laps=0.0 if holds_all else 1.2)
        exchange = rig.exchange("--rate", "80000", "--seconds", "60", lines=["A"])
        try:
            for victim in (fast, slow, fast):
                read_further(service, victim)
                victim.kill()
                read_further(service, slow if victim is fast else fast)
                victim.start()
            for restarts in (1, 2):
                read_further(service, fast)
                writer = service.pid(CAPTURE)
                assert writer
                os.kill(writer, signal.SIGKILL)
                wait_restarted(service, restarts)
            read_further(service, fast)
            exchange.process.terminate()
            sent = exchange.result().line("A").sent
        finally:
            exchange.stop()
        books = rig.wait_taken(service)
        assert (books.last_seq, books.lost, books.unexplained) == (sent, 0, 0)
        assert service.restarts == {CAPTURE: 2}
    with rig.service(record=False) as service, rig.ring() as ring:
        assert ring.epoch == 4
        more, books = run(rig, service, "--rate", "20000", "--packets", "5000")
        assert books.last_seq == sent + more
        journals = {each.journal.stem: each.finish() for each in (fast, slow)}
    for name, journal in journals.items():
        assert sum(entry.fresh for entry in journal) == {"fast": 3, "slow": 2}[name]
        assert_losses_are_the_readers_own_count(journal)
        _, lost = assert_every_sequence_read_or_counted(journal, sent + more)
        assert lost == 0 if holds_all else lost > 0 or name == "fast"


def read_further(service: Service, reader: Consumer) -> None:
    """Until the reader has read another few batches; the service is attended to meanwhile."""
    goal = len(reader.taken()) + 3
    wait_for(lambda: service.wait(0.02) is not None and len(reader.taken()) >= goal, "a reader to read on", 30)


def wait_restarted(service: Service, times: int) -> None:
    """Until the capture was started anew so often."""
    wait_for(lambda: service.wait(0.02) is not None and service.restarts.get(CAPTURE) == times, "a new capture")
