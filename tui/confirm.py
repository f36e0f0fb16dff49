"""The dialog before an action: what it will do, to which ring, by which socket; or why this user may not.

It asks nobody for anything: it says which ring was chosen, or that none was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.await_complete import AwaitComplete
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from nanotape.capture.control.protocol import MARK_CHARACTERS
from nanotape.tui.closes_once import close_once
from nanotape.tui.steering import Action, Target, wrong_mark
from nanotape.tui.style import ERROR, HEAD, QUIET
from nanotape.tui.words import printable


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What an operator wants done."""

    target: Target
    text: str
    """Of a mark; else empty."""


class ConfirmAction(ModalScreen[Confirmed | None]):
    """Ends with what is to be done, or None: nothing is."""

    DEFAULT_CSS = """
    ConfirmAction { align: center middle; }
    ConfirmAction #confirm { width: 72; max-width: 100%; height: auto; max-height: 100%; padding: 0 1;
        background: $surface; border: round $primary; }
    ConfirmAction Static { height: auto; }
    ConfirmAction Input { margin: 1 0 0 0; }
    ConfirmAction Horizontal { height: auto; margin: 1 0 0 0; }
    ConfirmAction Button { margin: 0 2 0 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Leave it"),
        Binding("up", "other_ring(-1)", "Ring before", show=False),
        Binding("down", "other_ring(1)", "Next ring", show=False),
    ]

    def __init__(self, action: Action, targets: Sequence[Target], ring: str | None = None) -> None:
        """Asks about one action.

        Args:
            action: Rotate, mark or reload.
            targets: The rings that there are to choose from; at least one.
            ring: The one that is chosen first; None: the first.
        """
        super().__init__()
        self._wanted, self._targets = action, tuple(targets)
        names = [each.ring for each in targets]
        self._place = names.index(ring) if ring in names else 0
        self._about = Static("", id="confirm-about")
        self._wrong = Static("", id="confirm-wrong")
        self._text = Input(placeholder="what happened, in your words", max_length=MARK_CHARACTERS, compact=True)
        self._do = Button(action.title, id="confirm-do", variant="primary", compact=True)

    @property
    def target(self) -> Target:
        """The ring that is chosen."""
        return self._targets[self._place]

    def compose(self) -> ComposeResult:
        """What it does, the words of a mark, what to press."""
        with VerticalScroll(id="confirm", can_focus=False):
            yield self._about
            if self._wanted.verb == "mark":
                yield self._text
            yield self._wrong
            with Horizontal():
                yield self._do
                yield Button("Leave it", id="confirm-leave", compact=True)

    def on_mount(self) -> None:
        """With the keyboard where it is needed first."""
        self._draw()

    def action_other_ring(self, step: int) -> None:
        """Chooses another ring."""
        self._place = (self._place + step) % len(self._targets)
        self._draw()

    def action_leave(self) -> None:
        """Nothing is done."""
        self.dismiss(None)

    def dismiss(self, result: Confirmed | None = None) -> AwaitComplete:
        """Ends it once, however often Enter is pressed."""
        return close_once(self, result)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter in the words of a mark is the button."""
        event.stop()
        self._confirm()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Either of the two."""
        event.stop()
        if event.button is self._do:
            self._confirm()
        else:
            self.dismiss(None)

    def _confirm(self) -> None:
        text = self._text.value if self._wanted.verb == "mark" else ""
        wrong = self.target.refusal
        if wrong is None and self._wanted.verb == "mark":
            wrong = wrong_mark(text)
        if wrong is None:
            self.dismiss(Confirmed(self.target, text))
        else:
            self._wrong.update(Text(wrong, ERROR))

    def _draw(self) -> None:
        target, action = self.target, self._wanted
        name = printable(target.ring)
        about = Text.assemble((f"{action.title} ring {name}", HEAD), "\n\n", action.does.format(ring=name))
        if len(self._targets) > 1:
            about.append(f"\n\nRing {self._place + 1} of {len(self._targets)}: up and down choose another.")
        about.append(f"\n\nAsked at {printable(str(target.socket))}.", QUIET)
        self._about.update(about)
        refused = target.refusal is not None
        self._wrong.update(Text(printable(f"NOT ALLOWED: {target.refusal}") if refused else "", ERROR))
        self._do.display = self._text.display = not refused
        if refused:
            self.query_one("#confirm-leave").focus()
        else:
            (self._text if action.verb == "mark" else self._do).focus()
