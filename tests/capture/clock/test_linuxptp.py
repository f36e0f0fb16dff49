"""Supervision of linuxptp, with programs of the test's own in its place.

The real ones are in tests/integration/test_linuxptp.py.
"""

from __future__ import annotations

import os
import pathlib
import signal
import threading
from typing import Any

import pytest
from deadline import wait_for

from nanotape.capture.clock import daemon as daemon_module
from nanotape.capture.clock.linuxptp import Linuxptp, LinuxptpHappening, LinuxptpProcess
from nanotape.capture.errors import LinuxptpError
from nanotape.capture.processes import is_alive
from nanotape.config.clock import ClockSettings

RUNS = """#!/bin/sh
[ "$1" = -v ] && echo {version} && exit
echo "{name}[1.000]: $*"
exec sleep 600
"""
FAILS = """#!/bin/sh
[ "$1" = -v ] && echo 4.4 && exit
echo "failed to open port eth0" >&2
exit 3
"""


class Rig:
    """Programs in a folder that is first in PATH, a clock that the test moves, an empty /proc."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.programs, self.folder, self.proc = folder / "bin", folder / "clock", folder / "proc"
        self.programs.mkdir()
        self.proc.mkdir()
        self.now = 0.0
        self.lines: list[str] = []
        self.kept: list[Linuxptp] = []
        for name in ("ptp4l", "phc2sys", "ts2phc"):
            self.program(name)

    def program(self, name: str, text: str = RUNS, version: str = "4.4") -> None:
        path = self.programs / name
        path.write_text(text.format(name=name, version=version))
        path.chmod(0o755)

    def owner(self, pid: int, *command: str) -> None:
        folder = self.proc / str(pid)
        (folder / "root").mkdir(parents=True)
        (folder / "stat").write_text(f"{pid} ({pathlib.Path(command[0]).name}) S 1 1 1 0")
        (folder / "cmdline").write_bytes(b"".join(each.encode() + b"\0" for each in command))

    def linuxptp(self, wrap: tuple[str, ...] = (), **options: Any) -> Linuxptp:
        settings = ClockSettings(**({"mode": "manage", "interfaces": ("eth0",)} | options))
        return Linuxptp(
            settings,
            self.folder,
            wrap,
            self.lines.append,
            proc=self.proc,
            monotonic_s=lambda: self.now,
            utc_ns=lambda: 1234,
        )


@pytest.fixture
def rig(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Rig:
    made = Rig(tmp_path)
    monkeypatch.setenv("PATH", f"{made.programs}:{os.environ['PATH']}")
    return made


def pids(managed: Linuxptp) -> dict[str, int | None]:
    return {each.name: each.pid for each in managed.processes}


def kill(managed: Linuxptp, name: str) -> int:
    """Kills a program, once it has become itself, and returns when that is seen."""
    pid = pids(managed)[name]
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: pids(managed)[name] is None, "the end of the program")
    return pid


def test_programs_are_started_with_their_files_and_ended_in_reverse(rig: Rig) -> None:
    managed = rig.linuxptp(wrap=("env", "-u", "HOME"))
    managed.start()
    try:
        running = pids(managed)
        assert list(running) == ["ptp4l", "phc2sys"]
        assert managed.processes[0] == LinuxptpProcess("ptp4l", running["ptp4l"], 0, 1234)
        assert [each.what for each in managed.look()] == ["started", "started"]
        assert managed.look() == []
        log = rig.folder / "ptp4l.log"
        wait_for(log.read_text, "the first line of its log")
        assert log.read_text() == f"ptp4l[1.000]: -f {rig.folder}/ptp4l.conf\n"
        assert "clientOnly 1" in (rig.folder / "ptp4l.conf").read_text()
        assert managed.logs == (log, rig.folder / "phc2sys.log")
        assert not list(rig.folder.glob("*.partial"))
    finally:
        managed.stop()
    assert not any(is_alive(pid or 0) for pid in running.values())
    managed.stop()


def test_what_dies_is_restarted_the_later_the_more_often_it_died(rig: Rig) -> None:
    managed = rig.linuxptp(time_stamping="software")
    managed.start()
    try:
        managed.look()
        killed = kill(managed, "ptp4l")
        ended, restarted = managed.look()
        assert (ended.process, ended.what) == ("ptp4l", "ended")
        assert ended.detail.startswith("killed by SIGKILL")
        assert (restarted.what, pids(managed)["ptp4l"] not in (killed, None)) == ("restarted", True)
        for wait_s in (1.0, 2.0, 5.0):
            kill(managed, "ptp4l")
            assert [each.what for each in managed.look()] == ["ended"]
            assert managed.processes[0].since_ns is None
            rig.now += wait_s - 0.01
            assert managed.look() == []
            rig.now += 0.02
            assert [each.what for each in managed.look()] == ["restarted"]
        assert managed.processes[0].restarts == 4
        rig.now += 60  # sound for long enough: at once again
        kill(managed, "ptp4l")
        assert [each.what for each in managed.look()] == ["ended", "restarted"]
        assert any("restarted: process" in line and "5th time" in line for line in rig.lines)
    finally:
        managed.stop()


def test_one_that_ends_at_once_is_told_of_with_its_last_words(rig: Rig) -> None:
    rig.program("ptp4l", FAILS)
    managed = rig.linuxptp(time_stamping="software")
    managed.start()
    try:
        wait_for(lambda: pids(managed)["ptp4l"] is None, "its end")
        told = managed.look()
        assert LinuxptpHappening("ptp4l", "ended", "exit status 3: failed to open port eth0") in told
    finally:
        managed.stop()


def test_beside_an_owner_nothing_is_started(rig: Rig) -> None:
    rig.owner(123, "/usr/sbin/chronyd", "-F", "1")
    managed = rig.linuxptp(time_stamping="software")
    with pytest.raises(LinuxptpError, match=r"steer the system clock, found chronyd \(process 123\)"):
        managed.start()
    assert managed.processes == ()
    assert not rig.folder.exists()
    only_measures = rig.linuxptp(time_stamping="software", free_running=True)
    only_measures.start()
    only_measures.stop()


def test_what_died_is_not_restarted_beside_one_that_took_its_clock(rig: Rig) -> None:
    managed = rig.linuxptp(time_stamping="software")
    managed.start()
    try:
        managed.look()
        rig.owner(123, "/usr/sbin/chronyd")
        kill(managed, "ptp4l")
        ended, failed = managed.look()
        assert (ended.what, failed.what) == ("ended", "failed")
        assert "found chronyd (process 123)" in failed.detail
        assert pids(managed) == {"ptp4l": None}
    finally:
        managed.stop()


@pytest.mark.parametrize("version", ["2.0", "6.0", "what"])
def test_an_unknown_version_is_refused(rig: Rig, version: str) -> None:
    rig.program("ptp4l", version=version)
    with pytest.raises(LinuxptpError, match=f"expected linuxptp 3.1 to 4.x, found '{version}'"):
        rig.linuxptp().start()


def test_3_1_has_its_own_names(rig: Rig) -> None:
    rig.program("ptp4l", version="3.1.1")
    managed = rig.linuxptp()
    managed.start()
    managed.stop()
    assert "slaveOnly 1" in (rig.folder / "ptp4l.conf").read_text()


def test_a_log_is_bounded(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon_module, "LOG_BYTES", 1000)
    managed = rig.linuxptp(time_stamping="software")
    managed.start()
    try:
        log = rig.folder / "ptp4l.log"
        wait_for(log.read_text, "its first line, after which it says nothing")
        with log.open("a") as opened:
            opened.write("x" * 2000 + "\n")
        managed.look()
        assert log.stat().st_size == 0
        assert "x" * 2000 in (rig.folder / "ptp4l.log.old").read_text()
    finally:
        managed.stop()


def test_what_a_thread_started_ends_with_it(rig: Rig) -> None:
    found: list[int] = []

    def run() -> None:
        managed = rig.linuxptp(time_stamping="software")
        managed.start()
        log = rig.folder / "ptp4l.log"
        wait_for(log.read_text, "the program itself")
        found.append(managed.processes[0].pid or 0)
        rig.kept.append(managed)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    (managed,) = rig.kept
    wait_for(lambda: pids(managed)["ptp4l"] is None, "its end with the thread")
    assert not is_alive(found[0])
    managed.stop()
