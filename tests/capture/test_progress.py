"""Progress of loops: polls that go on, with packets or without, and a ring that nobody polls."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable

import pytest
from notify_socket import notify_socket
from ring_writer import RingWriter

from nanotape.capture.notify import Notifier
from nanotape.capture.progress import ClockProgress, LoopProgress, Watchdog


class Polls(LoopProgress):
    """With polls as a test has them."""

    def __init__(self, polls: dict[str, tuple[int, int] | None]) -> None:
        super().__init__(pathlib.Path("/nowhere"))
        self.polls = polls

    def _polls(self, name: str) -> tuple[int, int] | None:
        return self.polls[name]


def test_polls_that_go_on_are_progress_and_polls_that_stand_are_none() -> None:
    polls: dict[str, tuple[int, int] | None] = {"a": (1, 10)}
    progress = Polls(polls)
    assert progress.has_moved(["a"])
    assert not progress.has_moved(["a"])
    polls["a"] = (1, 11)
    assert progress.has_moved(["a"])


def test_a_new_writer_whose_polls_are_as_many_by_chance_is_progress() -> None:
    polls: dict[str, tuple[int, int] | None] = {"a": (1, 10)}
    progress = Polls(polls)
    assert progress.has_moved(["a"])
    polls["a"] = (2, 10)
    assert progress.has_moved(["a"])


def test_one_ring_that_stands_among_others_is_no_progress() -> None:
    polls: dict[str, tuple[int, int] | None] = {"a": (1, 10), "b": (1, 10)}
    progress = Polls(polls)
    assert progress.has_moved(["a", "b"])
    polls["a"] = (1, 20)
    assert not progress.has_moved(["a", "b"])
    assert progress.has_moved(["a"])  # the other has ended meanwhile


def test_a_ring_that_moves_by_turns_with_another_is_judged_by_what_was_last_good() -> None:
    polls: dict[str, tuple[int, int] | None] = {"a": (1, 1), "b": (1, 1)}
    progress = Polls(polls)
    assert progress.has_moved(["a", "b"])
    polls["a"] = (1, 2)
    assert not progress.has_moved(["a", "b"])
    polls["b"] = (1, 2)
    assert progress.has_moved(["a", "b"])


def test_a_ring_that_cannot_be_read_is_no_progress(tmp_path: pathlib.Path) -> None:
    assert not LoopProgress(tmp_path).has_moved(["none"])


def test_a_ring_whose_writer_is_gone_holds_up_nobody(tmp_path: pathlib.Path) -> None:
    """Its interface may be away for minutes: a watchdog that starved would end the captures of the other rings."""
    progress, writer = LoopProgress(tmp_path), RingWriter.attach(tmp_path)
    try:
        assert progress.has_moved(["test"])
        assert not progress.has_moved(["test"])
    finally:
        writer.close()
    assert progress.has_moved(["test"])
    assert progress.has_moved(["test"])


@pytest.mark.parametrize(("moves", "fed"), [(lambda at: (1, at), True), (lambda _: (1, 1), False)])
def test_the_watchdog_is_fed_by_progress_alone(
    moves: Callable[[int], tuple[int, int]], fed: bool, tmp_path: pathlib.Path
) -> None:
    now = [0.0]
    with notify_socket(tmp_path) as manager:
        watchdog = Watchdog(Notifier(str(manager.path), 4_000_000, lambda: now[0]), tmp_path)
        polls: dict[str, tuple[int, int] | None] = {"a": moves(0)}
        watchdog._progress = Polls(polls)
        watchdog._progress.has_moved(["a"])
        for at in range(1, 20):
            now[0], polls["a"] = float(at), moves(at)
            watchdog.look(["a"])
            manager.heard()  # a queue of datagrams is short
        assert (manager.heard().count("WATCHDOG=1") > 15) is fed


def test_a_clock_service_goes_on_while_it_tells_something_new(tmp_path: pathlib.Path) -> None:
    progress = ClockProgress(tmp_path)
    assert not progress.has_moved()
    (tmp_path / "clock").mkdir()
    state = tmp_path / "clock" / "state.json"
    state.write_text(json.dumps({"at_ns": 1}))
    assert progress.has_moved()
    assert not progress.has_moved()
    state.write_text(json.dumps({"at_ns": 2}))
    assert progress.has_moved()
