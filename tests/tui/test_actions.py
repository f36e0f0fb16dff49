"""Nothing is asked of a service before it is confirmed; who may not is told why; what is answered stands in a line."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from crafted_looks import RING
from pictures import driven, picture, ring_picture, screen_text
from textual.pilot import Pilot

from nanotape.capture.control.peers import Peer
from nanotape.capture.control.protocol import socket_path
from nanotape.config import Settings, loads
from nanotape.tui import steering
from nanotape.tui.app import Top
from nanotape.tui.confirm import ConfirmAction


class Service:
    """Listens at a control socket in a test's stead; answers what it is told to, once it is let."""

    def __init__(self, run_directory: Path, ring: str, answer: dict[str, Any]) -> None:
        self.asked: list[dict[str, Any]] = []
        self.answer, self.may = answer, threading.Event()
        self.may.set()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(socket_path(run_directory, ring)))
        self._listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as lines:
                self.asked.append(json.loads(lines.readline()))
                assert self.may.wait(10)
                connection.sendall(json.dumps(self.answer).encode() + b"\n")

    def close(self) -> None:
        self.may.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return loads(f'[paths]\nrun_dir = "{tmp_path}"\n')


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    made: list[Service] = []

    def begin(answer: dict[str, Any], ring: str = "main") -> Service:
        made.append(Service(tmp_path, ring, answer))
        return made[-1]

    yield begin
    for each in made:
        each.close()


async def until(app: Top, pilot: Pilot[None], *expected: str) -> str:
    for _ in range(200):
        shown = " ".join(screen_text(app).replace("│", " ").split())
        if all(each in shown for each in expected):
            return shown
        await pilot.pause(0.01)
    raise AssertionError(f"expected {expected}, found:\n{screen_text(app)}")


def test_a_rotation_is_asked_for_once_it_is_confirmed(settings: Settings, serve: Callable[..., Service]) -> None:
    service = serve({"ok": True, "ring": "main", "number": 1})

    async def play(app: Top, pilot: Pilot[None]) -> None:
        await pilot.press("R")
        await until(app, pilot, "Rotate ring main", "ends its segment now", "Asked at")
        assert service.asked == []
        await pilot.press("enter")
        await until(app, pilot, "rotate main: its segment is ended")
        assert service.asked == [{"do": "rotate"}]

    driven(picture(settings=settings), play, refresh_s=60)


def test_what_is_not_confirmed_is_not_asked_for(settings: Settings, serve: Callable[..., Service]) -> None:
    service = serve({"ok": True})

    async def play(app: Top, pilot: Pilot[None]) -> None:
        for key in "RML":
            await pilot.press(key)
            assert isinstance(app.screen, ConfirmAction)
            await pilot.press("escape")
            assert not isinstance(app.screen, ConfirmAction)
        await pilot.press("R", "tab", "enter")
        await pilot.pause(0.1)
        assert not isinstance(app.screen, ConfirmAction), "the other button"

    driven(picture(settings=settings), play, refresh_s=60)
    assert service.asked == []


def test_a_mark_takes_words_and_wants_some(settings: Settings, serve: Callable[..., Service]) -> None:
    service = serve({"ok": True, "ring": "main", "number": 1})

    async def play(app: Top, pilot: Pilot[None]) -> None:
        await pilot.press("M", "enter")
        await until(app, pilot, "say something")
        await pilot.press(*"quiet", "space", *"now", "enter")
        await until(app, pilot, 'mark main: "quiet now" stands in the archive')

    driven(picture(settings=settings), play, refresh_s=60)
    assert service.asked == [{"do": "mark", "text": "quiet now"}]


def test_a_refusal_is_shown_and_the_screen_goes_on_meanwhile(settings: Settings, serve: Callable[..., Service]) -> None:
    service = serve({"ok": False, "error": "ring.capacity: cannot be changed while it runs"})
    service.may.clear()

    async def play(app: Top, pilot: Pilot[None]) -> None:
        await pilot.press("L", "enter")
        await until(app, pilot, "reload main: asked, waiting for the answer")
        await pilot.press("5")
        await until(app, pilot, "READER")
        await pilot.press("L", "enter")
        await until(app, pilot, "was asked for already")
        service.may.set()
        await until(app, pilot, "reload main: REFUSED: ring.capacity: cannot be changed while it runs")

    driven(picture(settings=settings), play, size=(120, 30), refresh_s=60)
    assert service.asked == [{"do": "reload"}]


def test_who_may_not_is_told_why_and_cannot_confirm(
    settings: Settings, serve: Callable[..., Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    service = serve({"ok": True})
    monkeypatch.setattr(steering, "me", lambda: Peer(1, 64_123, frozenset({64_123})))

    async def play(app: Top, pilot: Pilot[None]) -> None:
        await pilot.press("R")
        await until(app, pilot, "NOT ALLOWED", "is for root", "this user is none of them")
        assert not app.screen.query_one("#confirm-do").display
        await pilot.press("enter")
        assert not isinstance(app.screen, ConfirmAction)
        titles = {each.title: each.help for each in app.get_system_commands(app.screen)}
        assert titles["Mark ring main"].startswith("NOT ALLOWED: ")

    driven(picture(settings=settings), play, refresh_s=60)
    assert service.asked == []


def test_of_several_rings_one_is_chosen(settings: Settings, serve: Callable[..., Service]) -> None:
    first, second = serve({"ok": True}), serve({"ok": True}, "second")

    async def play(app: Top, pilot: Pilot[None]) -> None:
        await pilot.press("R")
        await until(app, pilot, "Rotate ring main", "Ring 1 of 2")
        await pilot.press("down")
        await until(app, pilot, "Rotate ring second")
        await pilot.press("enter")
        await until(app, pilot, "rotate second: its segment is ended")

    driven(picture(ring_picture(), ring_picture(replace(RING, name="second")), settings=settings), play, refresh_s=60)
    assert (first.asked, second.asked) == ([], [{"do": "rotate"}])


def test_where_no_service_runs_the_dialog_says_so(settings: Settings) -> None:
    async def play(app: Top, pilot: Pilot[None]) -> None:
        await pilot.press("R")
        await until(app, pilot, "NOT ALLOWED: no service listens", "nanotape run")
        await pilot.press("escape")
        await pilot.resize_terminal(20, 5)
        await pilot.press("M")
        await pilot.pause()

    driven(picture(rings=(), settings=settings), play, refresh_s=60)


def test_leaving_does_not_wait_for_a_service_that_does_not_answer(
    settings: Settings, serve: Callable[..., Service]
) -> None:
    service = serve({"ok": True})
    service.may.clear()

    async def play(app: Top, pilot: Pilot[None]) -> None:
        await pilot.press("R", "enter")
        await until(app, pilot, "waiting for the answer")

    driven(picture(settings=settings), play, refresh_s=60)
    assert service.asked == [{"do": "rotate"}]
