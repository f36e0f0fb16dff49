"""The loop as a colocated host runs it: pinned, spinning, and without any system call while it captures."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
from collections.abc import Callable

import pytest
from archive_truth import assert_same_bytes, assert_sequences_once
from command_line import call
from deadline import wait_for
from service_rig import Rig, Wanted, make_rig

from nanotape.capture.service import CAPTURE, Service
from nanotape.config import load

pytestmark = [pytest.mark.root, pytest.mark.shared]

CORE = 1
FILTERED = "2"
CLOCK_SOURCES = {"tsc", "kvm-clock", "arch_sys_counter", "hyperv_clocksource_tsc_page"}  # native/loop/seccomp.c
ONE_CALL = pathlib.Path(__file__).parents[1] / "support" / "c" / "one_call.c"


@pytest.fixture(autouse=True)
def clock_without_calls() -> None:
    """Skips where the clock itself needs system calls."""
    clock = pathlib.Path("/sys/devices/system/clocksource/clocksource0/current_clocksource").read_text().strip()
    if clock not in CLOCK_SOURCES:
        pytest.skip(f"reading the clock source {clock} is a system call")


def threads(service: Service) -> list[dict[str, str]]:
    """/proc/PID/task/*/status of the capture."""
    files = pathlib.Path(f"/proc/{service.pid(CAPTURE)}/task").glob("*/status")
    texts = [file.read_text(encoding="utf-8").splitlines() for file in files]
    return [{line.partition(":")[0]: line.partition(":")[2].strip() for line in text} for text in texts]


def assert_pinned_and_filtered(service: Service, seccomp: str) -> None:
    """One thread is the loop; it alone is under a filter, which leaves speculation as it is for the others."""
    found = threads(service)
    confined = [thread for thread in found if thread["Seccomp"] == FILTERED]
    assert len(confined) == int(seccomp != "off")
    pinned = [thread for thread in found if thread["Cpus_allowed_list"] == str(CORE)]
    assert len(pinned) == 1
    assert confined == [] or confined[0]["Pid"] == pinned[0]["Pid"]
    helpers = [thread for thread in found if not int(thread["Cpus_allowed"].replace(",", ""), 16) >> CORE & 1]
    assert len(helpers) == 1  # it wakes a hundred times a second: not on the loop's core
    assert len({thread.get("Speculation_Store_Bypass") for thread in found}) == 1


def assert_no_call(rig: Rig, seccomp: str) -> None:
    """As the ring tells it: none where they are counted, unknown where they are not."""
    with rig.ring() as ring:
        assert ring.writer_pid is None  # a clean end: the thread's own end is allowed
        calls = ring.system_calls()
        (source,) = ring.sources()
    assert (calls.seccomp, calls.made) == {"count": ("count", 0), "kill": ("kill", None), "off": (None, None)}[seccomp]
    assert (calls.last, calls.reason) == (None, None)
    assert source.loop.polls_idle > source.loop.polls_busy > 0


def loop_tables(seccomp: str) -> str:
    return f'[loop]\ncore = {CORE}\nseccomp = "{seccomp}"'


def slowly(*values: object) -> object:
    return pytest.param(*values, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    ("kind", "seccomp", "seconds"),
    [
        ("afxdp", "count", 3),
        ("afxdp", "kill", 2),
        ("packet", "count", 2),
        slowly("afxdp", "count", 10),
        slowly("afxdp", "kill", 10),
        slowly("packet", "count", 10),
        slowly("packet", "kill", 10),
    ],
)
def test_a_pinned_spinning_loop_makes_no_system_call_and_takes_everything(
    kind: str, seccomp: str, seconds: int, make_service_rig: Callable[..., Rig]
) -> None:
    """Through seconds of packets and its end: one is counted, or kills the process."""
    rig = make_service_rig(kind=kind, tables=loop_tables(seccomp), capacity="64 MiB", descriptors=131_072)
    with rig.service() as service:
        pid = service.pid(CAPTURE)
        assert_pinned_and_filtered(service, seccomp)
        exchange = rig.exchange("--rate", "10000", "--seconds", str(seconds), lines=["A"])
        while exchange.running():
            service.wait(0.1)
        log = exchange.result()
        books = rig.wait_taken(service)
        assert service.pid(CAPTURE) == pid
        assert not service.restarts
    sent = log.line("A").sent
    assert sent > 9_000 * seconds
    assert (books.in_ring, books.last_seq, books.lost, books.unexplained) == (sent, sent, 0, 0)
    assert assert_sequences_once(rig.archive()) == assert_same_bytes(rig.archive(), log, "A") == sent
    assert_no_call(rig, seccomp)


@pytest.mark.parametrize(
    ("seccomp", "seconds"), [("count", 1), ("kill", 1), ("off", 1), slowly("count", 10), slowly("kill", 10)]
)
def test_a_loop_that_makes_its_own_packets_makes_no_system_call(seccomp: str, seconds: int) -> None:
    source = f'synthetic_count = {100_000 * seconds}\nsynthetic_rate = "100kpps"'
    with make_rig(Wanted(kind="synthetic", capacity="64 MiB", source=source, tables=loop_tables(seccomp)), None) as rig:
        rig.config.write_text(rig.config.read_text(encoding="utf-8").replace('zerocopy = "off"', ""), encoding="utf-8")
        rig.settings = load(rig.config)
        with rig.service(record=False) as service:
            assert_pinned_and_filtered(service, seccomp)
            wait_for(lambda: service.wait(0.1) is not None and service.finished, "the source's end", 30)
            assert not service.restarts
        assert_no_call(rig, seccomp)


def test_one_system_call_is_counted_told_and_let_through(
    make_service_rig: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: a capture whose threads make one each, and whose loop must make none."""
    rig = make_service_rig(tables=loop_tables("count"), capacity="64 MiB", descriptors=131_072)
    compiler = shutil.which(os.environ.get("CC", "cc"))
    assert compiler, "a C compiler (cc) is needed"
    library = rig.folder / "one_call.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o", library, ONE_CALL], check=True)
    monkeypatch.setenv("LD_PRELOAD", str(library))
    with rig.service() as service:
        monkeypatch.delenv("LD_PRELOAD")
        exchange = rig.exchange("--rate", "5000", "--seconds", "1", lines=["A"])
        while exchange.running():
            service.wait(0.1)
        sent = exchange.result().line("A").sent
        assert rig.wait_taken(service).in_ring == sent  # it goes on
        assert not service.restarts
        _, output, _ = call("status", "--config", rig.config, "--json", "--interval", "0.5")
        told = json.loads(output)
        _, output, _ = call("rings", "--config", rig.config, "--json")
        assert json.loads(output)[0]["system_calls"] == told["rings"][0]["system_calls"]
        service.restart(CAPTURE)  # its successor makes none, and does not tell of what its predecessor told
        with rig.ring() as ring:
            wait_for(lambda: (ring.epoch, ring.system_calls().seccomp) == (2, "count"), "the successor's loop", 30)
            assert ring.system_calls().made == 1
    assert told["rings"][0]["system_calls"] == {"seccomp": "count", "made": 1, "last": "getppid", "reason": None}
    assert told["rings"][0]["system_calls_now"] == 0
    [defect] = [each for each in told["findings"] if each["what"].startswith("a defect: its loop made system calls")]
    assert defect["severity"] == "warning"
    assert defect["what"].endswith(" s, 1 in all, the last getppid")
    [line] = [line for line in rig.talk.read_text(encoding="utf-8").splitlines() if line.startswith("loop: ")]
    assert line == "loop: it made a system call (getppid), which it must not while it captures: 1 in all; report this"
