"""A table that is redrawn only where a cell has changed, with its cursor on the same row while rows come and go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.text import Text
from textual.coordinate import Coordinate
from textual.widgets import DataTable

from nanotape.tui.words import printable


@dataclass(frozen=True, slots=True)
class Column:
    """One of a table."""

    title: str
    width: int
    """Cells; 0: as wide as what is in it when its row is added."""
    is_right: bool = True
    """Figures stand to the right, names to the left."""
    grows: bool = False
    """Takes what a wide screen has to spare. Of one column at most."""


_PADDING = 1

Cell = str | tuple[str, str]
"""What is written, or that and its style."""


class FactsTable(DataTable[Text]):
    """Rows by key, chosen as a whole."""

    DEFAULT_CSS = """
    FactsTable { height: auto; }
    """

    def __init__(self, columns: Sequence[Column], id: str | None = None) -> None:
        """Without rows.

        Args:
            columns: From left to right.
            id: Of the widget.
        """
        super().__init__(id=id, cursor_type="row", zebra_stripes=False, cell_padding=_PADDING)
        self._columns_shown = tuple(columns)
        self._shown: dict[str, tuple[Cell, ...]] = {}
        self._made_for: int | None = None

    def show_rows(self, rows: Mapping[str, Sequence[Cell]]) -> None:
        """Shows these, in their order.

        Args:
            rows: Cells by the row's key, one for each column.
        """
        if self._made_for is None:
            self._make_columns()
        if list(rows) != list(self._shown):
            self._fill_anew(rows)
            return
        for key, cells in rows.items():
            for column, cell, was in zip(self._columns_shown, cells, self._shown[key], strict=True):
                if cell != was:
                    self.update_cell(key, column.title, _text(cell, column), update_width=not column.width)
        self._shown = {key: tuple(cells) for key, cells in rows.items()}

    def on_resize(self) -> None:
        """Gives what there is to spare to the column that grows."""
        if self._made_for is not None and self._made_for != self._spare:
            shown, chosen = self._shown, self.chosen
            self.clear(columns=True)
            self._shown = {}
            self._make_columns()
            self.show_rows(shown)
            self._choose(chosen)

    @property
    def _spare(self) -> int:
        used = sum(column.width + 2 * _PADDING for column in self._columns_shown)
        return max(0, self.container_size.width - used)

    def _make_columns(self) -> None:
        self._made_for = spare = self._spare
        for column in self._columns_shown:
            width = column.width + (spare if column.grows else 0)
            title = Text(column.title, justify="right" if column.is_right else "left")
            self.add_column(title, width=width or None, key=column.title)

    @property
    def chosen(self) -> str | None:
        """Key of the row that the cursor is on; None: there is no row."""
        keys = list(self._shown)
        return keys[self.cursor_row] if 0 <= self.cursor_row < len(keys) else None

    def _fill_anew(self, rows: Mapping[str, Sequence[Cell]]) -> None:
        chosen = self.chosen
        self.clear()
        self._shown = {key: tuple(cells) for key, cells in rows.items()}
        for key, cells in rows.items():
            self.add_row(
                *(_text(cell, column) for column, cell in zip(self._columns_shown, cells, strict=True)), key=key
            )
        self._choose(chosen)

    def _choose(self, key: str | None) -> None:
        if key in self._shown:
            self.cursor_coordinate = Coordinate(list(self._shown).index(key), 0)


def _text(cell: Cell, column: Column) -> Text:
    written, style = (cell, "") if isinstance(cell, str) else cell
    return Text(
        printable(written), style, justify="right" if column.is_right else "left", no_wrap=True, overflow="ellipsis"
    )
