"""The packets' pane: the newest of a ring as they come, chosen by a filter; one decoded; what is shown, to a file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.message import Message
from textual.widgets import Input, Static

from nanotape.storage.errors import StorageError
from nanotape.tui import words
from nanotape.tui.packet_parts import PacketParts
from nanotape.tui.pane import Pane
from nanotape.tui.picture import Picture, RingPicture
from nanotape.tui.rows_view import RowsColumn, RowsView

if TYPE_CHECKING:  # they load Arrow
    from nanotape.tui.packet_facts import PacketFacts
    from nanotape.tui.packet_query import PacketQuery
    from nanotape.tui.packet_tail import PacketRow, PacketTail

_COLUMNS: tuple[RowsColumn[PacketRow], ...] = (
    RowsColumn("SEQUENCE", 11, lambda row: str(row.ring_seq), rank=1),
    RowsColumn("PACKET", 18, lambda row: row.text, False, 0, grows=True),
)
_NO_RING = "No ring can be read: there are no packets to see. nanotape run captures."


class _Loaded(Message):
    """They are loaded."""

    def __init__(self, parts: PacketParts) -> None:
        super().__init__()
        self.parts = parts


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a tail is of."""

    ring: str
    typed: str


class PacketsPane(Pane):
    """A table, the packet that the cursor is on, a line that says what is shown, and fields for filter and file."""

    TITLE, KEY = "Packets", "6"
    DEFAULT_CSS = """
    PacketsPane #packets-one { height: 40%; }
    PacketsPane #packets-said { height: auto; max-height: 3; }
    PacketsPane Input { display: none; height: 1; }
    PacketsPane.-filtering #packets-filter { display: block; }
    PacketsPane.-exporting #packets-file { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("space", "hold", "Hold"),
        Binding("x", "export", "Export"),
        Binding("n", "next_ring", "Next ring", show=False),
        Binding("escape", "back", "Back", show=False),
    ]

    def __init__(self, id: str | None = None) -> None:
        """Looks at nothing yet."""
        super().__init__(id=id)
        self._wanted = _Wanted("", "")
        self._parts: PacketParts | None = None
        self._tail: PacketTail | None = None
        self._tail_of: _Wanted | None = None
        self._rows: list[PacketRow] = []
        self._drawn: object = None
        self._is_held = False
        self._refused = ""
        self._refused_for: _Wanted | None = None
        self._facts: tuple[object, PacketFacts] | None = None
        self._picture: Picture | None = None
        self._table: RowsView[PacketRow] = RowsView(_COLUMNS, _key, "packets-rows")
        self._one = Static(id="packets-one-text", markup=False)
        self._said = Static(_NO_RING, id="packets-said", markup=False)
        self._filter = Input(placeholder="channel:NAME line:A port:N, or as tcpdump", id="packets-filter", compact=True)
        self._file = Input(placeholder="file.pcapng", id="packets-file", compact=True)

    def compose(self) -> ComposeResult:
        """The table and what belongs to it."""
        yield self._table
        with VerticalScroll(id="packets-one"):
            yield self._one
        yield self._said
        yield self._filter
        yield self._file

    def on_mount(self) -> None:
        """Begins to load."""
        self._load()

    @work(thread=True)
    def _load(self) -> None:
        self.post_message(_Loaded(PacketParts()))

    @on(_Loaded)
    def _is_loaded(self, message: _Loaded) -> None:
        self._parts = message.parts
        if self._picture is not None and self.display:
            self.show(self._picture)

    def show(self, picture: Picture) -> None:
        """Draws what has come."""
        self._picture = picture
        ring = self._ring
        if ring is None and not self._wanted.ring:
            self._said.update(_NO_RING)
            return
        if ring is not None and not self._wanted.ring:
            self._wanted = _Wanted(ring.name, self._wanted.typed)
        if self._is_held:
            return
        self._follow(picture)
        tail = self._tail
        if tail is not None and (tail, tail.version) != self._drawn:
            self._drawn = (tail, tail.version)
            is_at_end = self._table.cursor >= len(self._table.rows) - 1
            self._rows = tail.rows()
            self._table.show_rows(self._rows, at_end=is_at_end)
            self._draw_one()
            self._draw_said()

    @property
    def _ring(self) -> RingPicture | None:
        if self._picture is None:
            return None
        return self._picture.ring(self._wanted.ring or None)

    def look_at(self, ring: str, channel: str, line: str) -> None:
        """Shows the packets of a line."""
        self._filter.value = f"channel:{channel} line:{line}"
        self._wanted = _Wanted(ring, self._filter.value)
        self._is_held = False
        self.add_class("-filtering")

    def _follow(self, picture: Picture) -> None:
        """Makes a tail of what is looked for, where there is none."""
        if self._tail is not None and self._tail_of == self._wanted:
            return
        query = self._query()
        if query is None or self._parts is None:
            return
        self._stop()
        self._tail_of = self._wanted
        self._tail = self._parts.tail(self._wanted.ring, Path(picture.settings.paths.shm_dir), query)

    def _query(self) -> PacketQuery | None:
        """What was typed; None: it is refused, and the words say why, or cannot be understood yet."""
        if self._parts is None:
            self._said.update("one moment")
            return None
        if self._refused and self._refused_for == self._wanted:
            return None
        self._refused_for = self._wanted
        ring = self._ring
        channels = {flow.channel for flow in ring.flows} if ring else set()
        try:
            query = self._parts.query(self._wanted.typed, channels)
        except (ValueError, StorageError) as error:
            self._refused = str(error)
            self._draw_said()
            return None
        self._refused = ""
        return query

    def _draw_one(self) -> None:
        row, ring = self._table.current, self._ring
        if row is None or ring is None or self._picture is None or self._parts is None:
            self._one.update("")
            return
        known = (self._picture.settings, len(ring.flows), ring.look.facts.created_ns)
        if self._facts is None or self._facts[0] != known:
            self._facts = (known, self._parts.facts(self._picture.settings, ring.flows))
        self._one.update(self._facts[1].text(row))

    def _draw_said(self) -> None:
        tail, said = self._tail, [f"ring {self._wanted.ring}: {self._wanted.typed or 'all packets'}"]
        if tail is not None:
            counts = tail.counts
            said.append(f"{words.count(counts.read)} read, {words.count(counts.fitting)} fit")
            if counts.left_out:
                said.append(f"{words.count(counts.left_out)} of them not shown: too many")
            if counts.skipped:
                said.append(f"{words.count(counts.skipped)} skipped: too fast")
            if counts.lost:
                said.append(f"{words.count(counts.lost)} lost by this look")
        if self._is_held:
            said.append("HELD: space goes on")
        trouble = self._refused or (tail.trouble if tail is not None else None)
        lines = ["; ".join(said), *([trouble] if trouble else [])]
        self._said.update("\n".join(map(words.printable, lines)))

    def hide(self) -> None:
        """Reads nothing unseen; what is shown stays."""
        self._stop()

    def on_unmount(self) -> None:
        """Reads no more."""
        self._stop()

    def _stop(self) -> None:
        if self._tail is not None:
            self._tail.stop()
            self._tail = self._tail_of = None

    def take_focus(self) -> None:
        """To the table."""
        self._table.focus()

    def on_rows_view_moved(self, event: RowsView.Moved) -> None:
        """Another packet is decoded."""
        event.stop()
        self._draw_one()

    def on_rows_view_chosen(self, event: RowsView.Chosen) -> None:
        """To the packet's bytes, to scroll them."""
        event.stop()
        self.query_one("#packets-one", VerticalScroll).focus()

    def action_filter(self) -> None:
        """Opens the field."""
        self.add_class("-filtering")
        self._filter.focus()

    def action_hold(self) -> None:
        """What is shown stays, and nothing is read meanwhile; or goes on."""
        self._is_held = not self._is_held
        if self._is_held and self._tail is not None:
            self._tail.stop()
            self._tail_of = None
        self._draw_said()

    def action_next_ring(self) -> None:
        """Looks at the ring after this one."""
        names = [ring.name for ring in self._picture.rings] if self._picture else []
        if names:
            at = names.index(self._wanted.ring) if self._wanted.ring in names else -1
            self._wanted = _Wanted(names[(at + 1) % len(names)], self._wanted.typed)
            self._is_held = False  # what was held is of another ring
            self._again()

    def action_export(self) -> None:
        """Holds, and asks for a file's name."""
        if not self._is_held:
            self.action_hold()
        moment = datetime.fromtimestamp((self._picture.at_ns if self._picture else 0) // 10**9, UTC)
        self._file.value = f"{self._wanted.ring}-{moment:%Y%m%dT%H%M%SZ}.pcapng"
        self.add_class("-exporting")
        self._file.focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Looks for what was typed, or writes the file."""
        event.stop()
        if event.input is self._file:
            self._export(event.value.strip())
            return
        self._wanted = _Wanted(self._wanted.ring, event.value.strip())
        self.set_class(bool(self._wanted.typed), "-filtering")
        self._is_held = False
        self._table.focus()
        self._again()

    def _again(self) -> None:
        if self._picture is not None:
            self.show(self._picture)

    def _export(self, name: str) -> None:
        ring = self._ring
        if ring is None or self._parts is None or not name:
            self.app.notify(_NO_RING if ring is None else "expected a file's name", severity="error")
            return
        try:
            written = self._parts.export(Path(name).expanduser(), self._rows, ring.look.facts)
        except StorageError as error:
            self.app.notify(str(error), severity="error")
            return
        self.app.notify(f"wrote {words.count(written)} packets to {name}")
        self.remove_class("-exporting")
        self._table.focus()

    def action_back(self) -> None:
        """Closes a field; then gives up the filter."""
        if self.has_class("-exporting"):
            self.remove_class("-exporting")
        else:
            self._filter.value = ""
            self.remove_class("-filtering")
            self._wanted = _Wanted(self._wanted.ring, "")
            self._refused = ""
        self._table.focus()


def _key(row: PacketRow) -> object:
    return row.ring_seq
