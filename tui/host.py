"""The host screen: what doctor finds of this host, worst first, and what mends the finding that is chosen.

Doctor runs when the screen is first shown and whenever it is asked for, in a thread of its own.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.message import Message
from textual.widgets import DataTable, Static

from nanotape.config import Settings
from nanotape.tui.apart import run_apart
from nanotape.tui.facts_table import Column, FactsTable
from nanotape.tui.host_rows import (
    STATUS_STYLES,
    HostExamined,
    chosen_result,
    examine_host,
    result_lines,
    shown_results,
    summary,
)
from nanotape.tui.pane import Pane
from nanotape.tui.picture import Picture
from nanotape.tui.style import ERROR, QUIET
from nanotape.tui.words import printable

_COLUMNS = (
    Column("STATUS", 7, is_right=False),
    Column("CHECK", 24, is_right=False),
    Column("FOUND", 42, is_right=False, grows=True),
)
_NAMES_WIDTH = 7


class Examined(Message):
    """Doctor has looked."""

    def __init__(self, found: HostExamined) -> None:
        """With what it found."""
        super().__init__()
        self.found = found


class HostPane(Pane):
    """A table of findings, and all there is to say of the chosen one."""

    DEFAULT_CSS = """
    HostPane #host-summary { height: 1; }
    HostPane FactsTable { height: 1fr; }
    HostPane #host-below { height: 40%; border-top: solid $primary; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "examine", "Look again"),
        Binding("a", "everything", "All"),
        Binding("c", "copy", "Copy what to do"),
    ]
    TITLE, KEY = "Host", "8"

    def __init__(self, id: str | None = None) -> None:
        """Has looked at nothing yet."""
        super().__init__(id=id)
        self._settings: Settings | None = None
        self._found: HostExamined | None = None
        self._at_ns = 0
        self._looked_ns = 0
        self._is_looking = self._is_everything = False
        self._table = FactsTable(_COLUMNS, id="host-table")
        self._summary = Static("", id="host-summary", markup=False)
        self._below = Static("", id="host-lines", markup=False)

    def compose(self) -> ComposeResult:
        """How many, the findings, the chosen one."""
        yield self._summary
        yield self._table
        with VerticalScroll(id="host-below", can_focus=False):
            yield self._below

    def show(self, picture: Picture) -> None:
        """Starts doctor the first time; draws nothing anew."""
        self._settings, self._at_ns = picture.settings, picture.at_ns
        if self._found is None and not self._is_looking:
            self.action_examine()

    def action_examine(self) -> None:
        """Has doctor look, unless it does."""
        settings = self._settings
        if self._is_looking or settings is None:
            return
        self._is_looking = True
        if not run_apart(self, "nanotape-doctor", lambda: Examined(examine_host(settings))):
            self._is_looking, self._found = False, HostExamined(failure="no thread is to be had just now")
        self._draw()

    def on_examined(self, message: Examined) -> None:
        """Takes in what was found."""
        message.stop()
        self._is_looking, self._found, self._looked_ns = False, message.found, self._at_ns
        self._draw()

    def action_everything(self) -> None:
        """Shows what is as it should be, too, or no more."""
        self._is_everything = not self._is_everything
        self._draw()

    def action_copy(self) -> None:
        """Puts what mends the chosen finding on the terminal's clipboard."""
        chosen = chosen_result(self._found.results if self._found else (), self._table.chosen)
        if chosen is None or not chosen.fix:
            self.notify("nothing is to be done about this one")
            return
        self.app.copy_to_clipboard(chosen.fix)
        self.notify(f"copied, where the terminal allows it: {chosen.fix}", markup=False)

    def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        """Another finding is chosen."""
        event.stop()
        self._draw_chosen()

    def _draw(self) -> None:
        found = self._found
        results = shown_results(found, everything=self._is_everything) if found else ()
        self._table.show_rows(
            {each.id: [(each.status, STATUS_STYLES[each.status]), each.id, each.found] for each in results}
        )
        self._summary.update(self._summary_text())
        self._draw_chosen()

    def _summary_text(self) -> Text:
        found = self._found
        if found is None:
            return Text("doctor looks at this host ...", QUIET)
        again = "looking again ..." if self._is_looking else f"looked at {_time(self._looked_ns)}, r looks again"
        if found.failure:
            return Text(f"doctor could not look: {found.failure}; {again}", ERROR)
        return Text(f"{summary(found)}; {again}", no_wrap=True, overflow="ellipsis")

    def _draw_chosen(self) -> None:
        chosen = chosen_result(self._found.results if self._found else (), self._table.chosen)
        table = Table.grid(padding=(0, 1, 0, 0))
        table.add_column(width=_NAMES_WIDTH, style=QUIET)
        table.add_column()
        for name, said, style in result_lines(chosen) if chosen else ():
            table.add_row(name, Text(printable(said), style))
        self._below.update(table)


def _time(at_ns: int) -> str:
    return f"{datetime.fromtimestamp(at_ns // 10**9, UTC):%H:%M:%S}"
