"""The shared fixtures give what they promise and leave nothing behind, also after a run that was killed."""

from __future__ import annotations

import mmap
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable

import hugepages as huge
import namespaces
import pytest
from fork_server import fork_server


def made_by(pid: int) -> list[str]:
    """Returns the namespaces of one test process."""
    folder = pathlib.Path("/run/netns")
    prefix = f"{namespaces.PREFIX}{pid}-"
    return sorted(entry.name for entry in folder.iterdir() if entry.name.startswith(prefix)) if folder.is_dir() else []


@pytest.mark.root
def test_the_two_namespaces_hear_each_other(namespace_pair: namespaces.NamespacePair) -> None:
    program = (
        "import socket, sys\n"
        "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "s.bind((sys.argv[1], 5000)); s.settimeout(30)\n"
        "print('ready', flush=True); print(s.recv(100).decode())\n"
    )
    receiver = namespace_pair.right.start(
        sys.executable, "-c", program, namespace_pair.right.address, stdout=subprocess.PIPE, text=True
    )
    with receiver:
        assert receiver.stdout is not None
        assert receiver.stdout.readline() == "ready\n"
        send = f"import socket; socket.socket(2, 2).sendto(b'over the wire', ('{namespace_pair.right.address}', 5000))"
        namespace_pair.left.run(sys.executable, "-c", send)
        assert receiver.stdout.readline() == "over the wire\n"
    features = namespace_pair.left.run("ethtool", "-k", namespace_pair.left.interface).stdout
    assert "tx-checksumming: off" in features


@pytest.mark.root
def test_namespaces_go_away_when_the_test_fails() -> None:
    def fail_inside() -> None:
        with namespaces.namespace_pair():
            assert len(made_by(os.getpid())) >= 2
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_inside()
    assert made_by(os.getpid()) == []


@pytest.mark.root
def test_what_a_killed_run_left_is_removed_by_the_next_and_what_a_living_one_uses_is_not() -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left, used = f"{namespaces.PREFIX}{dead.pid}-0-l", f"{namespaces.PREFIX}{os.getpid()}-keep"
    try:
        for name in (left, used):
            subprocess.run(["ip", "netns", "add", name], check=True)
        assert left in namespaces.remove_leftovers()
        assert made_by(dead.pid) == []
        assert used in made_by(os.getpid())
    finally:
        for name in (left, used):
            namespaces.remove_namespace(name)


@pytest.mark.root
def test_huge_pages_are_there_and_given_back(hugepages: Callable[[int], pathlib.Path]) -> None:
    before = huge.RESERVED.read_text(encoding="ascii")
    with huge.hugepages(2) as folder:
        with (folder / "page").open("w+b") as file:
            os.ftruncate(file.fileno(), 2 << 20)
            with mmap.mmap(file.fileno(), 2 << 20) as page:
                page[0] = 1
        assert int(huge.RESERVED.read_text(encoding="ascii")) >= 2
    assert huge.RESERVED.read_text(encoding="ascii") == before
    assert not folder.exists()
    assert hugepages(1).is_dir()


def test_a_command_of_the_fork_server_is_a_process_of_its_own(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = fork_server()
    assert server.run(["--version"], b"", 60)[::2] == (0, b"")
    status, output, errors = server.run(["bogus"], b"", 60)
    assert (status, output, b"bogus" in errors) == (2, b"", True)
    monkeypatch.chdir(tmp_path)
    status, _, errors = server.run(["query", "nowhere", "SELECT 1"], b"", 60)
    assert (status, errors[:17]) == (1, b"nanotape: nowhere")
    (tmp_path / "archive").mkdir()
    assert server.run(["query", "archive", "-"], b"SELECT 12 AS dozen", 60) == (0, b"dozen\n-----\n   12\n", b"")
    monkeypatch.setenv("COLUMNS", "60")
    assert max(map(len, server.run(["query", "--help"], b"", 60)[1].decode().splitlines())) == 60


def test_a_command_of_the_fork_server_that_takes_too_long_is_killed(tmp_path: pathlib.Path) -> None:
    """And the next one is run all the same."""
    (tmp_path / "archive").mkdir()
    with pytest.raises(subprocess.TimeoutExpired):
        fork_server().run(["events", f"{tmp_path}/archive", "--follow"], b"", 1)
    assert fork_server().run(["--version"], b"", 60)[0] == 0
