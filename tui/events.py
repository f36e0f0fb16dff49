"""The events' pane: what befell rings, feeds, links, clocks and disks in a day, newest first or following; filters."""

from dataclasses import replace
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input, Static

from nanotape.tui import words
from nanotape.tui.event_rows import Event, EventFilter, event_key, event_severity, event_words
from nanotape.tui.event_source import SHARED, UNSEEN_S, EventSource
from nanotape.tui.pane import Pane
from nanotape.tui.picture import Picture
from nanotape.tui.rows_view import RowsColumn, RowsView

_COLUMNS: tuple[RowsColumn[Event], ...] = (
    RowsColumn("WHEN (UTC)", 14, lambda event: words.date_time(event["ts_start"])[5:], False, 1),
    RowsColumn("SEVERITY", 8, event_severity, False, 2),
    RowsColumn("KIND", 12, lambda event: str(event["kind"]), False, 0),
    RowsColumn("WHAT", 8, event_words, False, 3, grows=True),
)


class EventsPane(Pane):
    """A table, the whole of the event that the cursor is on, and a field for the filter."""

    TITLE, KEY = "Events", "7"
    DEFAULT_CSS = """
    EventsPane #events-whole { height: auto; max-height: 4; }
    EventsPane #events-said { height: auto; max-height: 3; }
    EventsPane #events-filter { display: none; height: 1; }
    EventsPane.-filtering #events-filter { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("k", "kind", "Kind"),
        Binding("e", "severity", "Severity"),
        Binding("f", "follow", "Follow"),
        Binding("escape", "back", "All", show=False),
    ]

    def __init__(self, id: str | None = None) -> None:
        """Newest first, all kinds."""
        super().__init__(id=id)
        self._filter_by = EventFilter()
        self._follows = False
        self._source: EventSource | None = None
        self._drawn: object = None
        self._events: list[Event] = []
        self._table: RowsView[Event] = RowsView(_COLUMNS, event_key, "events-rows")
        self._whole = Static(id="events-whole", markup=False)
        self._said = Static("reading the archive", id="events-said", markup=False)
        self._field = Input(placeholder="words, or channel:NAME", id="events-filter", compact=True)

    def compose(self) -> ComposeResult:
        """The table and what belongs to it."""
        yield self._table
        yield self._whole
        yield self._said
        yield self._field

    def show(self, picture: Picture) -> None:
        """Draws what is new."""
        source = self._source = SHARED.of(picture.settings, picture.at_ns)
        self._draw(source)

    def hide(self) -> None:
        """The archive is read a little longer."""
        self.set_timer(UNSEEN_S, SHARED.stop_unseen)

    def _draw(self, source: EventSource) -> None:
        version = source.version
        if (version, self._filter_by, self._follows) == self._drawn:
            return
        self._drawn = (version, self._filter_by, self._follows)
        self._events = source.events()
        shown = [event for event in self._events if self._filter_by.fits(event)]
        was_first = self._table.cursor == 0
        self._table.show_rows(shown if self._follows else shown[::-1], at_end=self._follows)
        if was_first and not self._follows:
            self._table.move_to(0)
        self._draw_whole()
        order = "the newest last, following" if self._follows else "the newest first"
        said = f"{words.count(len(shown))} of {words.count(len(self._events))} events of 24 hours, {order}"
        said += "" if self._filter_by.is_open else f"; {self._filter_by.words}"
        self._said.update(words.printable(source.trouble or said))

    def _draw_whole(self) -> None:
        event = self._table.current
        self._whole.update(
            "" if event is None else f"{words.clock_time(event['ts_start'])}  {words.printable(event_words(event))}"
        )

    def _filter_with(self, wanted: EventFilter) -> None:
        self._filter_by = wanted
        if self._source is not None:
            self._draw(self._source)

    def take_focus(self) -> None:
        """To the table."""
        self._table.focus()

    def on_rows_view_moved(self, event: RowsView.Moved) -> None:
        """Shows the whole of another event."""
        event.stop()
        self._draw_whole()

    def action_filter(self) -> None:
        """Opens the field."""
        self.add_class("-filtering")
        self._field.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filters while it is typed."""
        event.stop()
        self._filter_with(replace(self._filter_by, typed=event.value.strip()))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Goes back to the table; the filter stays."""
        event.stop()
        self._table.focus()

    def action_kind(self) -> None:
        """Only the next kind of those that there are."""
        self._filter_with(self._filter_by.next_kind(self._events))

    def action_severity(self) -> None:
        """Leaves out the next lower severity too."""
        self._filter_with(self._filter_by.next_severity())

    def action_follow(self) -> None:
        """The newest last and in view, or first."""
        self._follows = not self._follows
        self._filter_with(self._filter_by)

    def action_back(self) -> None:
        """All events again."""
        self._field.value = ""
        self.remove_class("-filtering")
        self._filter_with(EventFilter())
        self._table.focus()

    def on_unmount(self) -> None:
        """Ends the process that reads the archive."""
        SHARED.stop()
