"""The lines of all rings as rows: what a recorder tells of each, and what state that is. Nothing here draws or asks.

Facts change once a second; as long as they have not, the same rows are given again.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

from nanotape.capture.line_states import ALARMS, Hours, State, judge, quiet
from nanotape.capture.recorded_feeds import RecordedFeeds, RecordedLine
from nanotape.config import Settings
from nanotape.config.flows import flows as configured_flows
from nanotape.tui.picture import Picture, RingPicture

_NOTHING = RecordedLine(*[None] * len(fields(RecordedLine)))
_ARRIVES_NS = 2 * 10**9
"""What came so lately arrives: a recorder tells once a second what it wrote in that second."""
_TOLD_NS = 3 * 10**9
"""As long as it tells so often, ages are as of its telling; then they grow."""


@dataclass(frozen=True, slots=True)
class ChannelRow:
    """One line of one ring."""

    ring: str
    feed: str
    channel: str
    line: str
    framing: str
    interface: str
    group: str
    port: int
    vlan: int | str | None
    source: str | None
    state: State | None
    """None: no recorder tells of it just now."""
    told: RecordedLine
    """All None where nobody tells."""
    age_s: float | None
    """Since its newest packet; None: none is known of."""

    @property
    def key(self) -> tuple[str, str, str]:
        """Of which there is one at a time."""
        return self.ring, self.channel, self.line

    @property
    def unexplained(self) -> int | None:
        """Gaps of which nobody knows, or not yet, whose fault they are."""
        told = self.told
        if told.gaps is None or told.gaps_ours is None or told.gaps_theirs is None:
            return told.gaps
        return max(0, told.gaps - told.gaps_ours - told.gaps_theirs)


class ChannelRows:
    """Of all rings of a host."""

    def __init__(self) -> None:
        """Knows nothing yet."""
        self._seen: object = None
        self._rows: tuple[ChannelRow, ...] = ()
        self._expected: _Expected | None = None

    def of(self, picture: Picture) -> tuple[ChannelRow, ...]:
        """Those of a moment: in the order of the rings' tables. The same object as before where nothing is new."""
        seen = [_seen(ring, picture.at_ns) for ring in picture.rings], picture.unreadable, picture.absent
        if self._expected is None or self._expected.settings is not picture.settings:
            self._expected, self._seen = _Expected(picture.settings), None
        if seen != self._seen:
            self._seen = seen
            self._rows = tuple(_rows(picture, self._expected))
        return self._rows


def channel_rows(picture: Picture) -> tuple[ChannelRow, ...]:
    """The rows of one picture."""
    return ChannelRows().of(picture)


def notes(picture: Picture) -> list[str]:
    """What limits what the rows can say, a line each."""
    said = []
    for ring in picture.rings:
        if ring.feeds is None:
            said.append(f"{ring.name}: no recorder tells of its lines: neither rates nor gaps are known")
        elif not ring.feeds.is_fresh(picture.at_ns):
            ago = (picture.at_ns - ring.feeds.at_ns) / 1e9
            said.append(f"{ring.name}: its recorder told of its lines last {ago:,.0f} s ago")
        if ring.feeds is not None:
            said += ring.feeds.switches
    said += [f"{each.name}: {each.error}" for each in picture.unreadable]
    return said


class _Expected:
    """What the configuration says of lines, looked up once."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.quiet: dict[str, tuple[int | None, Hours | None]] = {
            each.name: quiet(settings, each) for each in settings.channel
        }
        self._flows: dict[str, list[Any]] = {}

    def flows(self, ring: str) -> list[Any]:
        """Configured ones of a ring; none of one that the configuration does not name."""
        if ring not in self._flows:
            is_known = ring in self.settings.rings and bool(self.settings.channel)
            self._flows[ring] = list(configured_flows(self.settings.of_ring(ring))) if is_known else []
        return self._flows[ring]


def _seen(ring: RingPicture, now_ns: int) -> tuple[object, ...]:
    """What the rows of a ring follow from; seconds count only where nobody tells, and ages grow."""
    feeds = ring.feeds
    at = None if feeds is None else feeds.at_ns
    is_told = feeds is not None and now_ns - feeds.at_ns <= _TOLD_NS
    facts = ring.look.facts
    return ring.name, at, facts.created_ns, len(facts.flows), None if is_told else now_ns // 10**9


def _rows(picture: Picture, expected: _Expected) -> Iterator[ChannelRow]:
    for ring in picture.rings:
        known = {(flow.channel, flow.line) for flow in ring.flows}
        for flow in ring.flows:
            yield _row(ring.name, flow, ring.feeds, picture.at_ns, expected, is_captured=True)
        for flow in expected.flows(ring.name):
            if (flow.channel, flow.line) not in known:
                yield _row(ring.name, flow, None, picture.at_ns, expected, is_captured=False)
    for name in (*picture.absent, *(each.name for each in picture.unreadable)):
        for flow in expected.flows(name):
            yield _row(name, flow, None, picture.at_ns, expected, is_captured=False)


def _row(
    ring: str, flow: Any, feeds: RecordedFeeds | None, now_ns: int, expected: _Expected, *, is_captured: bool
) -> ChannelRow:
    told = (feeds.lines.get((flow.channel, flow.line)) if feeds else None) or _NOTHING
    is_fresh = feeds is not None and feeds.is_fresh(now_ns)
    if not is_fresh:
        told = _without_rates(told)
    age_ns = None
    if told.last_ts_ns is not None and feeds is not None:
        as_of_ns = feeds.at_ns if now_ns - feeds.at_ns <= _TOLD_NS else now_ns
        age_ns = max(0, as_of_ns - told.last_ts_ns)
    state: State | None = None
    if not is_captured:
        state = "not captured"
    elif is_fresh:
        arrives = bool(told.packets_per_s) or (age_ns is not None and age_ns <= _ARRIVES_NS)
        stale_after_ns, hours = expected.quiet.get(flow.channel, (None, None))
        state = judge(int(arrives), told.last_ts_ns, now_ns, stale_after_ns, hours)
    return ChannelRow(
        ring=ring,
        feed=flow.feed,
        channel=flow.channel,
        line=flow.line,
        framing=flow.framing,
        interface=flow.interface,
        group=flow.group,
        port=flow.port,
        vlan=flow.vlan,
        source=flow.source,
        state=state,
        told=told,
        age_s=None if age_ns is None else age_ns / 1e9,
    )


def _without_rates(told: RecordedLine) -> RecordedLine:
    """Rates of a recorder that tells no more are of the past."""
    if told.packets_per_s is None and told.first_share is None:
        return told
    facts = {each.name: getattr(told, each.name) for each in fields(RecordedLine)}
    gone = dict.fromkeys(("packets_per_s", "bits_per_s", "messages_per_s", "first_share", "lead_p50_ns"))
    return RecordedLine(**{**facts, **gone})


def fitting(rows: Iterable[ChannelRow], typed: str) -> list[ChannelRow]:
    """Those in which each word that was typed stands: in its names, addresses or state, whatever the case."""
    wanted = typed.lower().split()
    if not wanted:
        return list(rows)
    return [row for row in rows if all(word in _searched(row) for word in wanted)]


def _searched(row: ChannelRow) -> str:
    parts = (row.ring, row.feed, f"{row.channel}/{row.line}", row.framing, row.interface, f"{row.group}:{row.port}")
    return " ".join((*parts, row.state or "unknown")).lower()


SortKey = Callable[[ChannelRow], Any]


def ordered(rows: Sequence[ChannelRow], key: SortKey, *, is_reverse: bool) -> list[ChannelRow]:
    """Sorted by a fact; what is unknown stands last either way, equals in the order that they had."""
    known = [row for row in rows if key(row) is not None]
    unknown = [row for row in rows if key(row) is None]
    return sorted(known, key=key, reverse=is_reverse) + unknown


def is_alarm(row: ChannelRow) -> bool:
    """Whether it should arrive and does not."""
    return row.state in ALARMS
