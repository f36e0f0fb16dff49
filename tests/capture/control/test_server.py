"""A control socket under clients of every kind: each gets an answer or is let go, and none holds up another."""

from __future__ import annotations

import contextlib
import errno
import gc
import json
import os
import pathlib
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from deadline import wait_for

from nanotape.capture.control.client import ask
from nanotape.capture.control.peers import Peer, may_steer, peer_of
from nanotape.capture.control.protocol import LINE_BYTES, Request
from nanotape.capture.control.server import ControlLimits, ControlServer
from nanotape.capture.errors import ControlError, ReloadRefused

STRANGER = Peer(77, 65_534, frozenset((65_534,)))
GROUP = 12_345


def echo(ring: str, request: Request) -> Mapping[str, Any]:
    if request.do == "reload":
        raise ReloadRefused("ring.capacity: cannot change")
    if request.do == "rotate":
        raise ZeroDivisionError("a defect")
    return {"ring": ring, "do": request.do, "text": request.text}


class Listening:
    """A server that is started, and what it has logged."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.path = folder / "main.control"
        self.lines: list[str] = []
        self.server: ControlServer | None = None

    def start(self, **changes: Any) -> ControlServer:
        options: dict[str, Any] = {"gid": os.getegid(), "act": echo, **changes}
        self.server = ControlServer(
            {"main": self.path}, options.pop("gid"), options.pop("act"), self.lines.append, **options
        )
        self.server.start()
        return self.server

    def connect(self) -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        client.connect(str(self.path))
        client.settimeout(10)
        return client

    def says(self, client: socket.socket) -> dict[str, Any]:
        return dict(json.loads(client.makefile("rb").readline()))


@pytest.fixture
def listening(tmp_path: pathlib.Path) -> Iterator[Listening]:
    made = Listening(tmp_path)
    yield made
    if made.server:
        made.server.stop()
    wait_for(lambda: not any("control" in each.name for each in threading.enumerate()), "the threads to end", 30)
    assert not made.path.exists()


def test_a_request_is_answered_and_more_may_follow_in_one_write(listening: Listening) -> None:
    listening.start()
    with listening.connect() as client:
        client.sendall(b'{"do": "status"}\n{"do": "mark", "text": "a"}\nnonsense\n{"do": "stop"}\n')
        answers = client.makefile("rb")
        told = [json.loads(answers.readline()) for _ in range(4)]
    assert [each["ok"] for each in told] == [True, True, False, True]
    assert told[1] == {"ok": True, "ring": "main", "do": "mark", "text": "a"}
    assert listening.path.stat().st_mode & 0o777 == 0o660


def test_what_the_service_refuses_is_told_and_a_defect_of_ours_ends_nothing(listening: Listening) -> None:
    listening.start()
    with pytest.raises(ControlError, match=r"ring\.capacity: cannot change"):
        ask(listening.path, {"do": "reload"})
    with pytest.raises(ControlError, match="ZeroDivisionError: a defect"):
        ask(listening.path, {"do": "rotate"})
    assert ask(listening.path, {"do": "status"})["ring"] == "main"


def test_a_line_without_end_is_refused_and_let_go(listening: Listening) -> None:
    listening.start()
    with listening.connect() as client:
        client.sendall(b"x" * LINE_BYTES)
        assert listening.says(client)["error"].startswith("expected a line of at most 8192 bytes")
        assert client.recv(1) == b""


def test_who_says_nothing_is_let_go(listening: Listening) -> None:
    listening.start(limits=ControlLimits(silence_s=0.05))
    with listening.connect() as client:
        assert client.recv(1) == b""


def test_a_request_in_pieces_is_put_together(listening: Listening) -> None:
    listening.start()
    with listening.connect() as client:
        for at in b'{"do": "status"}\n':
            client.sendall(bytes([at]))
        assert listening.says(client)["ok"]


def test_one_client_too_many_is_told_so_and_the_next_finds_room(listening: Listening) -> None:
    listening.start(limits=ControlLimits(clients=3))
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            client = stack.enter_context(listening.connect())
            client.sendall(b'{"do": "status"}\n')
            assert listening.says(client)["ok"]
        with listening.connect() as late:
            assert "3 clients are connected already" in listening.says(late)["error"]

    def is_answered() -> bool:
        with contextlib.suppress(ControlError):
            return bool(ask(listening.path, {"do": "status"}))
        return False

    wait_for(is_answered, "room", 30)


def test_a_client_that_is_answered_slowly_holds_up_no_other(listening: Listening) -> None:
    release = threading.Event()

    def act(ring: str, request: Request) -> Mapping[str, Any]:
        if request.do == "mark":
            release.wait(10)
        return {}

    listening.start(act=act)
    with listening.connect() as slow:
        slow.sendall(b'{"do": "mark", "text": "a"}\n')
        assert ask(listening.path, {"do": "status"}) == {"ok": True}
        release.set()
        assert listening.says(slow) == {"ok": True}


def test_who_has_no_right_is_refused_with_a_line_and_told_of(listening: Listening) -> None:
    listening.start(gid=GROUP if _is_root() else _own_gid(), ask_peer=lambda _: STRANGER)
    with pytest.raises(ControlError, match="user 65534 may not steer: not in group"):
        ask(listening.path, {"do": "stop"})
    assert any("process 77 of user 65534 refused" in line for line in listening.lines), listening.lines


def test_clients_that_go_away_in_the_middle_leave_no_descriptor_and_no_thread(listening: Listening) -> None:
    listening.start()
    assert ask(listening.path, {"do": "status"})["ok"]
    wait_for(lambda: _threads() == 1, "the first client's thread to end", 30)
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    for number in range(300):
        with listening.connect() as client, contextlib.suppress(OSError):
            client.sendall((b"", b'{"do": "sta', b'{"do": "status"}\n' * 20, b"\x00\n" * 50)[number % 4])

    def open_and_running() -> tuple[int, int]:
        return len(os.listdir("/proc/self/fd")), _threads()

    wait_for(lambda: open_and_running() == (before, 1), "all that wait to be taken, and let go", 20)
    assert ask(listening.path, {"do": "status"})["ok"]


def test_where_there_is_no_descriptor_to_be_had_it_tries_again_but_not_at_once(
    listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[float] = []

    def accept(_: socket.socket) -> None:
        tries.append(time.monotonic())
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr(socket.socket, "accept", accept)
        listening.start()
        with listening.connect():
            wait_for(lambda: len(tries) >= 3, "three tries", 30)
            assert tries[2] - tries[0] > 0.1
    assert ask(listening.path, {"do": "status"})["ok"]


def test_where_there_is_no_thread_to_be_had_the_next_client_finds_one(
    listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    listening.start()
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        with listening.connect() as client:
            assert client.recv(1) == b""
    assert ask(listening.path, {"do": "status"})["ok"]


@pytest.mark.parametrize(
    ("peer", "may"),
    [
        (Peer(1, 0, frozenset()), True),
        (Peer(1, 500, frozenset()), True),
        (Peer(1, 501, frozenset((7, GROUP))), True),
        (Peer(1, 501, frozenset((7,))), False),
    ],
)
def test_root_the_own_user_and_the_group_may_steer(peer: Peer, may: bool) -> None:
    assert may_steer(peer, GROUP, own_uid=500) is may


def test_the_kernel_tells_who_is_at_the_other_end() -> None:
    one, other = socket.socketpair()
    with one, other:
        assert peer_of(one) == Peer(os.getpid(), os.geteuid(), frozenset((os.getegid(), *os.getgroups())))


def test_the_socket_of_a_dead_service_is_replaced_and_that_of_a_live_one_is_not(
    listening: Listening, tmp_path: pathlib.Path
) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(listening.path))
    listening.start()
    second = Listening(tmp_path)
    second.start().stop()
    assert "another service listens there; stop it first; nobody can steer ring main" in second.lines[0]
    assert ask(listening.path, {"do": "status"})["ok"]


@pytest.mark.parametrize("prepare", [lambda _: None, lambda path: socket.socket(socket.AF_UNIX).bind(str(path))])
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_where_nobody_listens_one_line_says_so(tmp_path: pathlib.Path, prepare: Callable[[pathlib.Path], None]) -> None:
    prepare(tmp_path / "x.control")
    with pytest.raises(ControlError, match="expected a running service, found none"):
        ask(tmp_path / "x.control", {"do": "status"})


def _threads() -> int:
    return sum(each.name == "nanotape-control" for each in threading.enumerate())


def _is_root() -> bool:
    return os.geteuid() == 0


def _own_gid() -> int:
    return os.getegid()
