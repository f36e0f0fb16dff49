"""The first pane: are we losing data, is the clock good, is the disk keeping up? And each ring in some lines."""

from textual.app import ComposeResult

from nanotape.tui.lines import Lines
from nanotape.tui.overview_lines import overview_lines
from nanotape.tui.pane import Pane
from nanotape.tui.picture import Picture


class OverviewPane(Pane):
    """Rings and findings."""

    TITLE, KEY = "Overview", "1"

    def __init__(self, id: str | None = None) -> None:
        """Has nothing to show yet."""
        super().__init__(id=id)
        self._lines = Lines(id="overview-lines")
        self._picture: Picture | None = None

    def compose(self) -> ComposeResult:
        """One text, scrolled where it is longer than the screen."""
        yield self._lines

    def show(self, picture: Picture) -> None:
        """Draws a moment."""
        self._picture = picture
        self._lines.show(overview_lines(picture, max(1, self.size.width - 1)))

    def on_resize(self) -> None:
        """Draws it for the new width."""
        if self._picture is not None:
            self.show(self._picture)
