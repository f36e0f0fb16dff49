"""Several rings side by side: all start or none, one that ends leaves the others alone, and all end together."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Iterator
from typing import ClassVar

import pytest
from deadline import wait_for

from nanotape.capture import services
from nanotape.capture.child import INTERRUPTED
from nanotape.capture.errors import NothingToCapture, ServiceError
from nanotape.capture.inheritance import InheritedRing
from nanotape.capture.service import ServiceOptions
from nanotape.capture.services import Services
from nanotape.config import Settings, loads

THREE = loads("".join(f'[[ring]]\nname = "{name}"\n' for name in "abc"))


class FakeService:
    """Starts, waits and stops as it is told, and notes it."""

    made: ClassVar[dict[str, FakeService]] = {}

    def __init__(self, settings: Settings, _options: ServiceOptions, log: object, inherited: object = None) -> None:
        """Registers itself under its ring's name."""
        self.log = log
        self.start_error: BaseException | None = None
        self.wait_error: BaseException | None = None
        self.blocks_start = False
        self.slow_stop: threading.Event | None = None
        self.finished, self.is_held, self.inherited = False, True, inherited
        self.calls: list[str] = []
        self.thread = self.stopper = 0
        self.made[settings.ring.name] = self

    def start(self, wake: int) -> None:
        """Fails, or waits to be told to stop, if so wished."""
        self.calls.append("start")
        self.thread = threading.get_ident()
        if self.blocks_start:
            select.select([wake], [], [], 10)
            raise ServiceError("told to stop before it was ready", INTERRUPTED)
        if self.start_error:
            raise self.start_error

    def wait(self, _timeout_s: float, wake: int) -> None:
        """Looks at what is wished a hundred times a second."""
        select.select([wake], [], [], 0.01)
        if self.wait_error:
            raise self.wait_error

    def leave(self) -> InheritedRing:
        """Has its processes go on."""
        self.calls.append("leave")
        return InheritedRing(7)

    def stop(self) -> None:
        """Takes as long as is wished."""
        if self.slow_stop:
            self.slow_stop.wait(10)
        self.stopper = threading.get_ident()
        self.calls.append("stop")


@pytest.fixture(autouse=True)
def fakes(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, FakeService]]:
    """The fakes that are made, by ring; whatever happens, no thread stays."""
    monkeypatch.setattr(services, "Service", FakeService)
    FakeService.made.clear()
    before = threading.active_count()
    yield FakeService.made
    assert threading.active_count() == before


@pytest.fixture
def news() -> list[str]:
    """What is logged."""
    return []


def make(news: list[str], names: str = "abc") -> Services:
    return Services([THREE.of_ring(name) for name in names], ServiceOptions(), news.append)


def test_rings_start_one_after_the_other_and_each_has_a_thread_that_outlives_its_processes(
    news: list[str], fakes: dict[str, FakeService]
) -> None:
    all_rings, ready = make(news), []
    all_rings.start(None, lambda run: ready.append((run.name, [len(fake.calls) for fake in fakes.values()])))
    assert ready == [("a", [1, 0, 0]), ("b", [1, 1, 0]), ("c", [1, 1, 1])]
    assert len({fake.thread for fake in fakes.values()} - {threading.get_ident()}) == 3
    assert all_rings.running()
    all_rings.stop()
    all_rings.stop()
    assert not all_rings.running()
    assert [fake.calls for fake in fakes.values()] == [["start", "stop"]] * 3
    assert [fake.stopper for fake in fakes.values()] == [fake.thread for fake in fakes.values()]
    assert news == []


def test_when_one_cannot_start_none_stays_and_the_error_names_it(
    news: list[str], fakes: dict[str, FakeService]
) -> None:
    all_rings = make(news)
    fakes["b"].start_error = NothingToCapture("nothing there")
    with pytest.raises(NothingToCapture, match=r"^ring b: nothing there$"):
        all_rings.start()
    assert [fake.calls for fake in fakes.values()] == [["start", "stop"], ["start", "stop"], []]


@pytest.mark.parametrize(("names", "is_told"), [("b", True), ("ab", False)])
def test_which_of_several_rings_could_not_start_is_said_although_its_process_has_told_why(
    names: str, is_told: bool, news: list[str], fakes: dict[str, FakeService]
) -> None:
    all_rings = make(news, names)
    fakes["b"].start_error = ServiceError("capture: ended before it was ready", told=True)
    with pytest.raises(ServiceError) as raised:
        all_rings.start()
    assert raised.value.told == is_told


def test_the_error_of_a_ring_alone_is_as_it_is(news: list[str], fakes: dict[str, FakeService]) -> None:
    all_rings = make(news, "b")
    fakes["b"].start_error = NothingToCapture("nothing there")
    with pytest.raises(NothingToCapture, match=r"^nothing there$"):
        all_rings.start()


def test_the_end_of_one_is_told_at_once_and_the_others_go_on(news: list[str], fakes: dict[str, FakeService]) -> None:
    with make(news) as all_rings:
        fakes["a"].wait_error = ServiceError("its holder is gone")
        wait_for(lambda: all_rings.wait(0.1) and news, "news")
        assert news == ["ring a: its holder is gone; the others go on: b, c"]
        assert fakes["a"].calls == ["start", "stop"]
        assert all_rings.wait(0)
        assert [fake.calls for fake in fakes.values()][1:] == [["start"], ["start"]]
        fakes["b"].finished = True
        wait_for(lambda: all_rings.wait(0.1) and "stop" in fakes["b"].calls, "the end of b")
        fakes["c"].wait_error = ServiceError("gone too")
        wait_for(lambda: not all_rings.wait(0.1), "the end of all")
    assert news[1:] == ["ring c: gone too"]
    all_rings.raise_of_one()
    assert [run.error is None for run in all_rings.runs] == [False, True, False]


def test_what_ends_the_only_ring_is_raised_and_a_bug_in_any_case(
    news: list[str], fakes: dict[str, FakeService]
) -> None:
    for names, error in (("a", ServiceError("gone")), ("abc", ZeroDivisionError("bug"))):
        with make(news, names) as all_rings:
            fakes["a"].wait_error = error
            wait_for(lambda all_rings=all_rings: all_rings.wait(0.1) is False or "stop" in fakes["a"].calls, "its end")
        with pytest.raises(type(error)):
            all_rings.raise_of_one()


def test_all_are_stopped_at_the_same_time(news: list[str], fakes: dict[str, FakeService]) -> None:
    """A recorder of one that drains for minutes keeps nobody from ending."""
    all_rings = make(news)
    all_rings.start()
    drained = fakes["a"].slow_stop = threading.Event()
    stopper = threading.Thread(target=all_rings.stop)
    stopper.start()
    wait_for(lambda: "stop" in fakes["b"].calls and "stop" in fakes["c"].calls, "the others' end")
    assert "stop" not in fakes["a"].calls
    drained.set()
    stopper.join()


def test_who_is_told_to_stop_while_a_ring_starts_ends_what_has_started(
    news: list[str], fakes: dict[str, FakeService]
) -> None:
    all_rings = make(news)
    fakes["b"].blocks_start = True
    wake = os.eventfd(1)
    with pytest.raises(ServiceError, match=r"^ring b: told to stop before it was ready") as raised:
        all_rings.start(wake)
    os.close(wake)
    assert raised.value.status == INTERRUPTED
    assert [fake.calls for fake in fakes.values()] == [["start", "stop"], ["start", "stop"], []]


def test_a_ring_of_several_begins_its_lines_with_its_name(news: list[str], fakes: dict[str, FakeService]) -> None:
    for names, expected in (("ab", ["ring a: x"]), ("a", ["x"])):
        news.clear()
        with make(news, names):
            fakes["a"].log("x")  # type: ignore[operator]
        assert news == expected


def test_a_ring_does_what_it_is_asked_in_its_own_thread(fakes: dict[str, FakeService], news: list[str]) -> None:
    with Services([THREE.of_ring("a")], ServiceOptions(), news.append) as running:
        run = running.runs[0]
        assert run.ask(lambda _: threading.get_ident(), 10) == fakes["a"].thread

        def fail(_service: object) -> None:
            raise ServiceError("cannot")

        with pytest.raises(ServiceError, match="cannot"):
            run.ask(fail, 10)
        assert not run.has_ended
    with pytest.raises(ServiceError, match="ring a: expected it to run, it does not"):
        run.ask(lambda _: None, 10)


def test_a_ring_that_is_left_is_not_stopped_and_one_that_has_ended_is_not_left(fakes: dict[str, FakeService]) -> None:
    running = make([])
    running.start()
    fakes["b"].wait_error = ServiceError("the holder is gone")
    while not running.runs[1].has_ended:
        running.wait(1)
    assert running.leave() == {"a": InheritedRing(7), "c": InheritedRing(7)}
    assert [fakes[name].calls[-1] for name in "abc"] == ["leave", "stop", "leave"]


def test_each_ring_is_given_what_was_left_of_it(fakes: dict[str, FakeService]) -> None:
    left = InheritedRing(9)
    rings = [THREE.of_ring(name) for name in "ab"]
    with Services(rings, ServiceOptions(), lambda _: None, {"b": left}):
        assert (fakes["a"].inherited, fakes["b"].inherited) == (None, left)
