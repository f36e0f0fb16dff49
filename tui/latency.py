"""The latency screen: how late packets are put into the ring and how late the loop comes round, now and since start."""

from __future__ import annotations

from rich.text import Text
from textual.app import ComposeResult
from textual.widgets import DataTable

from nanotape.tui.delays import RingDelays, SlidingLooks, gaps_of
from nanotape.tui.facts_table import Cell, Column, FactsTable
from nanotape.tui.latency_rows import (
    GAPS,
    NOW,
    LatencyRow,
    bound_text,
    caption,
    histogram_lines,
    latency_rows,
)
from nanotape.tui.lines import Lines
from nanotape.tui.named_lines import wrapped
from nanotape.tui.pane import Pane
from nanotape.tui.picture import Picture
from nanotape.tui.style import HEAD, QUIET
from nanotape.tui.words import UNKNOWN, short

_COLUMNS = (
    Column("SOURCE", 20, is_right=False, grows=True),
    Column("WHEN", 5, is_right=False),
    Column("COUNT", 7),
    Column("P50 <=", 8),
    Column("P99 <=", 8),
    Column("P99.9 <=", 8),
    Column("MAX <=", 8),
)
_NO_RING = "No ring can be read: there is nothing to measure. nanotape run captures."


class LatencyPane(Pane):
    """A table of percentiles, and the histogram of the row that the cursor is on."""

    DEFAULT_CSS = """
    LatencyPane FactsTable { max-height: 50%; }
    LatencyPane #latency-bars { margin: 1 0 0 0; }
    """
    TITLE, KEY = "Latency", "3"

    def __init__(self, id: str | None = None) -> None:
        """Has seen nothing yet."""
        super().__init__(id=id)
        self._sliding: dict[str, SlidingLooks] = {}
        self._rings: dict[str, RingDelays] = {}
        self._ages_s: dict[str, float] = {}
        self._table = FactsTable(_COLUMNS, id="latency-table")
        self._bars = Lines(id="latency-bars")

    def compose(self) -> ComposeResult:
        """The table, a line on the chosen row, its bars."""
        yield self._table
        yield self._bars

    def show(self, picture: Picture) -> None:
        """Compares with the looks of the last seconds."""
        self._rings, self._ages_s = {}, {}
        for ring in picture.rings:
            sliding = self._sliding.setdefault(ring.name, SlidingLooks())
            if ring.earlier is not None and not sliding.has_any:
                sliding.add(ring.earlier.monotonic_ns, ring.earlier.facts)
            self._rings[ring.name] = sliding.add(ring.look.monotonic_ns, ring.look.facts)
            self._ages_s[ring.name] = (picture.at_ns - ring.look.facts.created_ns) / 1e9
        rows = latency_rows(tuple(self._rings.values()))
        several = len(self._rings) > 1
        self._table.show_rows({row.key: _cells(row, with_ring=several) for row in rows})
        self._draw_chosen()

    def hide(self) -> None:
        """What comes while nobody looks is not of now."""
        self._sliding.clear()

    def on_resize(self) -> None:
        """Bars are as long as the screen is wide, which is known only now."""
        self._draw_chosen()

    def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        """Another row is chosen."""
        event.stop()
        self._draw_chosen()

    def _draw_chosen(self) -> None:
        width = max(20, self.size.width - 1)
        chosen = self._table.chosen
        ring, name = chosen.split("\t")[:2] if chosen else ("", "")
        delays = self._rings.get(ring)
        if delays is None:
            self._bars.show([Text(each) for each in wrapped(_NO_RING, width)])
            return
        about = wrapped(caption(delays, name, self._ages_s[ring]), width)
        now, since_start = delays.gaps_now, gaps_of(delays.gaps) if delays.gaps else None
        if name != GAPS:
            source = next(each for each in delays.sources if each.name == name)
            now, since_start = source.now, source.since_start
        bars = histogram_lines(now, since_start, width) if since_start else []
        self._bars.show([*(Text(each, HEAD) for each in about), *(Text(each) for each in bars)])


def _cells(row: LatencyRow, *, with_ring: bool) -> list[Cell]:
    name = f"{row.ring} {row.name}" if with_ring else row.name
    total = None if row.spread is None else row.spread.total
    style = "" if row.when == NOW else QUIET
    figures = [UNKNOWN if total is None else short(total), *map(bound_text, row.bounds)]
    return [(name, style), (row.when, style), *((figure, style) for figure in figures)]
