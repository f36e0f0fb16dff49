"""Capture and recorder as their units run them: ready, fed by progress and not by packets, starved by what hangs."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import no_new_code
import pytest
from command_line import NANOTAPE
from deadline import wait_for
from notify_socket import NotifySocket, notify_socket
from service_rig import NOBODY, RING, RING_GID, Rig

pytestmark = [pytest.mark.root, pytest.mark.shared]

WATCHDOG_S = 1.0
"""Fed four times in it; systemd would kill after it."""
HARDENED = (sys.executable, no_new_code.__file__)


@contextlib.contextmanager
def started(rig: Rig, manager: NotifySocket, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """A part of the service, as systemd would start it; ready."""
    command = [*HARDENED, *NANOTAPE, *words, "--config", str(rig.config)]
    with rig.talk.open("ab") as talk:
        process = subprocess.Popen(command, stdout=talk, stderr=talk, env=manager.environment(WATCHDOG_S))
    try:
        wait_for(lambda: "READY=1" in manager.heard() or process.poll() is not None, "the part to be ready", 60)
        if process.returncode == no_new_code.UNKNOWN:
            pytest.skip("needs Linux 6.3: PR_SET_MDWE")
        assert process.returncode is None, rig.talk.read_text(encoding="utf-8")
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.wait(60)


@pytest.fixture
def managers(plain: Rig) -> Iterator[Callable[[str], NotifySocket]]:
    with contextlib.ExitStack() as stack:

        def make(name: str) -> NotifySocket:
            folder = plain.folder / f"notify-{name}"  # where the recorder's user may enter
            folder.mkdir()
            return stack.enter_context(notify_socket(folder))

        yield make


def is_fed(manager: NotifySocket, seconds: float = 20.0) -> bool:
    """Whether three feeds come from now on, without any packet."""
    manager.forget()
    return wait_for(lambda: manager.heard().count("WATCHDOG=1") >= 3, "the watchdog to be fed", seconds)


def starves(manager: NotifySocket) -> bool:
    """Whether one watchdog's time passes without a feed, and soon."""
    last = [time.monotonic()]

    def silent() -> bool:
        if "WATCHDOG=1" in manager.heard():
            last[0] = time.monotonic()
            manager.forget()
        return time.monotonic() - last[0] > WATCHDOG_S * 1.5

    return wait_for(silent, "the watchdog to starve", 20.0)


def child_of(pid: int, name: str) -> int:
    """The one child whose program has this name."""
    for entry in pathlib.Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if not entry.name.isdigit():
                continue
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == pid and name in (entry / "cmdline").read_bytes().decode():
                return int(entry.name)
    raise AssertionError(f"{pid} has no child {name}")


def test_a_capture_feeds_while_its_loop_polls_and_starves_when_it_is_stopped(
    plain: Rig, managers: Callable[[str], NotifySocket]
) -> None:
    """No packet ever comes."""
    manager = managers("capture")
    with started(plain, manager, "capture") as supervisor:
        assert f"STATUS=capturing: {RING}" in manager.heard()
        assert is_fed(manager)
        loop = child_of(supervisor.pid, "nanotape-capture")
        os.kill(loop, signal.SIGSTOP)
        try:
            assert starves(manager)
        finally:
            os.kill(loop, signal.SIGCONT)
        assert is_fed(manager)
        environment = pathlib.Path(f"/proc/{loop}/environ").read_bytes()
        assert b"NOTIFY_SOCKET" not in environment
        assert b"WATCHDOG_USEC" not in environment
    assert "STOPPING=1" in manager.heard()


def test_a_recorder_feeds_on_a_quiet_ring_and_starves_when_it_is_stopped(
    plain: Rig, managers: Callable[[str], NotifySocket]
) -> None:
    """And records and compacts, all that a unit's MemoryDenyWriteExecute= allows."""
    manager, archive = managers("record"), plain.folder / "archive"
    archive.mkdir()
    os.chown(archive, NOBODY, RING_GID)  # as nanotape.tmpfiles has it
    with started(plain, managers("capture"), "capture"):
        with started(plain, manager, "record") as recorder:
            assert f"STATUS=recording: {RING}" in manager.heard()
            assert is_fed(manager)
            recorder.send_signal(signal.SIGSTOP)
            assert starves(manager)
            recorder.send_signal(signal.SIGCONT)
            assert is_fed(manager)
            plain.exchange("--rate", "5000", "--packets", "500", lines=["A"]).result()
            wait_for(lambda: any(path.is_file() for path in archive.rglob("*")), "a segment")
        assert "STOPPING=1" in manager.heard()
    words = [*HARDENED, *NANOTAPE, "compact", "--config", str(plain.config), "--json"]
    compacted = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert compacted.returncode == 0, compacted.stderr
    assert json.loads(compacted.stdout)["errors"] == []


def test_the_clock_service_feeds_while_it_looks_and_says_what_it_does(
    plain: Rig, managers: Callable[[str], NotifySocket]
) -> None:
    manager = managers("clock")
    with started(plain, manager, "clock", "run"):
        assert "STATUS=looking after the clocks" in manager.heard()
        assert is_fed(manager)
    assert "STOPPING=1" in manager.heard()
