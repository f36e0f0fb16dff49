"""Lines that bring nothing are told when that begins and when it ends, each once, and only while they trade."""

from dataclasses import dataclass

from synthetic import SyntheticRing

from nanotape.storage.events import Event
from nanotape.storage.feed_events import FeedEvents
from nanotape.storage.feed_options import FeedOptions, Quiet
from nanotape.storage.feed_presence import FeedPresence

SECOND_NS = 10**9
T0 = 1_792_000_000 * SECOND_NS


@dataclass
class Line:
    flow_id: int
    channel: str
    last_ts_ns: int | None


@dataclass
class Hours:
    opened: bool = True

    def is_open(self, _: int) -> bool:
        return self.opened


class Watch:
    """One line of a channel, looked at second by second."""

    def __init__(self, quiet: Quiet | None = None, hours: Hours | None = None) -> None:
        self.line = Line(1, "itch-1", None)
        options = FeedOptions(quiet={"itch-1": quiet or Quiet(30 * SECOND_NS, hours)})
        events = FeedEvents(SyntheticRing(), {flow.id: flow for flow in SyntheticRing().flows()})
        self.presence = FeedPresence(options, events, T0)

    def packet(self, second: float) -> None:
        self.line.last_ts_ns = T0 + int(second * SECOND_NS)

    def look(self, second: float) -> list[tuple[str, float, float | None, str]]:
        return [told(event) for event in self.presence.look([self.line], T0 + int(second * SECOND_NS))]


def told(event: Event) -> tuple[str, float, float | None, str]:
    end = None if event.ts_end_ns is None else (event.ts_end_ns - T0) / SECOND_NS
    assert (event.channel, event.line) == ("itch-1", "A")
    return event.kind, (event.ts_start_ns - T0) / SECOND_NS, end, event.severity


def test_a_line_that_never_brought_anything_is_silent_since_the_start() -> None:
    watch = Watch()
    assert watch.look(29) == []
    assert watch.look(30) == [("silent", 0, None, "warning")]
    assert watch.look(60) == []
    watch.packet(61)
    assert watch.look(62) == [("silent", 0, 61, "info")]


def test_a_line_that_stops_is_stale_since_its_last_packet() -> None:
    watch = Watch()
    watch.packet(10.5)
    assert watch.look(40) == []
    assert watch.look(41) == [("stale", 10.5, None, "warning")]
    assert watch.look(42) == []
    watch.packet(50)
    assert watch.look(50.2) == [("stale", 10.5, 50, "info")]
    assert watch.look(79) == []
    assert [kind for kind, *_ in watch.look(80)] == ["stale"]


def test_silence_out_of_hours_is_none_and_counts_from_the_opening() -> None:
    hours = Hours(opened=False)
    watch = Watch(hours=hours)
    watch.packet(1)
    assert watch.look(1000) == []
    hours.opened = True
    assert watch.look(1001) == []
    assert watch.look(1030.9) == []
    assert watch.look(1031) == [("stale", 1001, None, "warning")]
    hours.opened = False
    assert watch.look(1100) == [("stale", 1001, 1100, "info")]


def test_a_channel_without_a_limit_is_never_told() -> None:
    watch = Watch(Quiet(None))
    assert watch.look(10**6) == []
