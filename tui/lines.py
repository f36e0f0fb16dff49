"""Text that changes ten times a second: only what has changed is drawn again, and the screen is never laid out anew."""

from collections.abc import Sequence

from rich.text import Text
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widgets import Static

from nanotape.tui.words import printable


class Lines(ScrollView, can_focus=True):
    """Some lines; those that are wider than the screen are cut off."""

    DEFAULT_CSS = """
    Lines { height: 1fr; width: 1fr; scrollbar-size-vertical: 1; overflow-x: hidden; }
    Lines:focus { background-tint: $foreground 0%; }
    """

    def __init__(self, id: str | None = None) -> None:
        """Without a line."""
        super().__init__(id=id)
        self._lines: list[Text] = []

    def show(self, lines: Sequence[Text]) -> None:
        """Shows these, and keeps the place that was scrolled to."""
        before, self._lines = self._lines, [drawable(line) for line in lines]
        if len(before) != len(self._lines):
            self.virtual_size = Size(0, len(self._lines))
            self.refresh()
            return
        for number, (old, new) in enumerate(zip(before, self._lines, strict=True)):
            if old != new:
                self.refresh_line(number)

    @property
    def text(self) -> str:
        """All of it, without colours."""
        return "\n".join(line.plain for line in self._lines)

    def render_line(self, y: int) -> Strip:
        """One line of the screen, as Textual asks for it."""
        number, width = y + self.scroll_offset.y, self.size.width
        base = self.rich_style
        if number >= len(self._lines):
            return Strip.blank(width, base)
        drawn = self._lines[number].render(self.app.console)
        return Strip(drawn).apply_style(base).adjust_cell_length(width, base)


class Said(Static):
    """Some words at a place whose size they do not change."""

    def __init__(self, id: str | None = None) -> None:
        """Says nothing yet."""
        super().__init__("", id=id, markup=False)
        self._said = Text()

    def show(self, said: Text) -> bool:
        """Says it; False: it was said already."""
        said = drawable(said)
        if said == self._said:
            return False
        self._said = said
        self.update(said, layout=False)
        return True


def drawable(said: Text) -> Text:
    """A line without what would be an order to the terminal: names and words in it come from other programs."""
    if said.plain.isprintable():
        return said
    safe = said.copy()
    safe.plain = printable(said.plain)
    return safe
