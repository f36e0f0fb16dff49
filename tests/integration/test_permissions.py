"""Who may do what: readers read and nothing else, capture and recorder have no privilege, the holder what it needs."""

from __future__ import annotations

import os
import pathlib
import signal
from collections.abc import Callable, Iterator

import pytest
import ring_probe
from deadline import wait_for
from service_rig import CAPTURE_UID, NOBODY, RING_GID, Rig

from nanotape.capture.service import CAPTURE, HOLDER, RECORDER, Service

pytestmark = pytest.mark.root

OUTSIDE_GID = 64_299


@pytest.fixture
def running(make_service_rig: Callable[..., Rig]) -> Iterator[tuple[Rig, Service]]:
    """A service with some packets in its ring."""
    rig = make_service_rig(capacity="64 MiB", descriptors=16_384)
    with rig.service() as service:
        send_some(rig, service)
        yield rig, service


def send_some(rig: Rig, service: Service) -> int:
    """Has 2000 packets sent and taken; returns the newest ring sequence."""
    exchange = rig.exchange("--rate", "20000", "--packets", "2000", lines=["A"])
    exchange.result()
    return rig.wait_taken(service).last_seq


def probe(running: tuple[Rig, Service], uid: int, gid: int) -> dict[str, str]:
    rig, service = running
    writer = service.pid(CAPTURE)
    assert service.places
    assert writer
    return ring_probe.outcomes(rig.shm, service.places.holder_socket, writer, uid, gid)


def test_nobody_in_the_rings_group_reads_it_and_can_do_nothing_else(running: tuple[Rig, Service]) -> None:
    """Not write to it, not take its writer's lock, not speak to the holder."""
    found = probe(running, NOBODY, RING_GID)
    assert found.pop("read") == ring_probe.DONE
    assert len(found) >= 18
    assert set(found.values()) <= {"EACCES", "EPERM"}, found
    for what in ("ring: open to write", "data: open to write", "lock: open", "lock: open to write", "holder: connect"):
        assert found[what] == "EACCES"


def test_nobody_outside_the_rings_group_cannot_read_it(running: tuple[Rig, Service]) -> None:
    """And is told so in one line."""
    found = probe(running, NOBODY, OUTSIDE_GID)
    refusal = found.pop("read")
    assert refusal.startswith("refused: ")
    assert "\n" not in refusal
    assert "group" in refusal
    assert set(found.values()) <= {"EACCES", "EPERM"}, found


def test_the_same_attempts_succeed_for_the_rings_owner(running: tuple[Rig, Service]) -> None:
    """Control: it is the permissions that refuse, not the attempts that are wrong."""
    service = running[1]
    writer = service.pid(CAPTURE)
    assert writer
    found = probe(running, CAPTURE_UID, RING_GID)
    os.kill(writer, signal.SIGCONT)
    assert found.pop("plan: open to write") == "EACCES"  # it is root's
    for kind in ("ring", "data"):
        assert found.pop(f"{kind}: lease") == "EAGAIN"  # allowed, but the writer has the file
        assert found.pop(f"{kind}: map to write") == "EACCES"  # of a descriptor that was opened to read
    assert {what: how for what, how in found.items() if how != ring_probe.DONE} == {}


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_a_reader_that_locks_what_it_may_read_does_not_keep_a_new_writer_out(
    end: signal.Signals, running: tuple[Rig, Service]
) -> None:
    """With both files locked by nobody, capture is ended; its successor writes on."""
    rig, service = running
    with ring_probe.locks_held(rig.shm, NOBODY, RING_GID) as held:
        assert len(held) == 4
        before = send_some(rig, service)
        if end == signal.SIGTERM:
            service.restart(CAPTURE)
        else:
            writer = service.pid(CAPTURE)
            assert writer
            os.kill(writer, end)
            wait_for(lambda: service.wait(0.02) is not None and service.restarts.get(CAPTURE) == 1, "a new capture")
        assert send_some(rig, service) == before + 2001
        with rig.ring() as ring:
            assert ring.epoch == 2


def status(pid: int, task: int | None = None) -> dict[str, str]:
    """/proc/PID/status, of a thread if one is named."""
    file = pathlib.Path(f"/proc/{pid}/status" if task is None else f"/proc/{pid}/task/{task}/status")
    lines = (line.partition(":") for line in file.read_text(encoding="utf-8").splitlines())
    return {name: value.strip() for name, _, value in lines}


def of_all_threads(service: Service, name: str) -> list[dict[str, str]]:
    pid = service.pid(name)
    assert pid
    return [status(pid, int(task.name)) for task in pathlib.Path(f"/proc/{pid}/task").iterdir()]


@pytest.mark.parametrize(("name", "uid"), [(CAPTURE, CAPTURE_UID), (RECORDER, NOBODY)])
def test_capture_and_recorder_have_no_capability_and_are_not_root(
    name: str, uid: int, running: tuple[Rig, Service]
) -> None:
    """In any of their threads, nor can they get one."""
    threads = of_all_threads(running[1], name)
    assert len(threads) >= 2 or name == RECORDER
    for thread in threads:
        for capabilities in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
            assert int(thread[capabilities], 16) == 0, capabilities
        assert thread["NoNewPrivs"] == "1"
        assert thread["Uid"].split() == [str(uid)] * 4
        assert thread["Gid"].split() == [str(RING_GID)] * 4
        assert thread["Groups"] == ""
        if name == CAPTURE:
            assert int(thread["CapBnd"], 16) == 0


@pytest.mark.parametrize(("name", "nice"), [(CAPTURE, 0), (RECORDER, 5)])
def test_the_recorder_gives_way_to_the_capture(name: str, nice: int, running: tuple[Rig, Service]) -> None:
    """With all of its threads and, where the kernel weighs sessions first, with its session."""
    process = pathlib.Path(f"/proc/{running[1].pid(name)}")
    for task in (process / "task").iterdir():
        assert os.getpriority(os.PRIO_PROCESS, int(task.name)) == min(os.nice(0) + nice, 19)
    group = process / "autogroup"
    if group.exists():
        assert group.read_text(encoding="ascii").endswith(f" nice {nice}\n")


def test_the_holder_keeps_no_capability_once_it_lends(running: tuple[Rig, Service]) -> None:
    (thread,) = of_all_threads(running[1], HOLDER)
    assert {int(thread[name], 16) for name in ("CapPrm", "CapEff", "CapInh", "CapAmb")} == {0}
    assert thread["NoNewPrivs"] == "1"
