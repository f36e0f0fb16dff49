"""Who may steer is seen from the socket without asking anybody, and what is answered becomes one line."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from nanotape.capture.control.peers import Peer
from nanotape.capture.control.protocol import ControlError, socket_path
from nanotape.tui.steering import ACTIONS, Outcome, Target, action, carry_out, target, wrong_mark

STRANGER = 64_123


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[Path]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(socket_path(tmp_path, "main")))
        yield tmp_path


def test_owner_group_and_root_may_and_others_are_told_why_not(listening: Path) -> None:
    gid, uid = os.getegid(), os.geteuid()
    assert target(listening, "main", Peer(1, 0, frozenset({STRANGER}))).refusal is None
    assert target(listening, "main", Peer(1, uid, frozenset({STRANGER}))).refusal is None
    assert target(listening, "main", Peer(1, STRANGER, frozenset({STRANGER, gid}))).refusal is None
    refusal = target(listening, "main", Peer(1, STRANGER, frozenset({STRANGER}))).refusal
    assert refusal is not None
    assert f"group {gid}" in refusal
    assert target(listening, "main").refusal is None, "this process made the socket"


def test_where_nobody_listens_it_says_what_to_do(tmp_path: Path) -> None:
    assert "start it: nanotape run" in str(target(tmp_path, "main").refusal)


class Service:
    """Answers as it is told to, and remembers what it was asked."""

    def __init__(self, answer: Mapping[str, Any] | ControlError) -> None:
        self.answer = answer
        self.asked: list[tuple[Path, dict[str, Any]]] = []

    def __call__(self, path: Path, request: Mapping[str, Any], timeout_s: float) -> Mapping[str, Any]:
        assert 0 < timeout_s <= 120
        self.asked.append((path, dict(request)))
        if isinstance(self.answer, ControlError):
            raise self.answer
        return self.answer


WHERE = Target("main", Path("/run/nanotape/main.control"), None)


def test_each_action_asks_for_itself() -> None:
    service = Service({"ring": "main", "number": 5})
    for each in ACTIONS:
        assert carry_out(each, WHERE, " the auction ", service).is_done
    assert [request for _, request in service.asked] == [
        {"do": "rotate"}, {"do": "mark", "text": "the auction"}, {"do": "reload"}
    ]  # fmt: skip
    assert {path for path, _ in service.asked} == {WHERE.socket}


def test_a_refusal_is_one_line_that_names_it() -> None:
    found = carry_out(action("rotate"), WHERE, "", Service(ControlError("rotate: the recorder\n could not")))
    assert found == Outcome("rotate", "main", False, "rotate: the recorder could not")
    assert found.line == "rotate main: REFUSED: rotate: the recorder could not"


def test_an_answer_that_is_not_understood_is_a_line_too() -> None:
    found = carry_out(action("reload"), WHERE, "", Service({"rings": [{"ring": "main", "changed": 5}]}))
    assert not found.is_done
    assert "not understood" in found.told


def test_a_reload_says_what_has_changed() -> None:
    rings = [
        {"ring": "main", "changed": ["recorder.flush_interval"], "started_anew": ["recorder"]},
        {"ring": "b", "changed": [], "started_anew": []},
    ]
    found = carry_out(action("reload"), WHERE, "", Service({"rings": rings}))
    assert found.line == "reload main: main goes by the new recorder.flush_interval; started anew: recorder"
    nothing = carry_out(action("reload"), WHERE, "", Service({"rings": rings[1:]}))
    assert nothing.line == "reload main: nothing has changed in its configuration"


@pytest.mark.parametrize(("text", "is_right"), [("auction", True), (" ", False), ("a\nb", False), ("x" * 501, False)])
def test_the_words_of_a_mark_are_looked_at_before_they_are_sent(text: str, is_right: bool) -> None:
    assert (wrong_mark(text) is None) is is_right
