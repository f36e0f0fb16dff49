"""A command for each finished file: in order, never waited for, and never a reason to end."""

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from deadline import wait_for

from nanotape.storage.clock import SystemClock
from nanotape.storage.hooks import Hook, HookLimits, failure_event

Make = Callable[..., Hook]


class Told:
    """What was logged, and which files failed."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.failed: list[tuple[str, str]] = []

    def fail(self, path: Path, what: str) -> None:
        self.failed.append((path.name, what))


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def make(told: Told) -> Iterator[Make]:
    made: list[Hook] = []

    def make(*command: str, **limits: float) -> Hook:
        made.append(
            Hook("post_rotate", command, SystemClock(), told.lines.append, told.fail, HookLimits(**limits))  # type: ignore[arg-type]
        )
        return made[-1]

    yield make
    for hook in made:
        hook.close(0)


def shell(script: str) -> tuple[str, ...]:
    """$1 is the file."""
    return ("/bin/sh", "-c", script, "hook")


def test_the_path_is_the_last_argument_and_files_come_in_order(make: Make, told: Told, tmp_path: Path) -> None:
    log = tmp_path / "log"
    hook = make(*shell(f'sleep 0.02; echo "$1" >> {log}'))
    paths = [tmp_path / f"{number} ü.arrow" for number in range(5)]
    for path in paths:
        hook.add(path)
    hook.close(None)
    assert log.read_text().splitlines() == [str(path) for path in paths]
    assert (told.lines, told.failed) == ([], [])


def test_no_command_is_no_thread(make: Make) -> None:
    before = threading.active_count()
    hook = make()
    hook.add(Path("/x"))
    assert threading.active_count() == before
    hook.close()


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (shell("exit 3"), "exit status 0 expected, found 3"),
        (shell("kill -KILL $$"), "exit status 0 expected, killed by SIGKILL"),
        (("/nowhere/at/all",), "/nowhere/at/all cannot be started: No such file or directory; correct post_rotate"),
    ],
)
def test_a_failure_is_a_line_and_told_and_the_next_file_has_its_turn(
    make: Make, told: Told, command: tuple[str, ...], expected: str
) -> None:
    hook = make(*command)
    hook.add(Path("/x/a"))
    hook.add(Path("/x/b"))
    hook.close(None)
    assert [line.partition(expected)[0] for line in told.lines] == ["post_rotate: /x/a: ", "post_rotate: /x/b: "]
    assert [name for name, _ in told.failed] == ["a", "b"]
    assert all(what.startswith(expected) for _, what in told.failed)


def test_who_hands_a_file_in_does_not_wait(make: Make) -> None:
    hook = make(*shell("sleep 60"))
    before = time.monotonic()
    for number in range(100):
        hook.add(Path(f"/x/{number}"))
    assert time.monotonic() - before < 30


def test_a_command_that_hangs_is_ended_with_all_that_it_started(make: Make, told: Told, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    hook = make(*shell(f"trap '' TERM; sleep 60 & echo $$ $! > {pids}; wait; wait; sleep 60"), run_s=0.3)
    hook.add(Path("/x/a"))
    hook.close(None)
    assert told.failed == [("a", "ended after 0.3 s")]
    for pid in map(int, pids.read_text().split()):
        wait_for(lambda pid=pid: not _is_alive(pid), "the end of what it started")


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_what_it_writes_is_logged_up_to_a_limit(make: Make, told: Told) -> None:
    code = "import sys; print('hello'); sys.stderr.write('oh\\n'); sys.stdout.flush(); print('x' * 5_000_000)"
    hook = make(sys.executable, "-c", code, output_bytes=100)
    hook.add(Path("/x/a"))
    hook.close(None)
    assert set(told.lines[:2]) == {"post_rotate: hello", "post_rotate: oh"}
    assert sum(map(len, told.lines)) < 300
    assert told.lines[-1].endswith(" bytes more)")
    assert told.failed == []


def test_it_gets_no_input_and_none_of_our_descriptors(make: Make, told: Told, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    found = tmp_path / "found"  # not piped: the shell would have a pipe of its own for a moment
    hook = make(*shell(f"cat; ls -l /proc/$$/fd > {found}; grep -c pipe: {found}; exit 0"))
    hook.add(Path("/x/a"))
    hook.close(None)
    os.close(reading)
    os.close(writing)
    assert told.lines == ["post_rotate: 2"], "its output and its errors"


def test_a_child_that_it_leaves_behind_holds_nobody_up(make: Make, told: Told) -> None:
    hook = make(*shell("sleep 30 & echo started"))
    before = time.monotonic()
    hook.add(Path("/x/a"))
    hook.close(None)
    assert time.monotonic() - before < 25
    assert told.lines == ["post_rotate: started"]


def test_files_beyond_the_limit_are_left_out_with_a_word(make: Make, told: Told) -> None:
    hook = make(*shell("sleep 60"), waiting=2)
    for number in range(5):
        hook.add(Path(f"/x/{number}"))
    assert told.lines
    assert all("left out, 2 files wait already; run it by hand" in line for line in told.lines)


def test_the_end_waits_a_bounded_time_and_says_what_was_not_run(make: Make, told: Told) -> None:
    hook = make(*shell("sleep 60"))
    hook.add(Path("/x/a"))
    hook.add(Path("/x/b"))
    before = time.monotonic()
    hook.close(0.2)
    assert time.monotonic() - before < 30
    assert told.lines == [
        "post_rotate: /x/a: ended, since we end",
        "post_rotate: /x/b: left out, since we end; run it by hand",
    ]
    hook.close()


def test_a_failure_becomes_a_mark_among_the_events() -> None:
    event = failure_event("post_rotate", Path("/x/a"), "ended after 3 s", "box", 17)
    assert (event.kind, event.severity, event.stage, event.host) == ("mark", "warning", "post_rotate", "box")
    assert json.loads(event.detail or "") == {"path": "/x/a", "failure": "ended after 3 s"}


def test_where_no_thread_is_to_be_had_a_file_waits_for_the_next_and_nobody_ends(
    make: Make, told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    log = tmp_path / "log"
    hook = make(*shell(f'echo "$1" >> {log}'))
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        hook.add("one")
    assert "one: waits, no thread can be started just now" in told.lines[0]
    hook.add("two")
    wait_for(lambda: log.exists() and log.read_text(encoding="utf-8").split() == ["one", "two"], "both", 30)
