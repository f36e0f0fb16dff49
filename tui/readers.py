"""The screen of recorder and readers: who is how far behind, and what the recorder puts on which disk."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text
from textual.app import ComposeResult
from textual.widgets import Static

from nanotape.tui.facts_table import Cell, Column, FactsTable
from nanotape.tui.lines import Lines
from nanotape.tui.named_lines import wrapped
from nanotape.tui.pane import Pane
from nanotape.tui.picture import Picture, RingPicture
from nanotape.tui.reader_rows import ReaderRow, RecordingRow, WriteRate, on_one_disk, reader_rows, recording_row
from nanotape.tui.readers_watched import ReadersWatched
from nanotape.tui.recording_lines import recording_page
from nanotape.tui.style import ERROR, OK, QUIET, of_loss, of_share
from nanotape.tui.words import brief, share, short, size

_COLUMNS = (
    Column("READER", 15, is_right=False, grows=True),
    Column("STATE", 7, is_right=False),
    Column("LAG", 8),
    Column("SHARE", 6),
    Column("BEHIND", 7),
    Column("HOLDS", 7),
    Column("LAPPED", 7),
    Column("LOST", 6),
)
_STATE_STYLES = {"records": OK, "reads": OK, "silent": ERROR, "died": ERROR, "earlier": QUIET}
_LAG_WARNING, _LAG_ERROR = 0.25, 0.5
_NOBODY = "Nobody reads: what is captured is kept in the ring alone. nanotape run records, nanotape record too."
_NO_RING = "No ring can be read: there is nobody to read it. nanotape run captures and records."
_LEGEND = (
    "SHARE: of the ring. BEHIND: in time, at this rate. HOLDS: until it is lapped, should it stop now. "
    "LAPPED: in so long, if all goes on as it does."
)


class ReadersPane(Pane):
    """A table of readers, and a few lines on each recorder."""

    DEFAULT_CSS = """
    ReadersPane FactsTable { max-height: 50%; }
    ReadersPane #readers-legend { height: auto; max-height: 2; color: $text-muted; }
    """
    TITLE, KEY = "Recorder", "5"

    def __init__(self, id: str | None = None) -> None:
        """Has seen nothing yet."""
        super().__init__(id=id)
        self._picture: Picture | None = None
        self._rates: dict[tuple[str, str], WriteRate] = {}
        self._watched = ReadersWatched()
        self._table = FactsTable(_COLUMNS, id="readers-table")
        self._legend = Static(_LEGEND, id="readers-legend", markup=False)
        self._lines = Lines(id="readers-lines")

    def compose(self) -> ComposeResult:
        """The table, and what is recorded."""
        yield self._table
        yield self._legend
        yield self._lines

    def show(self, picture: Picture) -> None:
        """Draws both."""
        self._picture = picture
        rows = [row for ring in picture.rings for row in _readers(ring)]
        several = len(picture.rings) > 1
        self._table.show_rows({f"{row.ring}\t{row.name}": _cells(row, with_ring=several) for row in rows})
        if self._table.display != bool(rows):
            self._table.display = self._legend.display = bool(rows)
        recordings = [row for ring in picture.rings for row in self._recordings(ring, picture.at_ns)]
        there = {(row.ring, row.recorder) for row in recordings}
        self._rates = {key: rate for key, rate in self._rates.items() if key in there}
        width = max(1, self.size.width - 1)
        if rows:
            lines = [
                *recording_page(on_one_disk(recordings), width),
                *self._watched.lines(rows, recordings, picture.at_ns, width),
            ]
        else:
            lines = [Text(each) for each in wrapped(_NOBODY if picture.rings else _NO_RING, width)]
        self._lines.show(lines)

    def on_resize(self) -> None:
        """Lines are as long as the screen is wide, which is known only now."""
        if self._picture is not None:
            self.show(self._picture)

    def _recordings(self, ring: RingPicture, now_ns: int) -> Iterator[RecordingRow]:
        told = dict(ring.segments)
        facts = {(reader.name, reader.pid): reader for reader in ring.look.facts.readers}
        for reader in ring.health.recorders:
            counted = facts[reader.name, reader.pid]
            rate = self._rates.setdefault((ring.name, reader.name), WriteRate())
            written_s = rate.add(counted.updated_ns, counted.written_bytes) if reader.alive else None
            if written_s is None and ring.earlier is not None:
                written_s = reader.write_bytes_s  # by its average so far, until it has told twice
            yield recording_row(ring.health, reader, told.get(reader.name), written_s, now_ns)


def _readers(ring: RingPicture) -> tuple[ReaderRow, ...]:
    return reader_rows(ring.health, ring.earlier, ring.look)


def _cells(row: ReaderRow, *, with_ring: bool) -> list[Cell]:
    return [
        f"{row.ring}/{row.name}" if with_ring else row.name,
        (row.state, _STATE_STYLES[row.state]),
        size(row.lag_bytes),
        (share(row.lag_share), of_share(row.lag_share, _LAG_WARNING, _LAG_ERROR)),
        brief(row.lag_s),
        brief(row.holds_s),
        brief(row.lapped_in_s),
        (short(row.lost), of_loss(row.lost, row.lost_now)),
    ]
