"""`nanotape run` as `nobody` with ambient capabilities, as its systemd units start it: only the holder ever has any."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import signal
import subprocess
from collections.abc import Callable, Iterator

import pytest
from command_line import as_nobody, call
from deadline import wait_for
from namespaces import NamespacePair, _bring_up
from ring_probe import DONE
from service_parts import NONE, capabilities_of, parts
from service_probe import outcomes
from service_rig import NOBODY, Rig

from nanotape.capture.conservation import ring_books
from nanotape.capture.privilege import HOLDER_CAPABILITIES

pytestmark = pytest.mark.root

AMBIENT = tuple(name.removeprefix("CAP_").lower() for name in HOLDER_CAPABILITIES)
HOLDERS = sum(1 << number for number in HOLDER_CAPABILITIES.values())
SUPERVISORS = {"CapInh": 0, "CapPrm": HOLDERS, "CapEff": 0, "CapAmb": 0}


@pytest.fixture
def nobodys(make_service_rig: Callable[..., Rig]) -> Rig:
    """A rig whose folder is nobody's."""
    rig = make_service_rig(capacity="64 MiB", descriptors=4096)
    os.chown(rig.folder, NOBODY, NOBODY)
    return rig


@contextlib.contextmanager
def running(rig: Rig, capabilities: tuple[str, ...] = AMBIENT) -> Iterator[subprocess.Popen[bytes]]:
    with as_nobody(capabilities) as (nanotape, _), rig.talk.open("ab") as talk:
        command = [*rig.capture_side, *nanotape, "run", "--config", str(rig.config), "--json"]
        process = subprocess.Popen(command, stdout=talk, stderr=talk)
        try:
            wait_for(lambda: "capturing" in said(rig) or process.poll() is not None, "the service", 60)
            yield process
            process.send_signal(signal.SIGTERM)
            process.wait(60)
        finally:
            process.kill()
            process.wait()


def said(rig: Rig) -> str:
    return rig.talk.read_text(encoding="utf-8")


def assert_only_the_holder_may(service: subprocess.Popen[bytes]) -> dict[str, list[int]]:
    found = parts(service.pid)
    assert set(found) == {"supervisor", "nanotape-holder", "nanotape-capture", "recorder"}
    for name, pids in found.items():
        for pid in pids:
            assert os.stat(f"/proc/{pid}/task").st_uid in (NOBODY, 0), name  # root's: closed to its own user
            wanted = SUPERVISORS if name == "supervisor" else NONE
            assert [each for each in capabilities_of(pid) if each != wanted] == [], name
    return found


def make_again(pair: NamespacePair) -> None:
    """Both ends of the wire are removed and made anew, with the same names."""
    pair.right.run("ip", "link", "delete", pair.right.interface)
    peer = ("peer", "name", pair.right.interface, "netns", pair.right.namespace)
    pair.left.run("ip", "link", "add", pair.left.interface, "type", "veth", *peer)
    for side in (pair.left, pair.right):
        _bring_up(side, mtu=1500)


def send(rig: Rig, count: int) -> None:
    exchange = rig.exchange("--rate", "5000", "--packets", str(count), lines=["A"])
    exchange.result()


def test_nobody_runs_all_of_it_and_only_the_holder_ever_has_a_capability(nobodys: Rig) -> None:
    """What was captured is balanced and in the archive."""
    with running(nobodys) as service:
        found = assert_only_the_holder_may(service)
        status = pathlib.Path(f"/proc/{found['nanotape-holder'][0]}/status").read_text()
        assert "NoNewPrivs:\t1" in status
        send(nobodys, 1000)
        with nobodys.ring() as ring:
            wait_for(lambda: ring_books(ring).in_ring >= 1000, "the packets")
    assert service.returncode == 0, said(nobodys)
    report = json.loads(said(nobodys).splitlines()[-1])
    assert (report["in_ring"], report["unexplained"], report["unrecorded"]) == (1001, 0, 0)  # the session's end


def test_what_has_its_user_reaches_neither_into_the_holder_nor_into_the_supervisor(nobodys: Rig) -> None:
    """As a capture that strangers' packets have taken over would try."""
    with running(nobodys) as service:
        named = {"holder": parts(service.pid)["nanotape-holder"][0], "supervisor": service.pid}
        send(nobodys, 10)
        archive = nobodys.folder / "archive"
        wait_for(lambda: any(path.is_file() for path in archive.rglob("*")), "a segment")
        found = outcomes(nobodys.folder / "run" / "test", archive, "lo", named, NOBODY, NOBODY)
        for name in named:
            for what in ("attach", "read its memory", "take a descriptor"):
                assert found[f"{name}: {what}"] in ("EPERM", "EACCES"), (name, what)
            assert found[f"{name}: signal"] == DONE  # control, and what SECURITY.md admits


def test_a_new_holder_on_a_new_interface_gets_what_it_needs_again(nobodys: Rig, namespace_pair: NamespacePair) -> None:
    """The supervisor passes on what it keeps, and again to the holder alone."""
    with running(nobodys) as service:
        before = parts(service.pid)["nanotape-holder"]
        make_again(namespace_pair)

        def renewed() -> bool:
            found = parts(service.pid)
            return found.get("nanotape-holder", before) != before and "nanotape-capture" in found

        wait_for(renewed, "a holder on the new interface")
        wait_for(lambda: "renewed" in said(nobodys) or said(nobodys).count("started anew") >= 2, "both anew")
        wait_for(lambda: capabilities_of(parts(service.pid)["nanotape-holder"][0]) == [NONE], "a holder that lends")
        assert_only_the_holder_may(service)
    assert service.returncode == 0, said(nobodys)


def test_an_heir_and_a_restart_get_what_they_need_and_leave_nobody_else_anything(nobodys: Rig) -> None:
    """A reload that adds a channel, and a supervisor that executes itself anew, without root."""
    with running(nobodys) as service:
        before = assert_only_the_holder_may(service)
        added = '[[channel]]\nname = "more"\nfeed = "f"\n[[channel.line]]\ngroup = "239.192.9.9"\nport = 31999\n'
        nobodys.config.write_text(nobodys.config.read_text(encoding="utf-8") + added, encoding="utf-8")
        for verb in ("reload", "restart"):
            status, _, errors = call("ctl", verb, "--config", nobodys.config)
            assert status == 0, errors + said(nobodys)
            wait_for(lambda: len(parts(service.pid)) == 4, "all parts")
            after = assert_only_the_holder_may(service)
            assert after["nanotape-holder"] != before["nanotape-holder"], said(nobodys)
            before = after
        send(nobodys, 1000)
        with nobodys.ring() as ring:
            wait_for(lambda: ring_books(ring).in_ring >= 1000, "the packets")
    assert service.returncode == 0, said(nobodys)


def test_without_one_of_them_it_says_which(nobodys: Rig) -> None:
    """In one line, and nothing is left behind."""
    with running(nobodys, tuple(each for each in AMBIENT if each != "bpf")) as service:
        assert service.wait(60) == 1
    assert "the holder lacks CAP_BPF" in said(nobodys)
    assert not (nobodys.folder / "run" / "test" / "plan").exists()


def test_a_reader_gives_up_what_it_was_started_with(nobodys: Rig) -> None:
    """`tail` beside the service, started with all of them."""
    with running(nobodys), as_nobody(AMBIENT) as (nanotape, _):
        send(nobodys, 100)
        words = [*nanotape, "tail", "test", "--start", "oldest", "--config", str(nobodys.config)]
        follow = subprocess.Popen(words, stdout=subprocess.PIPE)
        try:
            assert follow.stdout
            assert follow.stdout.readline()
            assert [each for each in capabilities_of(follow.pid) if each != NONE] == []
        finally:
            follow.kill()
            follow.communicate()
