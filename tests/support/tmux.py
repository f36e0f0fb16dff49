"""A real terminal: a tmux server of the test's own, with one window, keys sent to it and its screen read back."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from deadline import wait_for


class Tmux:
    """One window."""

    def __init__(self, socket: Path) -> None:
        """By the server's socket."""
        self._socket = socket

    def run(self, *words: str) -> str:
        """A command of tmux; returns what it says."""
        command = ["tmux", "-S", str(self._socket), "-f", "/dev/null", *words]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout

    def screen(self, *, colours: bool = False) -> str:
        """What is seen now, its lines without spaces behind; with colours: with their escape sequences."""
        return self.run("capture-pane", "-p", *(["-e"] if colours else []))

    def keys(self, *keys: str) -> None:
        """As if typed; names as tmux has them, such as `Enter`."""
        self.run("send-keys", *keys)

    def resize(self, columns: int, lines: int) -> None:
        """The terminal's size."""
        self.run("resize-window", "-x", str(columns), "-y", str(lines))

    def wait_seen(self, what: str, seconds: float = 30.0) -> str:
        """Until it is on the screen; returns the screen."""
        return wait_for(lambda: what in (seen := self.screen()) and seen, f"{what!r} on the screen", seconds) or ""

    def is_running(self) -> bool:
        """Whether what was started in it still runs."""
        return self.run("list-panes", "-F", "#{pane_dead}").strip() == "0"

    def status(self) -> int:
        """Of what has ended in it."""

        def ended() -> str:
            # Now and then it does not hear of a child's end before the next one's.
            self.run("run-shell", "-b", "true")
            return self.run("list-panes", "-F", "#{pane_dead_status}#{pane_dead_signal}").strip()

        return int(wait_for(ended, f"the command to end; its screen:\n{self.screen()}"))


@contextmanager
def tmux(
    folder: Path, command: Sequence[str], size: tuple[int, int] = (80, 24), term: str = "screen-256color",
    environment: Mapping[str, str] | None = None,
) -> Iterator[Tmux]:  # fmt: skip
    """Runs a command in a terminal of its own, which is closed at the end.

    Args:
        folder: For the server's socket.
        command: What runs in it.
        size: Columns and lines.
        term: What the terminal says it is.
        environment: Set for the command, besides ours; COLORTERM is not set by us.
    """
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed")
    terminal = Tmux(folder / "tmux.socket")
    given = {**os.environ, "TERM": term, **(environment or {})}
    given.pop("COLORTERM", None) if "COLORTERM" not in (environment or {}) else None
    subprocess.run(
        ["tmux", "-S", str(terminal._socket), "-f", "/dev/null", "new-session", "-d", "-x", str(size[0]), "-y",
         str(size[1]), "sh", "-c", "exec sleep 600"],
        env=given, check=True, timeout=30,
    )  # fmt: skip
    try:
        terminal.run("set-option", "-g", "remain-on-exit", "on")
        terminal.run("set-option", "-g", "status", "off")
        terminal.run("set-option", "-g", "default-terminal", term)
        terminal.run("respawn-pane", "-k", *command)
        yield terminal
    finally:
        subprocess.run(["tmux", "-S", str(terminal._socket), "kill-server"], check=False, timeout=30)
