"""What a supervisor leaves to itself arrives, descriptors and all, and garbage is nothing."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from nanotape.capture.adopted import AdoptedProcess
from nanotape.capture.inheritance import VARIABLE, InheritedChild, InheritedRing, leave, take


def test_what_is_left_is_taken_once_with_its_descriptors() -> None:
    ends = os.pipe()
    ring = InheritedRing(ends[0], {"holder": InheritedChild(12, ends[1], ends[0])}, {"capture": 2})
    environment: dict[str, str] = {}
    try:
        leave({"main": ring}, environment)
        assert [os.get_inheritable(end) for end in ends] == [True, True]
        assert take(environment) == {"main": ring}
        assert [os.get_inheritable(end) for end in ends] == [False, False]
        assert (take(environment), environment) == ({}, {})
    finally:
        for end in ends:
            os.close(end)


@pytest.mark.parametrize(
    "told", ["", "{", "[]", '{"main": 5}', '{"main": {"lock": "x", "children": {}, "restarts": {}}}']
)
def test_what_cannot_be_read_is_nothing(told: str) -> None:
    assert take({VARIABLE: told}) == {}


@pytest.mark.parametrize(("code", "status"), [("raise SystemExit(3)", 3), ("import os; os.kill(os.getpid(), 9)", -9)])
def test_an_adopted_process_ends_as_one_of_ours(code: str, status: int) -> None:
    theirs, ours = os.pipe()
    pid = os.posix_spawn(
        sys.executable, [sys.executable, "-c", f"import sys; sys.stdin.read(); {code}"], os.environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, theirs, 0), (os.POSIX_SPAWN_CLOSE, ours)],
    )  # fmt: skip
    process = AdoptedProcess(pid, os.open(os.devnull, os.O_RDONLY))
    assert process.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.01)
    os.close(theirs)
    os.close(ours)
    assert process.wait(20) == status
    assert (process.poll(), process.wait()) == (status, status)
    process.stdout.close()
