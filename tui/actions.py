"""Rotate, mark and reload from the terminal UI: keys, palette, dialog, and the line with what was answered.

Each is confirmed, asked for in a thread of its own, and answered by a notification and in one line. Whoever may not is
told why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from rich.text import Text
from textual.app import SystemCommand
from textual.binding import Binding
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Static

from nanotape.tui.apart import run_apart
from nanotape.tui.confirm import ConfirmAction, Confirmed
from nanotape.tui.picture import Picture
from nanotape.tui.steering import ACTIONS, Action, Outcome, Target, action, carry_out, target
from nanotape.tui.style import ERROR, OK, QUIET
from nanotape.tui.words import clock_time, printable

ACTION_BINDINGS = tuple(Binding(each.key, f"steer('{each.verb}')", each.title, show=False) for each in ACTIONS)
"""For the app, whose `action_steer` calls `ActionLine.begin`."""
_SHOWN_S = 60.0


class Answered(Message):
    """A service has answered, or nobody has."""

    def __init__(self, outcome: Outcome) -> None:
        """With what came of it."""
        super().__init__()
        self.outcome = outcome


class ActionLine(Static):
    """Takes actions from the key to the answer; a line where there is one to show, and no room else."""

    DEFAULT_CSS = """
    ActionLine { height: auto; max-height: 2; display: none; }
    """

    def __init__(self, id: str | None = None) -> None:
        """Has been asked for nothing yet."""
        super().__init__("", id=id, markup=False)
        self._picture: Picture | None = None
        self._waiting: set[tuple[str, str]] = set()
        self._hides: Timer | None = None

    def show(self, picture: Picture) -> None:
        """Which rings there are, and the time; draws nothing."""
        self._picture = picture

    def targets(self) -> tuple[Target, ...]:
        """The rings whose services could be asked, and whether this user may. Asks nobody."""
        picture = self._picture
        if picture is None:
            return ()
        there = [*(each.name for each in picture.rings), *(each.name for each in picture.unreadable), *picture.absent]
        names = list(dict.fromkeys(there)) or list(picture.settings.rings)
        return tuple(target(Path(picture.settings.paths.run_dir), name) for name in names)

    def commands(self) -> Iterator[SystemCommand]:
        """For the command palette: each action of each ring; with the reason where it is not allowed."""
        for where in self.targets():
            for each in ACTIONS:
                about = f"Key {each.key}: {each.does.format(ring=where.ring)}"
                if where.refusal is not None:
                    about = f"NOT ALLOWED: {where.refusal}"
                yield SystemCommand(f"{each.title} ring {where.ring}", about, self._beginning(each, where.ring))

    def begin(self, verb: str, ring: str | None = None) -> None:
        """Asks the operator whether it is meant.

        Args:
            verb: Of an action.
            ring: Chosen first; None: the first.
        """
        wanted, targets = action(verb), self.targets()
        if not targets:
            self.notify("there is no ring yet whose service could be asked", severity="warning")
            return

        def confirmed(answer: Confirmed | None) -> None:
            if answer is not None:
                self._carry_out(wanted, answer)

        self.app.push_screen(ConfirmAction(wanted, targets, ring), confirmed)

    def on_answered(self, message: Answered) -> None:
        """Says what came of it."""
        message.stop()
        outcome = message.outcome
        self._waiting.discard((outcome.verb, outcome.ring))
        self._say(outcome.line, OK if outcome.is_done else ERROR)
        self.notify(
            printable(outcome.told),
            title=f"{outcome.verb} {outcome.ring}: {'done' if outcome.is_done else 'refused'}",
            severity="information" if outcome.is_done else "error",
            markup=False,
        )

    def _beginning(self, wanted: Action, ring: str) -> Callable[[], None]:
        return lambda: self.begin(wanted.verb, ring)

    def _carry_out(self, wanted: Action, confirmed: Confirmed) -> None:
        where = confirmed.target
        key = (wanted.verb, where.ring)
        if key in self._waiting:
            self._say(f"{wanted.verb} {where.ring}: was asked for already, waiting for the answer", QUIET)
            return
        self._waiting.add(key)
        self._say(f"{wanted.verb} {where.ring}: asked, waiting for the answer", QUIET)
        if not run_apart(self, "nanotape-ask", lambda: Answered(carry_out(wanted, where, confirmed.text))):
            self._waiting.discard(key)
            self._say(f"{wanted.verb} {where.ring}: not asked: no thread is to be had just now", ERROR)

    def _say(self, line: str, style: str) -> None:
        at = clock_time(self._picture.at_ns if self._picture else None)[:8]
        self.update(Text(f"{at} {printable(line)}", style, overflow="ellipsis"))
        self.display = True
        if self._hides is not None:
            self._hides.stop()
        self._hides = None if self._waiting else self.set_timer(_SHOWN_S, self._hide)

    def _hide(self) -> None:
        self.display = False
