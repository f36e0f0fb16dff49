"""Processes that stand still, run out of memory or disk, and readers that run away: all is recorded, or told."""

from __future__ import annotations

import contextlib
import itertools
import os
import pathlib
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from archive_truth import assert_sequences_once
from command_line import call
from deadline import wait_for
from running_service import said
from service_rig import NOBODY, RING_GID, Rig

from nanotape.capture.readers import list_readers
from nanotape.capture.service import CAPTURE, HOLDER, RECORDER, Service
from nanotape.storage.verify import verify

pytestmark = pytest.mark.root

RATE = 20_000


@contextlib.contextmanager
def traffic(rig: Rig, seconds: float) -> Iterator[Any]:
    """An exchange that sends on line A; ended at the latest when the test is."""
    exchange = rig.exchange("--rate", str(RATE), "--packets", str(round(RATE * seconds)), lines=["A"])
    try:
        yield exchange
    finally:
        exchange.stop()


def watch(service: Service, seconds: float) -> None:
    """What `nanotape run` does meanwhile."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        service.wait(0.05)


def in_ring(rig: Rig) -> int:
    with rig.ring() as ring:
        return sum(source.loop.packets for source in ring.sources())


def flowing(rig: Rig, service: Service) -> None:
    wait_for(lambda: service.wait(0.02) is not None and in_ring(rig) > 1000, "packets")


def at_work(rig: Rig, service: Service) -> bool:
    """A capture that writes, and a recorder that has recorded."""
    with rig.ring() as ring:
        readers = {facts.pid: facts.recorded for facts in list_readers(ring, rig.folder / "run")}
        return ring.writer_alive and bool(readers.get(service.pid(RECORDER) or 0))


def events(rig: Rig, kind: str) -> list[dict[str, Any]]:
    return [event for event in rig.archive().rows("events").to_pylist() if event["kind"] == kind]


def assert_all_recorded(rig: Rig, service: Service, exchange: Any) -> None:
    """Sent = in ring = recorded, each once."""
    sent = exchange.result().line("A").sent
    books = rig.wait_taken(service)
    service.stop()
    assert (books.last_seq, books.lost, books.unexplained) == (sent, 0, 0)
    assert assert_sequences_once(rig.archive()) == sent
    assert sum(rig.archive().table(["lost_before"]).column("lost_before").to_pylist()) == 0
    assert verify(rig.archive()).findings == []


@pytest.mark.parametrize("seconds", [4, pytest.param(60, marks=pytest.mark.slow)])
def test_a_recorder_that_stands_still_tells_so_and_loses_nothing_that_the_ring_holds(rig: Rig, seconds: int) -> None:
    with rig.service() as service, traffic(rig, seconds + 2) as exchange:
        flowing(rig, service)
        pid = service.pid(RECORDER)
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        try:
            watch(service, seconds)
        finally:
            os.kill(pid, signal.SIGCONT)
        assert_all_recorded(rig, service, exchange)
        assert service.restarts == {}
    (still,) = [event for event in events(rig, "restart") if "stood still" in event["detail"]]
    assert (still["ts_end"] - still["ts_start"]).total_seconds() >= seconds - 1
    assert still["severity"] == "warning"


@pytest.mark.slow
def test_a_capture_that_stands_still_loses_what_the_rx_ring_does_not_hold_and_counts_it(
    make_service_rig: Callable[..., Rig],
) -> None:
    rig = make_service_rig(descriptors=4096)
    with rig.service() as service, traffic(rig, 4) as exchange:
        flowing(rig, service)
        pid = service.pid(CAPTURE)
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        try:
            watch(service, 1.5)
        finally:
            os.kill(pid, signal.SIGCONT)
        sent = exchange.result().line("A").sent
        books = rig.wait_taken(service)
    assert books.lost > RATE // 2
    assert (books.last_seq + books.lost, books.unexplained) == (sent, 0)
    assert assert_sequences_once(rig.archive()) == books.last_seq
    gaps = events(rig, "feed_gap")
    assert sum(event["packets_lost"] or 0 for event in gaps) == books.lost
    assert {event["cause"] for event in gaps} == {"ours"}


@pytest.mark.parametrize("megabytes", [0, *(pytest.param(each, marks=pytest.mark.slow) for each in (3, 5, 6))])
def test_a_recorder_without_memory_ends_with_a_line_and_its_successor_goes_on(rig: Rig, megabytes: int) -> None:
    """Wherever the next allocation is refused: there are many places, and one rule."""
    with rig.service() as service, traffic(rig, 4) as exchange:
        flowing(rig, service)
        pid = service.pid(RECORDER)
        assert pid is not None
        limit_address_space(pid, megabytes << 20)
        try:
            wait_for(lambda: service.wait(0.05) is not None and service.restarts.get(RECORDER), "its successor", 30)
        except AssertionError:
            os.kill(pid, signal.SIGKILL)  # or the service would wait for it without end
            raise
        assert_all_recorded(rig, service, exchange)
        assert service.restarts == {RECORDER: 1}
    words = rig.talk.read_text(encoding="utf-8")
    assert "Traceback" not in words, words
    # Which allocation is refused, and so whose words they are, is chance; to say them takes some memory, too.
    assert re.search(r"^nanotape: .*(memory|allocate|new thread)", words, re.M), words
    assert any(f"{RECORDER}: exit status 1" in line for line in rig.news), rig.news
    told = sorted((event["ts_start"], event["detail"]) for event in events(rig, "restart"))
    assert [detail for _, detail in told][-1].startswith("recorder ends in order")
    assert sum("ends in order" in detail for _, detail in told) == 1, "none that broke off says so of itself"


def limit_address_space(pid: int, more_bytes: int) -> None:
    """Only its own user may, short of a capability that we may not have."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    now = int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmSize:"))) << 10
    become = ("setpriv", "--reuid", str(NOBODY), "--regid", str(RING_GID), "--clear-groups")
    subprocess.run([*become, "prlimit", "--pid", str(pid), f"--as={now + more_bytes}:"], check=True)


@pytest.fixture
def memory_group() -> Iterator[pathlib.Path]:
    """A control group that grants 4 MiB to whoever enters it."""
    parent = pathlib.Path("/sys/fs/cgroup/memory")
    folder = parent / f"nt-test-{os.getpid()}"
    try:
        folder.mkdir()
        (folder / "memory.limit_in_bytes").write_text(str(4 << 20), encoding="ascii")
    except OSError as error:
        pytest.skip(f"no memory control group (version 1) can be made here: {error.strerror}")
    try:
        yield folder
    finally:
        wait_for(lambda: not (folder / "cgroup.procs").read_text(encoding="ascii"), "the group to be empty")
        folder.rmdir()


@pytest.mark.slow
@pytest.mark.parametrize("name", [RECORDER, CAPTURE])
def test_a_process_that_the_kernel_kills_for_its_memory_is_followed_by_another(
    rig: Rig, memory_group: pathlib.Path, name: str
) -> None:
    """A capture touches all that it needs before it begins, so that it lives on."""
    with rig.service() as service, traffic(rig, 5) as exchange:
        flowing(rig, service)
        (memory_group / "cgroup.procs").write_text(str(service.pid(name)), encoding="ascii")
        if name == RECORDER:
            wait_for(lambda: service.wait(0.05) is not None and service.restarts.get(name), "its successor", 30)
            assert "recorder: killed by SIGKILL" in rig.news
        assert_all_recorded(rig, service, exchange)
        assert service.restarts == ({RECORDER: 1} if name == RECORDER else {})


@pytest.fixture
def full_disk_rig(rig: Rig) -> Iterator[Rig]:
    """The archive on a file system of 24 MiB."""
    folder = rig.folder / "archive"
    folder.mkdir()
    options = f"size=24m,uid={NOBODY},gid={RING_GID},mode=750"
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "nt-test", folder], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {done.stderr.strip()}")
    try:
        yield rig
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.mark.slow
def test_a_full_disk_under_a_service_is_told_counted_and_got_over(full_disk_rig: Rig) -> None:
    rig = full_disk_rig
    filler = rig.folder / "archive" / "filler"
    with rig.service() as service, traffic(rig, 6) as exchange:
        flowing(rig, service)
        with contextlib.suppress(OSError), filler.open("wb") as file:
            while True:
                file.write(bytes(1 << 16))
        wait_for(lambda: service.wait(0.05) is not None and said(rig, "could not be written so far"), "a line", 30)
        filler.unlink()
        wait_for(lambda: service.wait(0.05) is not None and said(rig, "writing again"), "writing again", 30)
        sent = exchange.result().line("A").sent
        books = rig.wait_taken(service)
        service.stop()
        assert service.restarts == {}
    assert (books.last_seq, books.lost, books.unexplained) == (sent, 0, 0)
    rows = rig.archive().table(["ring_seq", "lost_before"])
    lost = sum(rows.column("lost_before").to_pylist())
    assert lost > 0
    assert rows.num_rows + lost == sent
    assert sum(event["packets_lost"] for event in events(rig, "capture_loss")) == lost
    assert {event["stage"] for event in events(rig, "capture_loss")} == {"recorder_write"}
    assert [event["severity"] for event in events(rig, "disk")] == ["error", "info"]
    assert verify(rig.archive()).findings == []


def test_readers_that_run_away_keep_nobody_from_capturing_recording_and_asking(
    make_service_rig: Callable[..., Rig],
) -> None:
    """One never reads on, one holds the recorder's file locked, and thousands have left their files behind."""
    rig = make_service_rig(capacity="32 MiB")
    with rig.service() as service, traffic(rig, 12) as exchange, rig.ring() as ring, contextlib.ExitStack() as stack:
        flowing(rig, service)
        idle = stack.enter_context(ring.reader("oldest"))
        idle.show_as("idle", rig.folder / "run")
        idle.read(1, 4096)
        folder = rig.folder / "run" / "test" / "readers"
        facts = (folder / "idle.status").read_bytes()
        for number in range(3000):
            (folder / f"gone-{number}.status").write_bytes(facts if number % 2 else b"rubbish")
        lock = subprocess.Popen(["flock", str(folder / "recorder.status"), "sleep", "60"])
        stack.callback(lock.wait)
        stack.callback(lock.kill)
        os.kill(service.pid(RECORDER) or 0, signal.SIGKILL)
        wait_for(lambda: service.wait(0.05) is not None and service.restarts.get(RECORDER), "its successor", 30)
        begun = time.monotonic()
        status, output, said_so = call("status", "--config", rig.config, "--json", "--interval", "0.5")
        assert output, said_so
        assert status in (0, 1)
        assert time.monotonic() - begun < 20
        assert_all_recorded(rig, service, exchange)
        assert ring.tail > ring.capacity_bytes, "the one that never reads on was lapped"


@pytest.mark.slow
def test_each_process_killed_in_turn_is_told_in_the_archive(rig: Rig) -> None:
    """A capture that began anew, a recorder that begins: who reads the archive sees when and which."""
    with rig.service() as service, traffic(rig, 8) as exchange:
        flowing(rig, service)
        for name, turn in itertools.product((CAPTURE, RECORDER), (1, 2)):
            wait_for(lambda: service.wait(0.02) is not None and at_work(rig, service), "all to be at work")
            os.kill(service.pid(name) or 0, signal.SIGKILL)
            wait_for(
                lambda: service.wait(0.02) is not None and service.restarts.get(name, 0) == turn,  # noqa: B023
                f"another {name}",
            )
            if name == CAPTURE:
                wait_for(lambda: service.wait(0.02) is not None and began_anew(rig, turn + 1), "the event")  # noqa: B023
        assert service.pid(HOLDER)
        assert_all_recorded(rig, service, exchange)
    assert sum("recorder begins" in event["detail"] for event in events(rig, "restart")) == 3
    assert began_anew(rig, 2)
    assert began_anew(rig, 3)


def began_anew(rig: Rig, epoch: int) -> bool:
    words = f"capture began anew, epoch {epoch}, with the holder of the one before"
    return any(event["detail"] == words for event in events(rig, "restart"))
