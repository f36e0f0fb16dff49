"""The clock screen: how far this host's clocks can be trusted, how their offsets went, and who steers them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rich.text import Text
from textual.app import ComposeResult
from textual.message import Message
from textual.timer import Timer
from textual.widgets import DataTable, Static

from nanotape.capture.clock.status import ClockStatus
from nanotape.tui.apart import run_apart
from nanotape.tui.clock_around import ClockAround, clock_around
from nanotape.tui.clock_history import ClockHistory, read_samples
from nanotape.tui.clock_rows import (
    STATE_STYLES,
    ClockRow,
    clock_lines,
    clock_rows,
    host_lines,
    plot_lines,
    quiet_when_old,
    silence,
)
from nanotape.tui.facts_table import Cell, Column, FactsTable
from nanotape.tui.lines import Lines
from nanotape.tui.named_lines import named_lines
from nanotape.tui.pane import Pane
from nanotape.tui.picture import Picture
from nanotape.tui.style import ACCENT, ERROR, HEAD
from nanotape.tui.words import UNKNOWN, nanoseconds, printable

_COLUMNS = (
    Column("CLOCK", 14, is_right=False, grows=True),
    Column("STATE", 12, is_right=False),
    Column("BY", 7, is_right=False),
    Column("OFFSET", 10),
    Column("ERROR <=", 9),
    Column("DELAY", 9),
    Column("TAI", 4),
)
_LOOK_AROUND_S = 5.0
_PLOT_HEIGHTS = ((40, 15), (30, 9), (0, 7))
"""Rows of the plot by rows of the screen."""
_NAMES_WIDTH = 12


class LookedAround(Message):
    """The kernel and the processes were asked."""

    def __init__(self, found: ClockAround, samples: Iterable[Mapping[str, Any]] | None) -> None:
        """Of one moment; the journal's samples, where it was read, too."""
        super().__init__()
        self.found, self.samples = found, samples


class ClockPane(Pane):
    """A table of clocks, the plot of the chosen one, and what else there is to say."""

    DEFAULT_CSS = """
    ClockPane FactsTable { max-height: 40%; }
    ClockPane #clock-silence { height: auto; }
    """
    TITLE, KEY = "Clock", "4"

    def __init__(self, id: str | None = None) -> None:
        """Has seen nothing yet."""
        super().__init__(id=id)
        self._history = ClockHistory()
        self._last: ClockStatus | None = None
        self._around: ClockAround | None = None
        self._picture: Picture | None = None
        self._run_directory: Path | None = None
        self._is_read = self._is_looking = False
        self._timer: Timer | None = None
        self._drawn: object = None
        self._table = FactsTable(_COLUMNS, id="clock-table")
        self._silence = Static("", id="clock-silence", markup=False)
        self._below = Lines(id="clock-lines")
        self._said: str | None = ""

    def compose(self) -> ComposeResult:
        """What is wrong with the service, the clocks, the rest."""
        yield self._silence
        yield self._table
        yield self._below

    def show(self, picture: Picture) -> None:
        """Draws what is told, or what was told last."""
        self._picture = picture
        self._run_directory = Path(picture.settings.paths.run_dir)
        if self._timer is None:
            self._look_around()
            self._timer = self.set_interval(_LOOK_AROUND_S, self._look_around)
        if picture.clock is not None:
            self._last = picture.clock
            self._history.add_status(picture.clock)
        self._draw(picture)

    def hide(self) -> None:
        """Asks nobody any more."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None

    def _look_around(self) -> None:
        run, is_read = self._run_directory, self._is_read
        if run is None or self._is_looking:
            return

        def look() -> LookedAround:
            return LookedAround(clock_around(), None if is_read else read_samples(run))

        self._is_looking = run_apart(self, "nanotape-clocks", look)

    def on_looked_around(self, message: LookedAround) -> None:
        """Takes in what was found."""
        message.stop()
        self._is_looking, self._around = False, message.found
        if message.samples is not None:
            self._is_read = True
            self._history.add(message.samples)
        if self._picture is not None:
            self._draw(self._picture)

    def on_resize(self) -> None:
        """The plot is as wide as the screen, which is known only now."""
        if self._picture is not None:
            self._draw(self._picture)

    def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        """Another clock is chosen."""
        event.stop()
        if self._picture is not None:
            self._draw(self._picture)

    def _draw(self, picture: Picture) -> None:
        status, is_current = self._last, picture.clock is not None
        said = silence(status, is_current, picture.at_ns, str(self._run_directory))
        if said != self._said:
            self._said = said
            self._silence.display = said is not None
            self._silence.update(Text(said or "", ERROR))
        rows = clock_rows(status) if status else ()
        if self._table.display != bool(rows):
            self._table.display = bool(rows)
        self._table.show_rows({row.clock: _cells(row, is_current=is_current) for row in rows})
        drawn = (status and status.at_ns, is_current, self._table.chosen, self._around, self.size)
        if drawn != self._drawn:
            self._drawn = drawn
            self._below.show(self._lines(status, picture.at_ns))

    def _lines(self, status: ClockStatus | None, now_ns: int) -> list[Text]:
        width = max(20, self.size.width - 1)
        lines: list[Text] = []
        chosen = self._table.chosen
        told = next((each for each in status.clocks if each["clock"] == chosen), None) if status else None
        if told is not None:
            height = next(rows for least, rows in _PLOT_HEIGHTS if self.screen.size.height >= least)
            points = self._history.points(str(chosen), now_ns)
            lines.append(Text(printable(f"Offset of {chosen} to its master"), HEAD))
            lines += [Text(each, ACCENT) for each in plot_lines(points, now_ns, width, height)]
            lines += named_lines(clock_lines(told), width, _NAMES_WIDTH)
        return [*lines, Text("This host", HEAD), *named_lines(host_lines(status, self._around), width, _NAMES_WIDTH)]


def _cells(row: ClockRow, *, is_current: bool) -> list[Cell]:
    plain = quiet_when_old("", is_current)
    return [
        (row.name, plain),
        (row.state, quiet_when_old(STATE_STYLES.get(row.state, ERROR), is_current)),
        (row.source or UNKNOWN, plain),
        (nanoseconds(row.offset_ns, signed=True), plain),
        (nanoseconds(row.error_ns), plain),
        (nanoseconds(row.path_delay_ns), plain),
        (UNKNOWN if row.utc_offset_s is None else f"{row.utc_offset_s} s", plain),
    ]
