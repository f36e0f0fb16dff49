"""The first pane: are we losing data, is the clock good, is the disk keeping up? And each ring in some lines."""

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from nanotape.tui import style, words
from nanotape.tui.pane import Pane
from nanotape.tui.picture import Picture


class OverviewPane(Pane):
    """Rings and findings."""

    TITLE, KEY = "Overview", "1"

    def compose(self) -> ComposeResult:
        """One text, scrolled where it is longer than the screen."""
        with VerticalScroll():
            yield Static(id="overview-text")

    def show(self, picture: Picture) -> None:
        """Draws a moment."""
        lines = [Text(f"{ring.name}: {words.rate(ring.health.packets_s)}") for ring in picture.rings]
        lines += map(style.finding_text, picture.findings)
        self.query_one("#overview-text", Static).update(Text("\n").join(lines))
