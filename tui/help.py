"""The help: which keys do what now, and what the panes answer. Escape or ? leaves it."""

from collections.abc import Iterable
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.await_complete import AwaitComplete
from textual.binding import ActiveBinding, Binding, BindingType
from textual.screen import ModalScreen
from textual.widgets import Static

from nanotape.tui import style
from nanotape.tui.closes_once import close_once
from nanotape.tui.lines import Lines
from nanotape.tui.panes import PaneEntry

_KEY = 12
_WORDS = (
    "OK, WARN and ERROR are those of nanotape status, and the first line is its headline.",
    "- is unknown, which is never 0. Times of day are UTC. unread: what the slowest reader has not read yet.",
    "busy: polls of the loop that found packets, of all its polls. of line: with preamble, checksum and gap.",
    "Nothing here touches what is captured; rotate, mark and reload are asked of the service, and confirmed.",
)


class HelpScreen(ModalScreen[None]):
    """Over the pane that it is about."""

    DEFAULT_CSS = """
    HelpScreen { align: center middle; }
    HelpScreen Container { width: 90%; height: 90%; }
    HelpScreen #help-title { height: 1; text-style: reverse; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q", "dismiss", "Leave"),
    ]

    def __init__(self, entries: Iterable[PaneEntry], bindings: Iterable[ActiveBinding]) -> None:
        """Tells of these.

        Args:
            entries: The panes.
            bindings: What keys do where it was called.
        """
        super().__init__()
        self._lines = Lines(id="help-lines")
        self._entries, self._keys = tuple(entries), tuple(bindings)

    def dismiss(self, result: None = None) -> AwaitComplete:
        """Closes it once, however many keys come."""
        return close_once(self, result)

    def compose(self) -> ComposeResult:
        """A title, and lines that scroll."""
        yield Static(" Keys, and what is seen; escape leaves ", id="help-title")
        yield self._lines

    def on_mount(self) -> None:
        """Fills it."""
        self._lines.show(self.lines())
        self._lines.focus()

    def lines(self) -> list[Text]:
        """What it says."""
        heads = [
            Text("Panes", style.HEAD),
            *(_row(each.key, f"{each.title}: {each.answers}") for each in self._entries),
        ]
        keys = [Text("Keys here", style.HEAD)]
        for _, binding, enabled, tooltip in self._keys:
            if enabled and binding.description and not binding.action.startswith("show_pane"):
                keys.append(_row(self.app.get_key_display(binding), tooltip or binding.description))
        return [*heads, Text(), *keys, Text(), Text("Words", style.HEAD), *(Text(f"  {each}") for each in _WORDS)]


def _row(key: str, said: str) -> Text:
    return Text.assemble((f"  {key:<{_KEY}}", style.ACCENT), said)
