"""The channels' pane: a row for each line of each ring, sorted and filtered at the keyboard; Enter shows its detail."""

from dataclasses import replace
from typing import ClassVar, Protocol, runtime_checkable

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input, Static

from nanotape.tui import words
from nanotape.tui.channel_columns import CHANNEL_COLUMNS, RING_RANK, ChannelColumn
from nanotape.tui.channel_detail import ChannelDetail, LineHistories
from nanotape.tui.channel_rows import ChannelRow, ChannelRows, fitting, is_alarm, notes, ordered
from nanotape.tui.pane import Pane
from nanotape.tui.picture import Picture
from nanotape.tui.rows_view import RowsView


@runtime_checkable
class LooksAtPackets(Protocol):
    """What is needed of the packets' pane, which loads more than this one."""

    def look_at(self, ring: str, channel: str, line: str) -> None:
        """Shows the packets of a line."""


_LINE_WIDTHS = (2, 8)
"""Of the column of their names: they are short as a rule."""
_NO_LINES = "No ring can be read, and no channel is configured: nanotape run captures."


class ChannelsTable(RowsView[ChannelRow]):
    """Says in the footer what Enter does."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "choose", "Detail")]


class ChannelsPane(Pane):
    """A table, a line below it that says what it shows, and a field for the filter."""

    TITLE, KEY = "Channels", "2"
    DEFAULT_CSS = """
    ChannelsPane #channels-said { height: auto; max-height: 3; }
    ChannelsPane #channels-filter { display: none; height: 1; }
    ChannelsPane.-filtering #channels-filter { display: block; }
    ChannelsPane ChannelDetail { display: none; }
    ChannelsPane.-detail ChannelDetail { display: block; }
    ChannelsPane.-detail #channels-rows { display: none; }
    ChannelsPane.-detail #channels-said { display: none; }
    ChannelsPane.-detail #channels-filter { display: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("o", "sort_next", "Sort"),
        Binding("t", "tail", "Tail"),
        Binding("O", "sort_reverse", "Reverse", show=False),
        Binding("escape", "back", "Back"),
    ]

    def __init__(self, id: str | None = None) -> None:
        """Has seen nothing yet; sorted as the rings' tables are."""
        super().__init__(id=id)
        self._source, self._histories = ChannelRows(), LineHistories()
        self._sorted_by: ChannelColumn | None = None
        self._is_reverse = False
        self._typed = ""
        self._picture: Picture | None = None
        self._shown_of: object = None
        self._table = ChannelsTable(_columns(several=False), _key, "channels-rows")
        self._said = Static(_NO_LINES, id="channels-said", markup=False)
        self._filter = Input(placeholder="words of a channel, line, state, group", id="channels-filter", compact=True)
        self._detail = ChannelDetail()
        self._several, self._line_width = False, _LINE_WIDTHS[0]

    def compose(self) -> ComposeResult:
        """The table and what belongs to it, or the detail of a line."""
        yield self._table
        yield self._said
        yield self._filter
        yield self._detail

    def show(self, picture: Picture) -> None:
        """Draws a moment: nothing, where no recorder has told anything new."""
        self._picture = picture
        rows = self._source.of(picture)
        self._histories.take(picture)
        self._fit_columns(rows)
        wanted = (rows, self._typed, self._sorted_by, self._is_reverse)
        if wanted != self._shown_of:
            self._shown_of = wanted
            self._draw(rows, picture)
        if self.has_class("-detail"):
            self._detail.show(picture, rows, self._histories)

    def _fit_columns(self, rows: tuple[ChannelRow, ...]) -> None:
        """With the ring's name where there are several, and room for the names of lines."""
        several = len({row.ring for row in rows}) > 1
        least, most = _LINE_WIDTHS
        line_width = min(most, max((cell_len(row.line) for row in rows), default=least))
        line_width = max(least, line_width)
        if (several, line_width) != (self._several, self._line_width):
            self._several, self._line_width = several, line_width
            self._table.set_columns(_columns(several=several, line_width=line_width))

    def _draw(self, rows: tuple[ChannelRow, ...], picture: Picture) -> None:
        shown = fitting(rows, self._typed)
        if self._sorted_by is not None:
            shown = ordered(shown, self._sorted_by.key, is_reverse=self._is_reverse)
            self._table.mark(f"{self._sorted_by.title}{'▾' if self._is_reverse else '▴'}")
        else:
            self._table.mark("")
        self._table.show_rows(shown)
        self._said.update("\n".join(map(words.printable, self._words(rows, shown, picture))))

    def _words(self, rows: tuple[ChannelRow, ...], shown: list[ChannelRow], picture: Picture) -> list[str]:
        if not rows:
            return [_NO_LINES, *notes(picture)]
        arriving, alarms = sum(row.state == "arriving" for row in rows), sum(map(is_alarm, rows))
        said = f"{words.count(len(rows))} lines: {words.count(arriving)} arriving"
        said += f", {words.count(alarms)} ought to and do not" if alarms else ""
        if self._typed:
            said += f"; {words.count(len(shown))} shown: {self._typed!r}"
        if self._sorted_by is not None:
            said += f"; by {self._sorted_by.title}"
        return [said, *notes(picture)]

    def _again(self) -> None:
        if self._picture is not None:
            self.show(self._picture)

    def hide(self) -> None:
        """Nothing goes on unseen."""
        self._detail.hide()

    def take_focus(self) -> None:
        """To the table, or the detail."""
        (self._detail if self.has_class("-detail") else self._table).focus()

    def action_filter(self) -> None:
        """Opens the field."""
        self.remove_class("-detail")
        self.add_class("-filtering")
        self._filter.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filters while it is typed."""
        event.stop()
        self._typed = event.value.strip()
        self._again()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Goes back to the table; the filter stays."""
        event.stop()
        self.set_class(bool(self._typed), "-filtering")
        self._table.focus()

    def action_back(self) -> None:
        """From the detail to the table, from the field too; then the filter is given up."""
        if self.has_class("-detail"):
            self.remove_class("-detail")
            self._detail.hide()
        else:
            self._filter.value = self._typed = ""
            self.remove_class("-filtering")
            self._again()
        self._table.focus()

    def action_sort_next(self) -> None:
        """Sorts by the next column, after the last not at all."""
        columns = [None, *_columns(several=self._several)]
        titles = [None if each is None else each.title for each in columns]
        by = self._sorted_by.title if self._sorted_by is not None else None  # a ring's name may be shown no more
        self._sort_by(columns[(titles.index(by) + 1) % len(columns) if by in titles else 0])

    def action_sort_reverse(self) -> None:
        """Turns the order round."""
        self._is_reverse = not self._is_reverse
        self._again()

    def on_rows_view_head_clicked(self, event: RowsView.HeadClicked) -> None:
        """Sorts by the column; once more turns the order round."""
        event.stop()
        column = next(each for each in CHANNEL_COLUMNS if each.title == event.title)
        if self._sorted_by is not None and self._sorted_by.title == column.title:
            self.action_sort_reverse()
        else:
            self._sort_by(column)

    async def action_tail(self) -> None:
        """Shows the packets of the line that the cursor is on."""
        row = self._table.current
        if row is None:
            return
        await self.run_action("app.show_pane('packets')")
        for pane in self.screen.query("#packets"):
            if isinstance(pane, LooksAtPackets):
                pane.look_at(row.ring, row.channel, row.line)

    def _sort_by(self, column: ChannelColumn | None) -> None:
        self._sorted_by, self._is_reverse = column, column is not None and column.falls
        self._again()

    def on_rows_view_chosen(self, event: RowsView.Chosen) -> None:
        """Shows the detail of a line."""
        event.stop()
        row = self._table.current
        if row is not None and self._picture is not None:
            self.add_class("-detail")
            self._detail.choose(row.key)
            self._detail.show(self._picture, self._source.of(self._picture), self._histories)
            self._detail.focus()


def _key(row: ChannelRow) -> object:
    return row.key


def _columns(*, several: bool, line_width: int = _LINE_WIDTHS[0]) -> list[ChannelColumn]:
    """Those that are shown where there is room."""
    columns = [replace(each, width=line_width) if each.title == "LN" else each for each in CHANNEL_COLUMNS]
    if several:
        return [replace(each, rank=RING_RANK) if each.title == "RING" else each for each in columns]
    return [each for each in columns if each.title != "RING"]
