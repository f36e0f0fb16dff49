"""A table draws only what has changed, keeps its cursor on its row, and lets one column take what a screen spares."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from nanotape.tui.facts_table import Column, FactsTable

COLUMNS = (Column("NAME", 6, is_right=False, grows=True), Column("COUNT", 5))


class Shown(App[None]):
    """The table alone."""

    def __init__(self) -> None:
        super().__init__()
        self.table = FactsTable(COLUMNS)

    def compose(self) -> ComposeResult:
        yield self.table


def played(play: Callable[[Shown, Pilot[None]], Awaitable[None]], size: tuple[int, int] = (40, 10)) -> None:
    async def run() -> None:
        app = Shown()
        async with app.run_test(size=size) as pilot:
            await play(app, pilot)

    asyncio.run(run())


def names(table: FactsTable) -> list[str]:
    return [str(table.get_cell_at((row, 0))) for row in range(table.row_count)]  # type: ignore[arg-type]


def test_the_cursor_stays_on_its_row_while_others_come_and_go() -> None:
    async def play(app: Shown, pilot: Pilot[None]) -> None:
        app.table.show_rows({"a": ["a", "1"], "b": ["b", "2"], "c": ["c", "3"]})
        app.table.focus()
        await pilot.press("down", "down")
        assert app.table.chosen == "c"
        app.table.show_rows({"z": ["z", "0"], "a": ["a", "1"], "c": ["c", "3"]})
        await pilot.pause()
        assert (names(app.table), app.table.chosen) == (["z", "a", "c"], "c")
        app.table.show_rows({"a": ["a", "1"]})
        await pilot.pause()
        assert app.table.chosen == "a"
        app.table.show_rows({})
        await pilot.pause()
        assert app.table.chosen is None

    played(play)


def test_only_cells_that_changed_are_drawn_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[Any, ...]] = []
    update = FactsTable.update_cell

    def spy(self: FactsTable, *cell: Any, **options: Any) -> None:
        drawn.append(cell[:2])
        update(self, *cell, **options)

    monkeypatch.setattr(FactsTable, "update_cell", spy)

    async def play(app: Shown, pilot: Pilot[None]) -> None:
        for count in ("1", "1", "2"):
            app.table.show_rows({"a": ["a", count], "b": ["b", "7"]})
            await pilot.pause()
        app.table.show_rows({"a": ["a", ("2", "red")], "b": ["b", "7"]})
        assert str(app.table.get_cell("a", "COUNT")) == "2"

    played(play)
    assert drawn == [("a", "COUNT"), ("a", "COUNT")], "a figure, and a style"


def test_a_wide_screen_gives_what_it_spares_to_the_column_that_grows() -> None:
    async def play(app: Shown, pilot: Pilot[None]) -> None:
        await pilot.pause()
        app.table.show_rows({"a": ["a", "1"], "b": ["b", "2"]})
        app.table.focus()
        await pilot.press("down")
        for width in (60, 20, 100, 8):
            await pilot.resize_terminal(width, 10)
            await pilot.pause()
            widths = [column.width for column in app.table.ordered_columns]
            assert widths == [6 + max(0, width - 15), 5]
            assert (names(app.table), app.table.chosen) == (["a", "b"], "b")

    played(play)
