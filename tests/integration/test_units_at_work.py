"""Capture and recorder as their units have them: users, folders, capabilities, system calls, families of sockets."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator

import pytest
import unit_sandbox
from command_line import as_nobody, call
from deadline import wait_for
from notify_socket import NotifySocket, notify_socket
from service_rig import CAPTURE_UID, RING_GID, Rig

from nanotape.capture.conservation import ring_books
from nanotape.capture.units.layout import shipped

pytestmark = pytest.mark.root

RECORD_UID = 64_203
WRITABLE = {"run": "/run/nanotape", "archive": "/var/lib/nanotape"}
"""What units name in ReadWritePaths, by what is there in the rig."""
SHOWN = ("NOTIFY_SOCKET", "WATCHDOG_USEC")


@pytest.fixture
def rig(make_service_rig: Callable[..., Rig]) -> Rig:
    """With the folders that systemd-tmpfiles would make."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze (apt-get install systemd)")
    rig = make_service_rig(capacity="64 MiB", descriptors=4096)
    for folder, uid in (
        (rig.folder / "run", CAPTURE_UID),
        (rig.shm, CAPTURE_UID),
        (rig.folder / "archive", RECORD_UID),
    ):
        folder.mkdir(mode=0o755)
        os.chown(folder, uid, RING_GID)
    shutil.copy(unit_sandbox.__file__, rig.folder / "unit_sandbox.py")
    return rig


@contextlib.contextmanager
def confined(rig: Rig, name: str, uid: int, text: str) -> Iterator[tuple[list[str], pathlib.Path]]:
    """The command of nanotape in a unit's sandbox, and a folder of its user's."""
    (rig.folder / name).write_text(text, encoding="utf-8")
    ambient = unit_sandbox.values(text, "AmbientCapabilities")[0].split()
    ambient = [each.removeprefix("CAP_").lower() for each in ambient]
    paths = " ".join(unit_sandbox.values(text, "ReadWritePaths"))
    writable = [rig.folder / place for place in ("run", "archive") if WRITABLE[place] in paths]
    with as_nobody(ambient, uid, RING_GID, writable) as (nanotape, work):
        *prefix, python, dash_m, module = nanotape
        sandbox = [python, str(rig.folder / "unit_sandbox.py"), str(rig.folder / name)]
        yield [*rig.capture_side, *prefix, *sandbox, python, dash_m, module], work


@contextlib.contextmanager
def unit(
    rig: Rig, name: str, uid: int, *words: str, text: str = ""
) -> Iterator[tuple[subprocess.Popen[bytes], NotifySocket]]:
    """A part as its unit confines it, or another text, ready."""
    text = text or shipped()[name]
    (rig.folder / name).write_text(text, encoding="utf-8")
    with (
        confined(rig, name, uid, text) as (command, work),
        notify_socket(work) as manager,
        rig.talk.open("ab") as talk,
    ):
        told = [f"{key}={value}" for key, value in manager.environment(4.0).items() if key in SHOWN]
        command = [*command[:-3], "env", *told, *command[-3:], *words, "--config", str(rig.config)]
        process = subprocess.Popen(command, stdout=talk, stderr=talk)
        try:
            wait_for(lambda: "READY=1" in manager.heard() or process.poll() is not None, f"{name} to be ready", 60)
            assert process.returncode is None, rig.talk.read_text(encoding="utf-8")
            yield process, manager
            process.send_signal(signal.SIGTERM)
            process.wait(60)
        finally:
            process.kill()
            process.wait()


def test_what_the_units_allow_is_enough_to_capture_and_to_record(rig: Rig) -> None:
    """By two users, with two watchdogs that are fed.

    The recorder is there first and ends last: what is recorded is all that was sent, up to the last moment.
    """
    with unit(rig, "nanotape-record@.service", RECORD_UID, "record", "--wait") as (recorder, recorders):
        with unit(rig, "nanotape-capture@.service", CAPTURE_UID, "capture") as (capture, captures):
            rig.exchange("--rate", "5000", "--packets", "2000", lines=["A"]).result()
            with rig.ring() as ring:
                wait_for(lambda: ring_books(ring).in_ring >= 2001, "the packets")
            for manager in (captures, recorders):
                fed = manager.heard().count("WATCHDOG=1")
                wait_for(lambda manager=manager, fed=fed: manager.heard().count("WATCHDOG=1") > fed, "a fed watchdog")
            seccomp = pathlib.Path(f"/proc/{recorder.pid}/status").read_text(encoding="utf-8")
            assert "Seccomp:\t2" in seccomp
            assert "STATUS=recording: test" in recorders.heard()
            rig.exchange("--rate", "5000", "--packets", "500", lines=["B"]).result()
        assert capture.returncode == 0, rig.talk.read_text(encoding="utf-8")
    assert recorder.returncode == 0, rig.talk.read_text(encoding="utf-8")
    for verb in ("compact", "retain"):
        with confined(rig, f"nanotape-{verb}.service", RECORD_UID, shipped()[f"nanotape-{verb}.service"]) as (
            command,
            _,
        ):
            words = [*command, verb, "--config", str(rig.config)]
            done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
    assert list((rig.folder / "archive" / "packets").rglob("*.parquet"))
    status, output, talk = call("audit", rig.folder / "archive", "--json")
    assert (status, '"recorded": 2502' in output) == (0, True), (output, talk)


def test_the_clock_service_can_do_its_work_as_its_unit_has_it(rig: Rig) -> None:
    """What it asks the kernel it may ask; it tells of this host's clock."""
    with unit(rig, "nanotape-clock.service", CAPTURE_UID, "clock", "run") as (_, manager):
        wait_for(lambda: "WATCHDOG=1" in manager.heard(), "a fed watchdog")
        told = json.loads((rig.folder / "run" / "clock" / "state.json").read_text(encoding="utf-8"))
        assert told["clocks"][0]["clock"] == "system"
    talk = rig.talk.read_text(encoding="utf-8")
    assert "looking anew" not in talk
    assert "not permitted" not in talk


@pytest.mark.parametrize(
    ("what", "told"), [(" AF_XDP", "nanotape-holder"), ("/run/nanotape", "cannot be made|may not")]
)
def test_a_unit_that_allows_less_does_not_work(what: str, told: str, rig: Rig) -> None:
    """Control: sandbox and folders hold."""
    text = shipped()["nanotape-capture@.service"].replace(what, "")
    with (
        pytest.raises(AssertionError, match=told),
        unit(rig, "nanotape-capture@.service", CAPTURE_UID, "capture", text=text),
    ):
        pass
