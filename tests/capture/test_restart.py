"""A restart is refused before anything is ended, whatever speaks against it."""

from __future__ import annotations

import dataclasses
import pathlib
import sys

import pytest

from nanotape.capture.control.back import wait_back
from nanotape.capture.errors import CaptureError, ControlError
from nanotape.capture.restart import Restart
from nanotape.config import Settings, loads

FINE = (sys.executable, "-c", "import sys; sys.exit(sys.argv[1] != '--version')")


def settings(kind: str = "packet", more: str = "") -> Settings:
    channel = '[[channel]]\nname = "a"\nfeed = "f"\n[[channel.line]]\ngroup = "239.1.1.1"\nport = 1\n'
    file = 'file = "/x.pcap"\n' if kind == "pcap" else 'interface = "eth1"\n'
    return loads(f'{more}[source]\nkind = "{kind}"\n{file}{channel}').of_ring()


@dataclasses.dataclass
class Run:
    settings: Settings
    name: str = "main"
    has_ended: bool = False


@dataclasses.dataclass
class Running:
    runs: tuple[Run, ...]


def restart(before: Settings, after: Settings, command: tuple[str, ...] = FINE) -> tuple[Restart, list[str]]:
    woken: list[str] = []
    words = [*command, *sys.argv[1:]]
    return Restart(Running((Run(before),)), lambda: [after], lambda: woken.append("woken"), words), woken  # type: ignore[arg-type]


def test_what_nothing_speaks_against_is_asked_for() -> None:
    made, woken = restart(settings(), settings())
    assert made() == {"rings": ["main"]}
    assert (made.is_asked, woken) == (True, ["woken"])


@pytest.mark.parametrize(
    ("before", "after", "command", "words"),
    [
        (settings(), settings(more="[loop]\nbatch = 32\n"), FINE, "loop.batch: changed meanwhile: reload first"),
        (settings("pcap"), settings("pcap"), FINE, "source.kind: pcap cannot be gone on with by another process"),
        (settings(), settings(), (sys.executable, "-c", "raise SystemExit('not whole')"), "exit status 1: not whole"),
        (settings(), settings(), ("/nowhere/python",), "does not run as it is installed now"),
    ],
)
def test_what_speaks_against_it_is_said_and_nothing_is_asked_for(
    before: Settings, after: Settings, command: tuple[str, ...], words: str
) -> None:
    made, woken = restart(before, after, command)
    with pytest.raises(CaptureError) as refused:
        made()
    assert words in str(refused.value)
    assert (made.is_asked, woken) == (False, [])


def test_who_asked_waits_until_another_capture_runs_and_not_for_ever() -> None:
    answers = iter([{"capture": 5}, None, {"capture": None}, {"capture": 6}])

    def ask(_path: pathlib.Path, _request: object) -> dict[str, object]:
        answer = next(answers, None)
        if answer is None:
            raise ControlError("nobody listens")
        return {"processes": answer}

    times = iter(range(0, 1000, 10))
    wait_back(pathlib.Path("x"), {"capture": 5}, ask, lambda: float(next(times)), lambda _: None)
    assert next(answers, None) is None
    with pytest.raises(ControlError, match="expected the service back within 90 s"):
        wait_back(pathlib.Path("x"), {"capture": 6}, ask, lambda: float(next(times)), lambda _: None)
