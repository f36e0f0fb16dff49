"""The loop as a colocated host runs it: pinned, spinning, and forbidden every system call while it captures."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

import pytest
from archive_truth import assert_same_bytes, assert_sequences_once
from service_rig import Rig

from nanotape.capture.service import CAPTURE, Service

pytestmark = pytest.mark.root

CORE = 1
FILTERED = "2"
CLOCK_SOURCES = {"tsc", "kvm-clock", "arch_sys_counter", "hyperv_clocksource_tsc_page"}  # native/loop/seccomp.c


def threads(service: Service) -> list[dict[str, str]]:
    """/proc/PID/task/*/status of the capture."""
    files = pathlib.Path(f"/proc/{service.pid(CAPTURE)}/task").glob("*/status")
    texts = [file.read_text(encoding="utf-8").splitlines() for file in files]
    return [{line.partition(":")[0]: line.partition(":")[2].strip() for line in text} for text in texts]


@pytest.mark.parametrize(("kind", "seccomp"), [("afxdp", True), ("afxdp", False), ("packet", True)])
def test_a_pinned_spinning_loop_makes_no_system_call_and_takes_everything(
    kind: str, seccomp: bool, make_service_rig: Callable[..., Rig]
) -> None:
    """Any call would kill the process: it lives, through 2 s of packets and its end."""
    clock = pathlib.Path("/sys/devices/system/clocksource/clocksource0/current_clocksource").read_text().strip()
    if clock not in CLOCK_SOURCES:
        pytest.skip(f"reading the clock source {clock} is a system call")
    tables = f"[loop]\ncore = {CORE}\nseccomp = {str(seccomp).lower()}"
    rig = make_service_rig(kind=kind, tables=tables, capacity="64 MiB", descriptors=131_072)
    with rig.service() as service:
        pid = service.pid(CAPTURE)
        confined = [thread for thread in threads(service) if thread["Seccomp"] == FILTERED]
        assert len(confined) == int(seccomp)
        pinned = [thread for thread in threads(service) if thread["Cpus_allowed_list"] == str(CORE)]
        assert len(pinned) == 1
        assert confined == [] or confined[0]["Pid"] == pinned[0]["Pid"]
        exchange = rig.exchange("--rate", "20000", "--seconds", "2", lines=["A"])
        while exchange.running():
            service.wait(0.1)
        log = exchange.result()
        books = rig.wait_taken(service)
        assert service.pid(CAPTURE) == pid
        assert not service.restarts
    sent = log.line("A").sent
    assert (books.in_ring, books.last_seq, books.lost, books.unexplained) == (sent, sent, 0, 0)
    assert assert_sequences_once(rig.archive()) == assert_same_bytes(rig.archive(), log, "A") == sent
    with rig.ring() as ring:
        assert ring.writer_pid is None  # a clean end: the thread's own end is allowed
        (source,) = ring.sources()
        assert source.loop.polls_idle > source.loop.polls_busy > 0
