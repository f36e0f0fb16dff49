"""The units under a real systemd: put in place, started, killed, starved, reloaded, stopped; and what is recorded."""

from __future__ import annotations

import json
import pathlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Self

import namespaces
import pytest
from deadline import wait_for
from live_systemd import EXECUTABLE, LiveSystemd, live_systemd, missing_for_systemd

from nanotape.capture.sent_log import SentLog

pytestmark = pytest.mark.root

CAPTURE, RECORD, CLOCK = "nanotape-capture@main.service", "nanotape-record@main.service", "nanotape-clock.service"
NATIVE = f"{pathlib.Path(EXECUTABLE).parent}/packages/nanotape/native"
CONFIG = "/etc/nanotape/nanotape.toml"
GROUP = "239.192.7.1:31001"
TEXT = """
[ring]
capacity = "64 MiB"
hugepages = "off"

[source]
kind = "afxdp"
interface = "veth-r"
descriptors = 16384

[[channel]]
name = "one"
feed = "simulated"
framing = "moldudp64"

[[channel.line]]
name = "A"
group = "239.192.7.1"
port = 31001
"""
BESIDE = TEXT[TEXT.index("[[channel]]") :].replace('"one"', '"two"').replace("239.192.7.1", "239.192.7.2")
NOT_HERE = ("udevadm",)
"""Commands that `service install` names for what this systemd does not have."""


@pytest.fixture
def systemd(namespace_pair: namespaces.NamespacePair) -> Iterator[LiveSystemd]:
    """With nanotape's units in place and running, as `service install` says."""
    missing = missing_for_systemd()
    if missing:
        pytest.skip(missing)
    with live_systemd(namespace_pair.right) as running:
        running.write(CONFIG, TEXT)
        told = running.run(EXECUTABLE, "service", "install", "--executable", EXECUTABLE).stdout
        for command in told.splitlines():
            if not command.startswith(NOT_HERE):
                running.run(*command.split())
        yield running
        running.run("systemctl", "stop", "nanotape.target", check=False)


class Sender:
    """Sends to the group until it is told to end."""

    def __init__(self, pair: namespaces.NamespacePair, log: pathlib.Path, rate: int) -> None:
        """Begins."""
        words = ["-m", "nanotape.cli.main", "simulate", "--interface", pair.left.interface, "--log", log, "--json"]
        words += ["--rate", str(rate), "--seconds", "0", "--line", f"A={GROUP}"]
        command = pair.left.command(sys.executable, *words)
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self._log = log

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def end(self) -> int:
        """Ends it; how many packets it sent."""
        self._process.send_signal(signal.SIGINT)
        _, said = self._process.communicate(timeout=60)
        assert self._process.returncode == 0, said
        return SentLog.read(self._log).line("A").sent


def in_ring(systemd: LiveSystemd) -> int:
    """Packets that the ring has taken."""
    (ring,) = json.loads(systemd.run(EXECUTABLE, "rings", "--json").stdout)
    return int(ring["packets"])


def more_comes(systemd: LiveSystemd) -> None:
    """Waits for a packet that was not there."""
    before = in_ring(systemd)
    wait_for(lambda: in_ring(systemd) > before, "packets in the ring", 30)


def started_anew(systemd: LiveSystemd, unit: str, before: int) -> int:
    """Waits until a service is another process than it was, and ready; its id."""

    def other() -> int | None:
        pid = systemd.main_pid(unit)
        return pid if pid not in (0, before) and systemd.shown(unit, "ActiveState") == "active" else None

    return wait_for(other, f"{unit} to be started anew", 30)


def audited(systemd: LiveSystemd) -> int:
    """Rows of an archive whose books balance without any loss; a killed recorder did not tell all that it recorded."""
    told = json.loads(systemd.run(EXECUTABLE, "audit", "/var/lib/nanotape/archive", "--json").stdout)
    assert (told["fine"], told["unexplained"], told["lost"]) == (True, 0, 0), told
    return sum(int(each["rows"]) for each in told["recorders"])


def test_units_come_up_go_down_and_lose_nothing_when_the_recorder_is_killed_starved_or_restarted(
    systemd: LiveSystemd, namespace_pair: namespaces.NamespacePair, tmp_path: pathlib.Path
) -> None:
    status = systemd.run(EXECUTABLE, "service", "status", "--executable", EXECUTABLE, "--json", check=False)
    told = json.loads(status.stdout)
    assert told["fine"], f"{told}\n{systemd.journal()}"
    systemd.write(f"/run/systemd/system/{RECORD}.d/60-test.conf", "[Service]\nWatchdogSec=3s\n")
    systemd.run("systemctl", "daemon-reload")
    with Sender(namespace_pair, tmp_path / "sent.json", 5000) as sender:
        more_comes(systemd)
        pid = systemd.main_pid(RECORD)
        systemd.kill(RECORD, signal.SIGKILL)
        pid = started_anew(systemd, RECORD, pid)
        systemd.kill(RECORD, signal.SIGSTOP)  # neither dead nor alive: only the watchdog sees that
        pid = started_anew(systemd, RECORD, pid)
        assert systemd.shown(RECORD, "NRestarts") == "2"
        systemd.run("systemctl", "restart", RECORD)
        assert started_anew(systemd, RECORD, pid)
        more_comes(systemd)
        sent = sender.end()
    wait_for(lambda: in_ring(systemd) == sent, "all that was sent", 30)
    systemd.run("systemctl", "stop", "nanotape.target")
    wait_for(lambda: not systemd.processes("nanotape.cli.main"), "all of it to end", 60)
    assert [systemd.shown(unit, "Result") for unit in (CAPTURE, RECORD, CLOCK)] == ["success"] * 3, systemd.journal()
    assert audited(systemd) == sent


def test_who_runs_as_what_with_which_rights(systemd: LiveSystemd) -> None:
    uids = {name: systemd.run("id", "-u", name).stdout.strip() for name in ("nanotape", "nanotape-record")}
    (recorder,) = systemd.processes("record")
    (holder,) = systemd.processes(f"{NATIVE}/nanotape-holder")
    (capture,) = systemd.processes(f"{NATIVE}/nanotape-capture")
    assert recorder["Uid"].split() == [uids["nanotape-record"]] * 4
    assert [each["Uid"].split()[0] for each in (holder, capture)] == [uids["nanotape"]] * 2
    assert all(int(each["CapEff"], 16) == 0 for each in (recorder, capture))
    assert int(holder["CapEff"], 16) == 0, "it lends, and has given its rights away"
    assert {each["NoNewPrivs"] for each in (recorder, holder, capture)} == {"1"}
    assert {each["Seccomp"] for each in (recorder, holder, capture)} == {"2"}


def test_a_reload_takes_a_recorders_change_over_and_refuses_what_needs_a_restart(systemd: LiveSystemd) -> None:
    pid = systemd.main_pid(CAPTURE)
    systemd.write(CONFIG, TEXT.replace('"64 MiB"', '"128 MiB"'))
    systemd.run("systemctl", "reload", CAPTURE)
    wait_for(lambda: any("ring.capacity" in each["MESSAGE"] for each in systemd.journalled(CAPTURE)), "a refusal", 30)
    assert systemd.main_pid(CAPTURE) == pid
    assert systemd.shown(CAPTURE, "ActiveState") == "active"
    assert {"6"} < {each["PRIORITY"] for each in systemd.journalled(CAPTURE)}, "what is wrong stands out"


def test_an_upgrade_and_another_channel_lose_nothing_under_the_units_own_restrictions(
    systemd: LiveSystemd, namespace_pair: namespaces.NamespacePair, tmp_path: pathlib.Path
) -> None:
    with Sender(namespace_pair, tmp_path / "sent.json", 2000) as sender:
        more_comes(systemd)
        pid = systemd.main_pid(CAPTURE)
        systemd.write(CONFIG, TEXT + BESIDE)
        for verb in ("reload", "restart"):
            (before,) = systemd.processes(f"{NATIVE}/nanotape-holder")
            systemd.run(EXECUTABLE, "ctl", verb)
            (after,) = systemd.processes(f"{NATIVE}/nanotape-holder")
            assert after["Pid"] != before["Pid"], systemd.journal()
            assert int(after["CapEff"], 16) == 0
            more_comes(systemd)
        wait_for(lambda: systemd.shown(CAPTURE, "ActiveState") == "active", "it to be ready again", 30)
        assert (systemd.main_pid(CAPTURE), systemd.shown(CAPTURE, "NRestarts")) == (pid, "0")
        sent = sender.end()
    wait_for(lambda: in_ring(systemd) == sent, "all that was sent", 30)
    systemd.run("systemctl", "stop", "nanotape.target")
    wait_for(lambda: not systemd.processes("nanotape.cli.main"), "all of it to end", 60)
    assert systemd.shown(CAPTURE, "Result") == "success", systemd.journal()
    assert audited(systemd) == sent


def test_a_mistake_in_the_configuration_ends_the_service_until_somebody_mends_it(systemd: LiveSystemd) -> None:
    systemd.write(CONFIG, TEXT + "nonsense = 1\n")
    systemd.run("systemctl", "restart", CAPTURE, check=False)
    wait_for(lambda: systemd.shown(CAPTURE, "ActiveState") == "failed", "it to have failed", 30)
    assert systemd.shown(CAPTURE, "ExecMainStatus") == "2"
    assert systemd.shown(CAPTURE, "NRestarts") == "0"
    assert any("nonsense" in each["MESSAGE"] for each in systemd.journalled(CAPTURE))
    systemd.write(CONFIG, TEXT + BESIDE)
    systemd.run("systemctl", "start", CAPTURE)
    assert systemd.shown(CAPTURE, "ActiveState") == "active"
    systemd.kill(CAPTURE, signal.SIGKILL)
    started_anew(systemd, CAPTURE, 0)
