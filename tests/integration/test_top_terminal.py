"""`nanotape top` in a real terminal: keys sent, the screen read back, in 16 colours too; and whatever befalls it."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from command_line import NANOTAPE
from crafted_host import CraftedHost
from deadline import wait_for
from tmux import Tmux, tmux

PALETTE = re.compile(r"\x1b\[[0-9;]*[34]8;[25];")
"""Colours that are none of the terminal's 16."""


class Living:
    """A crafted host at work: packets come, the recorder takes them, told files are told, until the test is over."""

    def __init__(self, host: CraftedHost) -> None:
        self.host = host
        self.tells_clock = True
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._live)

    def __enter__(self) -> Living:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    @contextmanager
    def held(self) -> Iterator[CraftedHost]:
        """While a test does something to it."""
        with self._lock:
            yield self.host

    def _live(self) -> None:
        turn = 0
        while not self._ended.wait(0.05):
            with self._lock:
                if self.host.writer is None:
                    continue
                self.host.publish(10)
                self.host.record()
                if turn % 10 == 0:
                    self.host.tell(turn // 20)
                    if self.tells_clock:
                        self.host.tell_clock()
            turn += 1


@pytest.fixture
def living(tmp_path: Path) -> Iterator[Living]:
    with CraftedHost(tmp_path) as host, Living(host) as living:
        yield living


@contextmanager
def top(
    living: Living, *options: str, size: tuple[int, int] = (80, 24), term: str = "screen-256color"
) -> Iterator[Tmux]:
    host = living.host
    command = [*NANOTAPE, "top", "--config", str(host.config), "--refresh", "0.2", "--screenshots", str(host.folder)]
    with tmux(host.folder, [*command, *options], size, term) as terminal:
        terminal.wait_seen("LOSS none")
        yield terminal


@pytest.mark.parametrize("term", ["screen-256color", "screen", "xterm"])
def test_every_pane_comes_by_its_key_in_the_16_colours_of_the_terminal(living: Living, term: str) -> None:
    with top(living, term=term) as terminal:
        assert "capturing" in terminal.screen().splitlines()[0]
        for key, seen in (("2", "ch-0000"), ("3", "P99"), ("4", "chrony"), ("5", "recorder"), ("1", "peak 1 s")):
            terminal.keys(key)
            terminal.wait_seen(seen)
        assert not PALETTE.search(terminal.screen(colours=True))
        terminal.keys("q")
        assert terminal.status() == 0


def test_help_palette_and_screenshot_answer(living: Living) -> None:
    with top(living) as terminal:
        terminal.keys("?")
        terminal.wait_seen("Keys, and what is seen")
        terminal.keys("Escape")
        terminal.wait_seen("LOSS none")
        terminal.keys("C-p")
        terminal.wait_seen("Search for commands")
        terminal.keys("Escape")
        terminal.wait_seen("LOSS none")
        terminal.keys("s")
        terminal.wait_seen("saved")
        [saved] = living.host.folder.glob("*.svg")
        assert "capturing" in saved.read_text(encoding="utf-8").replace("&#160;", " ")


def test_a_terminal_of_20_by_5_and_back(living: Living) -> None:
    with top(living, size=(160, 50)) as terminal:
        terminal.resize(20, 5)
        wait_for(lambda: len(terminal.screen().splitlines()) == 5, "the small screen")
        for key in "12345678":
            terminal.keys(key)
        terminal.keys("1")
        terminal.resize(80, 24)
        terminal.wait_seen("peak 1 ms")


def test_ring_gone_and_made_anew_capture_ended_clock_dead_and_configuration_broken(living: Living) -> None:
    with top(living) as terminal:
        terminal.wait_seen("CLOCK locked")
        living.tells_clock = False
        ended = subprocess.Popen([sys.executable, "-c", ""])
        ended.wait()
        with living.held() as host:
            host.tell_clock(pid=ended.pid)
        terminal.wait_seen("no clock service tells")
        with living.held() as host:
            host.remove()
        terminal.wait_seen("There is nothing to watch")
        with living.held() as host:
            host._begin()
        terminal.wait_seen("main  capturing")
        with living.held() as host:
            host.drop(77)
        terminal.wait_seen("LOSING 77 packets")
        terminal.wait_seen("77 in the last minute")
        good = living.host.config.read_text(encoding="utf-8")
        living.host.config.write_text("[ring\n", encoding="utf-8")
        terminal.wait_seen("the configuration cannot be read")
        living.host.config.write_text(good, encoding="utf-8")
        wait_for(lambda: "cannot be read" not in terminal.screen(), "the mended configuration")
        with living.held() as host:
            host.end()
        terminal.wait_seen("NOT CAPTURING")


def test_killing_it_changes_nothing(living: Living) -> None:
    with top(living) as terminal:
        pid = int(terminal.run("list-panes", "-F", "#{pane_pid}"))
        before = {path: path.stat().st_ino for path in living.host.shm.iterdir()}
        terminal.run("respawn-pane", "-k", "true")
        wait_for(lambda: not Path(f"/proc/{pid}").exists(), "the end of it")
        with living.held() as host:
            packets = host.source.loop.packets
            assert {path: path.stat().st_ino for path in host.shm.iterdir()} == before
            assert sorted(path.name for path in (host.run / "main/readers").iterdir()) == [
                "recorder.feeds.json",
                "recorder.status",
            ]
        wait_for(lambda: living.host.source.loop.packets > packets, "more packets")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_and_leaves_the_terminal_as_it_was(living: Living, number: signal.Signals) -> None:
    with top(living) as terminal:
        assert terminal.run("list-panes", "-F", "#{alternate_on}").strip() == "1"
        os.kill(int(terminal.run("list-panes", "-F", "#{pane_pid}")), number)
        assert terminal.status() == 0
        assert terminal.run("list-panes", "-F", "#{alternate_on}").strip() == "0"


def test_it_ends_with_its_terminal_also_where_the_hang_up_is_ignored(living: Living) -> None:
    """Else it would go on for ever, seen by nobody."""
    command = [*NANOTAPE, "top", "--config", str(living.host.config)]
    pid, master = pty.fork()
    if pid == 0:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        os.environ["TERM"] = "xterm"
        os.execvp(command[0], command)
    seen = b""
    while b"LOSS" not in seen:
        seen += os.read(master, 65_536)
    os.close(master)
    ended, status = wait_for(lambda: (answer := os.waitpid(pid, os.WNOHANG))[0] and answer, "its end") or (0, 0)
    assert (ended, status) == (pid, 0)
