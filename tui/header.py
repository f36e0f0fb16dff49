"""What is always seen: the headline of `nanotape status` in words and colour, the time, and the tabs."""

from collections.abc import Sequence

from rich.text import Text
from textual import events
from textual.message import Message
from textual.widgets import Static

from nanotape.tui import style, words
from nanotape.tui.panes import PaneEntry
from nanotape.tui.picture import Picture


class Headline(Static):
    """The one sentence; it is as high as it must be."""

    DEFAULT_CSS = """
    Headline { height: auto; max-height: 3; }
    """

    def show(self, picture: Picture) -> None:
        """Draws a moment."""
        self.update(headline_text(picture))


def headline_text(picture: Picture) -> Text:
    """The severity's word, the headline, and when that was."""
    said = Text.assemble(style.banner(picture.severity), " ", (picture.headline, style.HEAD), " ")
    said.append(f"{words.clock_time(picture.at_ns)[:8]} UTC", style.QUIET)
    return said


class TabBar(Static):
    """The tabs in one line, the shown one marked."""

    DEFAULT_CSS = """
    TabBar { height: 1; }
    """

    class Chosen(Message):
        """A tab was clicked."""

        def __init__(self, module: str) -> None:
            """Names the pane's module."""
            super().__init__()
            self.module = module

    def __init__(self, entries: Sequence[PaneEntry]) -> None:
        """Shows these."""
        super().__init__(id="tabs")
        self._entries = entries

    def mark(self, module: str) -> None:
        """Marks the pane that is shown."""
        line = Text()
        for entry in self._entries:
            here = entry.module == module
            line.append(_label(entry), "reverse bold" if here else "")
            line.append(" ")
        self.update(line)

    def on_click(self, event: events.Click) -> None:
        """Shows the tab under the mouse."""
        column = 0
        for entry in self._entries:
            width = len(_label(entry))
            if column <= event.x < column + width:
                self.post_message(self.Chosen(entry.module))
            column += width + 1


def _label(entry: PaneEntry) -> str:
    return f"{entry.key} {entry.title}"
