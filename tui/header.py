"""What is always seen: the headline of `nanotape status` in words and colour, the time, the tabs, and the keys.

Drawn only where something has changed; laid out anew only when the headline needs another line.
"""

from collections.abc import Sequence

from rich.text import Text
from textual import events
from textual.message import Message
from textual.screen import Screen

from nanotape.capture.finding import Severity
from nanotape.tui import style, words
from nanotape.tui.lines import Said
from nanotape.tui.panes import PaneEntry
from nanotape.tui.picture import Picture

_MOST_LINES = 3


class Headline(Said):
    """The one sentence; it is as high as it must be."""

    DEFAULT_CSS = """
    Headline { height: 1; }
    """

    def show(self, said: Text) -> bool:
        """Draws it, in as many lines as it takes."""
        changed = super().show(said)
        if changed:
            self._fit()
        return changed

    def on_resize(self) -> None:
        """It may take more lines now, or fewer."""
        self._fit()

    def _fit(self) -> None:
        room = max(1, self.app.size.height // 4)  # of a tiny terminal the panes need the rest
        lines = len(self._said.wrap(self.app.console, max(1, self.app.size.width)))
        wanted = max(1, min(lines, _MOST_LINES, room))
        height = self.styles.height
        if height is None or height.value != wanted:
            self.styles.height = wanted


def headline_text(picture: Picture | None, trouble: str = "") -> Text:
    """The severity's word, the headline, and when that was; before all, why it is not of now."""
    if picture is None:
        return Text(trouble or "looking ...", style.ERROR if trouble else style.QUIET)
    if trouble:
        old = f" {trouble}; at {words.clock_time(picture.at_ns)[:8]} UTC: {picture.headline}"
        return Text.assemble(style.banner(Severity.ERROR), (old, style.ERROR))
    said = Text.assemble(style.banner(picture.severity), " ", (picture.headline, style.HEAD), " ")
    said.append(f"{words.clock_time(picture.at_ns)[:8]} UTC", style.QUIET)
    return said


class TabBar(Said):
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
        line = Text(no_wrap=True)
        for entry in self._entries:
            here = entry.module == module
            line.append(_label(entry), "reverse bold" if here else "")
            line.append(" ")
        self.show(line)

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


class KeyBar(Said):
    """The keys that do something now, in one line. Textual's own makes widgets of them, at each change of focus."""

    DEFAULT_CSS = """
    KeyBar { height: 1; }
    """

    def on_mount(self) -> None:
        """Hears of each change."""
        self.screen.bindings_updated_signal.subscribe(self, self._changed)
        self._changed(self.screen)

    def _changed(self, screen: Screen[object]) -> None:
        if not self.is_attached or screen is not self.screen:
            return
        line = Text(no_wrap=True, overflow="ellipsis")
        seen: set[str] = set()
        for _, binding, enabled, _ in screen.active_bindings.values():
            if binding.show and enabled and binding.action not in seen:
                seen.add(binding.action)
                line.append(f" {self.app.get_key_display(binding)}", style.ACCENT)
                line.append(f" {binding.description} ")
        line.append(" ^p", style.ACCENT).append(" Palette")
        self.show(line)
