"""Who listens to what is captured is told once, as long as it stays; looking costs the service no waiting."""

from __future__ import annotations

import errno
import pathlib
import sys
from collections.abc import Callable, Iterator

import pytest
from deadline import wait_for

from nanotape.capture.counters import Flow
from nanotape.capture.listeners import Listener, ListenerWatch, parse

ONE = "eth1\t123\tpython\t1000\t0.0.0.0\t30001\t7"
TWO = "eth1\t124\ttrader\t1000\t239.1.1.2\t30002\t0"
FLOW = Flow(7, "f", "c", "A", "none", "incremental", "eth1", "239.1.1.1", None, 30001, None)
LISTENER = Listener("eth1", 123, "python", 1000, "0.0.0.0", 30001, 7)


def test_lines_are_read_and_others_left_out() -> None:
    assert parse(f"{ONE}\nnanotape-holder: something else\n\neth1\tx\t\t\t\t\t\n") == [LISTENER]
    assert parse("eth1\t1\ta\t0\tnowhere\t1\t1\n") == []
    (found,) = parse("eth1\t1\t\x1b[2J\t0\t::\t1\t1\n")
    assert found.process == "?[2J"  # strangers name their processes


def test_a_listener_is_told_by_the_group_that_it_loses() -> None:
    told = LISTENER.told(FLOW)
    assert told.startswith(
        "eth1: python (pid 123) listens to 239.1.1.1:30001, which is captured: it receives nothing of "
    )
    assert "delivery" in told
    assert parse(TWO)[0].told(None).startswith("eth1: trader (pid 124) listens to 239.1.1.2:30002, which is captured: ")
    assert LISTENER.told(None).startswith(
        "eth1: python (pid 123) listens to UDP port 30001, some of which is captured: "
    )
    hidden = parse("eth1\t0\t\t1000\tff3e::1\t1\t0")[0].told(None)
    assert hidden.startswith("eth1: a process of user 1000 listens to [ff3e::1]:1, ")


class Rig:
    """A watch over what a file says."""

    def __init__(self, folder: pathlib.Path, make: Callable[..., ListenerWatch]) -> None:
        self.file, self.status = folder / "listeners", folder / "status"
        self.log: list[str] = []
        self.say("")
        code = f"import sys; print(open({str(self.file)!r}).read()); sys.exit(int(open({str(self.status)!r}).read()))"
        self.watch = make([sys.executable, "-c", code], self.log.append, 0.0)

    def say(self, text: str, status: int = 0) -> None:
        self.file.write_text(text, encoding="utf-8")
        self.status.write_text(str(status), encoding="ascii")

    def look(self) -> list[Listener]:
        """Starts a look and waits for its end."""
        assert self.watch.look() == []  # begins
        found: list[Listener] = []
        wait_for(lambda: found.extend(self.watch.look()) or self.watch.wait_s == 0, "the end of the look")
        return found


@pytest.fixture
def rig(tmp_path: pathlib.Path) -> Iterator[Rig]:
    made = Rig(tmp_path, ListenerWatch)
    yield made
    made.watch.close()


def test_each_is_told_once_as_long_as_it_stays(rig: Rig) -> None:
    assert rig.look() == []
    rig.say(ONE)
    assert rig.look() == parse(ONE)
    assert rig.look() == []
    rig.say(f"{ONE}\n{TWO}")
    assert rig.look() == parse(TWO)
    rig.say(TWO)
    assert rig.look() == []
    rig.say(f"{ONE}\n{TWO}")
    assert rig.look() == parse(ONE)


def test_a_look_that_fails_is_told_the_first_time_and_forgets_nobody(rig: Rig) -> None:
    rig.say(ONE)
    assert rig.look() == parse(ONE)
    rig.say("cannot look", status=1)
    assert rig.look() == rig.look() == []
    assert rig.log == ["listeners: cannot see who else listens to what is captured: cannot look (exit status 1)"]
    rig.say(ONE)
    assert rig.look() == []


def test_nobody_waits_for_a_look_that_hangs() -> None:
    watch = ListenerWatch(["sleep", "100"], lambda _: None)
    assert watch.look() == []
    assert watch.look() == []
    assert 0 < watch.wait_s < 1
    watch.close()
    watch.close()


def test_a_host_that_gives_no_room_for_an_answer_does_not_end_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[str] = []
    watch = ListenerWatch(["true"], log.append)

    def refuse(*_: object) -> int:
        raise OSError(errno.ENFILE, "Too many open files in system")

    monkeypatch.setattr("os.memfd_create", refuse)
    assert watch.look() == []
    watch.close()
    assert log == [
        "listeners: cannot see who else listens to what is captured: "
        "true cannot be started: Too many open files in system"
    ]


def test_looks_need_no_folder_for_temporary_files(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that loses its /tmp, or fills it, goes on."""
    monkeypatch.setattr("tempfile.tempdir", "/nonexistent")
    rig.say(ONE)
    assert rig.look() == parse(ONE)


def test_a_command_that_is_not_there_is_told() -> None:
    log: list[str] = []
    watch = ListenerWatch(["/nonexistent/holder"], log.append)
    assert watch.look() == watch.look() == []
    (line,) = log
    assert line.endswith("/nonexistent/holder cannot be started: No such file or directory")
