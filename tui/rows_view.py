"""Many rows of figures under a head that stays: only what is in view is written, only lines that changed are redrawn.

Costs nothing for a row out of view. Columns that a narrow screen has no room for are left out, by rank. It chooses
rows, tells of keys and clicks, and finds nothing out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from nanotape.tui import style
from nanotape.tui.words import printable

Cell = str | tuple[str, str]
"""What is written, or that and its style."""
Row = TypeVar("Row")
_GAP = 1


def _fitted(written: str, room: int) -> str:
    """What has room in so many columns; what is cut off ends with an ellipsis."""
    if cell_len(written) <= room:
        return written
    return f"{set_cell_size(written, max(0, room - 1))}…"[: max(0, room)]


@dataclass(frozen=True, slots=True)
class RowsColumn(Generic[Row]):
    """One column."""

    title: str
    width: int
    write: Callable[[Row], Cell]
    is_right: bool = True
    """Figures stand to the right, names to the left."""
    rank: int = 0
    """The highest are left out first where there is no room."""
    grows: bool = False
    """Takes what a wide screen has to spare. Of one column at most."""


class RowsView(ScrollView, Generic[Row], can_focus=True):
    """Rows by key, chosen as a whole."""

    DEFAULT_CSS = """
    RowsView { height: 1fr; overflow-x: hidden; scrollbar-size-vertical: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", "Up", show=False),
        Binding("down", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home", "jump(0)", "First", show=False),
        Binding("end", "jump(-1)", "Last", show=False),
        Binding("enter", "choose", "Choose", show=False),
    ]

    class Moved(Message):
        """The cursor is on another row, or on none: `row` is its place."""

        def __init__(self, view: "RowsView[Row]", row: int | None) -> None:
            """Names it."""
            super().__init__()
            self.view, self.row = view, row

    class Chosen(Moved):
        """A row was chosen, by Enter or a click on the row that the cursor is on."""

    class HeadClicked(Message):
        """A column's title was clicked."""

        def __init__(self, view: "RowsView[Row]", title: str) -> None:
            """Names the column."""
            super().__init__()
            self.view, self.title = view, title

    def __init__(self, columns: Sequence[RowsColumn[Row]], key: Callable[[Row], object], id: str | None = None) -> None:
        """Without rows.

        Args:
            columns: From left to right.
            key: What tells a row from others, so that the cursor stays on it.
            id: Of the widget.
        """
        super().__init__(id=id)
        self._columns, self._key = tuple(columns), key
        self.rows: Sequence[Row] = ()
        """All of them, in their order."""
        self.cursor = 0
        """Place of the row that is worked with."""
        self.marked = ""
        """Title of the column that rows are sorted by, with an arrow behind it."""
        self._drawn: dict[int, tuple[Cell, ...]] = {}
        self._laid_out: tuple[int, list[tuple[RowsColumn[Row], int]]] = (-1, [])

    @property
    def current(self) -> Row | None:
        """The row that the cursor is on; None: there is none."""
        return self.rows[self.cursor] if 0 <= self.cursor < len(self.rows) else None

    def set_columns(self, columns: Sequence[RowsColumn[Row]]) -> None:
        """Shows others."""
        self._columns, self._laid_out = tuple(columns), (-1, [])
        self._redraw()

    def show_rows(self, rows: Sequence[Row], *, at_end: bool = False) -> None:
        """Shows these.

        Args:
            rows: In their order; not changed afterwards.
            at_end: The cursor goes to the last; else it stays on its row, where that is still there.
        """
        before = self.current
        was = len(self.rows)
        self.rows = rows
        if at_end:
            self.cursor = max(0, len(rows) - 1)
        elif before is not None:
            self.cursor = self._place_of(before)
        if len(rows) != was:
            self.virtual_size = Size(0, len(rows) + 1)
        if at_end or self.cursor != 0:
            self._keep_in_view()
        self._redraw_changed()
        after = self.current
        if (None if before is None else self._key(before)) != (None if after is None else self._key(after)):
            self.post_message(self.Moved(self, self.cursor if after is not None else None))

    def mark(self, title: str) -> None:
        """Marks the column that rows are sorted by."""
        if title != self.marked:
            self.marked = title
            self.refresh(Region(0, 0, self.size.width, 1))

    def _place_of(self, row: Row) -> int:
        wanted = self._key(row)
        if 0 <= self.cursor < len(self.rows) and self._key(self.rows[self.cursor]) == wanted:
            return self.cursor
        places = (place for place, each in enumerate(self.rows) if self._key(each) == wanted)
        return next(places, min(self.cursor, max(0, len(self.rows) - 1)))

    @property
    def _visible(self) -> range:
        """Places of the rows in view."""
        top = self.scroll_offset.y
        return range(top, min(len(self.rows), top + max(0, self.size.height - 1)))

    def _redraw(self) -> None:
        self._drawn = {}
        self.refresh()

    def _redraw_changed(self) -> None:
        top, visible = self.scroll_offset.y, self._visible
        columns = self._layout()
        for line in range(1, self.size.height):
            place = top + line - 1
            now = self._cells(self.rows[place], place, columns) if place in visible else ()
            if self._drawn.get(line) != now:
                self.refresh(Region(0, line, self.size.width, 1))

    def _cells(self, row: Row, place: int, columns: Sequence[tuple[RowsColumn[Row], int]]) -> tuple[Cell, ...]:
        cells = [column.write(row) for column, _ in columns]
        return (*cells, "cursor") if place == self.cursor else tuple(cells)

    def _layout(self) -> list[tuple[RowsColumn[Row], int]]:
        """The columns that there is room for, with their widths."""
        width = self.scrollable_content_region.width
        if self._laid_out[0] == width:
            return self._laid_out[1]
        room, kept = width + _GAP, set()
        for place in sorted(range(len(self._columns)), key=lambda at: self._columns[at].rank):
            if self._columns[place].width + _GAP > room:
                break
            kept.add(place)
            room -= self._columns[place].width + _GAP
        shown = [column for place, column in enumerate(self._columns) if place in kept]
        laid_out = [(column, column.width + (max(0, room) if column.grows else 0)) for column in shown]
        self._laid_out = (width, laid_out)
        self._drawn = {}
        return laid_out

    def render_line(self, y: int) -> Strip:
        """The head, or a row."""
        columns, width = self._layout(), self.scrollable_content_region.width
        if y == 0:
            return self._head(columns, width)
        place = self.scroll_offset.y + y - 1
        if place >= len(self.rows):
            self._drawn[y] = ()
            return Strip.blank(width, self.rich_style)
        cells = self._drawn[y] = self._cells(self.rows[place], place, columns)
        strip = self._strip(cells, columns, width)
        return strip.apply_style(Style(reverse=True)) if place == self.cursor else strip

    def _head(self, columns: Sequence[tuple[RowsColumn[Row], int]], width: int) -> Strip:
        strip = self._strip([(column.title, style.HEAD) for column, _ in columns], columns, width)
        end = 0
        for column, room in columns:
            end += room + _GAP
            if column.title == self.marked[:-1]:  # the arrow stands in the gap behind it
                at, arrow = max(0, min(end, width) - 1), Segment(self.marked[-1], self.rich_style)
                return Strip.join([strip.crop(0, at), Strip([arrow]), strip.crop(at + 1, width)])
        return strip

    def _strip(self, cells: Sequence[Cell], columns: Sequence[tuple[RowsColumn[Row], int]], width: int) -> Strip:
        base = self.rich_style
        segments = []
        for (column, room), cell in zip(columns, cells, strict=False):
            written, styled = (cell, "") if isinstance(cell, str) else cell
            written = _fitted(printable(written), room)
            space = " " * (room - cell_len(written))  # not by characters: some take two columns
            padded = f"{space}{written}" if column.is_right else f"{written}{space}"
            segments.append(Segment(f"{padded}{' ' * _GAP}", base + Style.parse(styled) if styled else base))
        return Strip(segments).adjust_cell_length(width, base)

    def on_resize(self) -> None:
        """Lays the columns out anew."""
        self._laid_out = (-1, [])
        self._keep_in_view()
        self._redraw()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Other rows are in view."""
        self._drawn = {}
        super().watch_scroll_y(old_value, new_value)

    def _keep_in_view(self) -> None:
        height = max(1, self.size.height - 1)
        top = self.scroll_offset.y
        wanted = min(max(top, self.cursor - height + 1), self.cursor)
        if wanted != top:
            self.scroll_to(y=wanted, animate=False, force=True)

    def move_to(self, place: int) -> None:
        """Puts the cursor on a row, the nearest that there is."""
        place = min(max(place, 0), max(0, len(self.rows) - 1))
        if place != self.cursor:
            self.cursor = place
            self._keep_in_view()
            self._redraw_changed()
            self.post_message(self.Moved(self, place))

    def action_move(self, lines: int) -> None:
        """Moves the cursor by lines."""
        self.move_to(self.cursor + lines)

    def action_page(self, pages: int) -> None:
        """Moves the cursor by as many rows as are in view."""
        self.move_to(self.cursor + pages * max(1, self.size.height - 2))

    def action_jump(self, place: int) -> None:
        """Moves the cursor to the first row, or with -1 to the last."""
        self.move_to(place if place >= 0 else len(self.rows) - 1)

    def action_choose(self) -> None:
        """Chooses the row that the cursor is on."""
        if self.current is not None:
            self.post_message(self.Chosen(self, self.cursor))

    def on_click(self, event: events.Click) -> None:
        """Moves the cursor, chooses the row that it is on, or tells of the title that was clicked."""
        if event.y == 0:
            begin = 0
            for column, width in self._layout():
                if begin <= event.x < begin + width:
                    self.post_message(self.HeadClicked(self, column.title))
                begin += width + _GAP
            return
        place = self.scroll_offset.y + event.y - 1
        if place == self.cursor:
            self.action_choose()
        elif place < len(self.rows):
            self.move_to(place)
