"""How each configured line is: arriving, stale, silent since the start, or not to be expected now; and what to look at.

From a reader of its own over some seconds, and from what the recorder tells where there is one. Needs no privilege but
to read the rings.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Literal

from nanotape.capture.channel_causes import Surroundings, look_at
from nanotape.capture.channel_watch import RingWatch, Watched, watch
from nanotape.capture.errors import RingError
from nanotape.capture.joins import read_joins
from nanotape.capture.line_states import ALARMS, Hours, State, judge, quiet
from nanotape.capture.looks import Clocks
from nanotape.capture.recorded_feeds import RecordedFeeds, RecordedLine, read_feeds
from nanotape.capture.ring import RING_SUFFIX, Ring
from nanotape.config import ConfigError, Flow, Settings, flows, load
from nanotape.config.framing import NO_FRAMING

__all__ = ["ALARMS", "Channels", "Hours", "LineState", "State", "channels", "judge", "quiet"]


@dataclass(frozen=True, slots=True)
class LineState:
    """One configured line."""

    ring: str
    feed: str
    channel: str
    line: str
    interface: str
    group: str
    port: int
    vlan: int | str | None
    source: str | None
    framing: str
    state: State
    """`arriving`; `stale`: none for `stale_after` within its session; `silent`: none since the start; `quiet`: none,
    and `stale_after` is `0s`: no alarm; `closed`: none, and outside its session; `not captured`: the ring knows no such
    line, or there is no ring."""
    packets: int | None
    """That came meanwhile; None: there is no ring to look at."""
    rate_pps: float | None
    last_packet_ns: int | None
    """UTC; None: none is known of."""
    session: str | None
    key: str | None
    last_seq: int | None
    counted: Literal["recorder", "meanwhile"] | None
    """What the five counts are of: the recorder's, or the seconds of looking; None: no framing is decoded."""
    gaps: int | None
    missing: int | None
    """Messages that never came."""
    duplicates: int | None
    reordered: int | None
    bad: int | None
    """Packets that do not fit the framing."""
    look_at: tuple[str, ...]
    """Where nothing comes: what is wrong or to be looked at, the most telling first."""


@dataclass(frozen=True, slots=True)
class Channels:
    """All lines of some rings."""

    seconds: float
    """How long was looked."""
    lines: tuple[LineState, ...]
    notes: tuple[str, ...]
    """What limits the answer: no recorder, a reader that was too slow."""

    @property
    def is_fine(self) -> bool:
        """Whether all that should arrive does."""
        return bool(self.lines) and not any(each.state in ALARMS for each in self.lines)


@dataclass(frozen=True, slots=True)
class _Place:
    """One ring and its settings; `watched` None: it cannot be read, for a reason."""

    name: str
    settings: Settings
    watched: Watched | None
    recorded: RecordedFeeds | None
    refusal: str


def channels(settings: Settings, ring: str | None, seconds: float, clocks: Clocks | None = None) -> Channels:
    """Looks at all lines of the configured rings; where none is configured, of those of the host.

    Args:
        settings: The configuration; a running service's own counts for its ring.
        ring: Name of the only ring to look at; None: all.
        seconds: How long.
        clocks: None: the host's.
    """
    clocks = clocks or Clocks()
    places = _watched(_rings(settings, ring), settings, seconds, clocks)
    now_ns = clocks.utc_ns()
    lines = [state for place in places for state in _lines(place, seconds, now_ns)]
    return Channels(seconds, tuple(lines), tuple(note for place in places for note in _notes(place, now_ns)))


def _rings(settings: Settings, ring: str | None) -> dict[str, Settings]:
    if settings.channel:
        names = settings.rings if ring is None else (ring,)
        return {name: _own(settings, name) or settings.of_ring(name) for name in names}
    shm = Path(settings.paths.shm_dir)
    found = sorted(path.name.removesuffix(RING_SUFFIX) for path in shm.glob(f"*{RING_SUFFIX}"))
    names = tuple(found) if ring is None else (ring,)
    return {name: _own(settings, name) or settings for name in names}


def _own(settings: Settings, ring: str) -> Settings | None:
    """What the ring's service runs with."""
    with suppress(ConfigError, OSError):
        return load(Path(settings.paths.run_dir) / ring / "nanotape.toml").of_ring(ring)
    return None


def _watched(rings: Mapping[str, Settings], settings: Settings, seconds: float, clocks: Clocks) -> list[_Place]:
    shm, run = Path(settings.paths.shm_dir), Path(settings.paths.run_dir)
    opened: dict[str, RingWatch] = {}
    refusals: dict[str, str] = {}
    with ExitStack() as stack:
        for name, own in rings.items():
            try:
                made = RingWatch(Ring.open(name, shm), own.framings, own.feeds.reorder_window)
            except RingError as error:
                refusals[name] = str(error)
            else:
                stack.callback(made.close)
                opened[name] = made
        seen = watch(opened.values(), seconds, lambda: clocks.monotonic_ns() / 1e9, clocks.sleep)
    found = dict(zip(opened, seen, strict=True))
    return [
        _Place(name, own, found.get(name), read_feeds(run, name, own.recorder.name), refusals.get(name, ""))
        for name, own in rings.items()
    ]


def _notes(place: _Place, now_ns: int) -> list[str]:
    if place.watched is None:
        return [place.refusal]
    said = []
    if place.recorded is None:
        said.append(f"{place.name}: no recorder tells of its lines: counts are of the seconds looked at")
    elif not place.recorded.is_fresh(now_ns):
        ago = (now_ns - place.recorded.at_ns) / 1e9
        said.append(f"{place.name}: its recorder told of its lines last {ago:,.0f} s ago")
    said += place.recorded.switches if place.recorded else ()
    if place.watched.ended is not None:
        said.append(f"{place.name}: was not looked at to the end: {place.watched.ended}")
    if place.watched.lost:
        said.append(f"{place.name}: {place.watched.lost:,} packets were missed by this look: rates are too low")
    return said


def _lines(place: _Place, seconds: float, now_ns: int) -> list[LineState]:
    around = _surroundings(place)
    by_name = {each.name: quiet(place.settings, each) for each in place.settings.channel}
    return [_line(flow, place, around, seconds, now_ns, by_name[flow.channel]) for flow in flows(place.settings)]


def _surroundings(place: _Place) -> Surroundings:
    return Surroundings(place.settings, place.watched or Watched(), read_joins())


def _line(
    flow: Flow,
    place: _Place,
    around: Surroundings,
    seconds: float,
    now_ns: int,
    expected: tuple[int | None, Hours | None],
) -> LineState:
    watched = place.watched or Watched()
    known = watched.flows.get((flow.channel, flow.line))
    packets = None if known is None else watched.packets.get(known.id, 0)
    recorded = place.recorded.lines.get((flow.channel, flow.line)) if place.recorded else None
    last_ns = watched.last_ts_ns.get(known.id) if known else None
    if last_ns is None and recorded is not None:
        last_ns = recorded.last_ts_ns
    state = judge(packets, last_ns, now_ns, *expected)
    counts, counted = _counts(flow, watched, known.id if known else 0, recorded)
    return LineState(
        ring=place.name,
        feed=flow.feed,
        channel=flow.channel,
        line=flow.line,
        interface=flow.interface,
        group=flow.group,
        port=flow.port,
        vlan=flow.vlan,
        source=flow.source,
        framing=flow.framing,
        state=state,
        packets=packets,
        rate_pps=None if packets is None else packets / (watched.seconds or seconds),
        last_packet_ns=last_ns,
        session=counts.session,
        key=counts.key,
        last_seq=counts.last_seq,
        counted=counted,
        gaps=counts.gaps,
        missing=counts.missing,
        duplicates=counts.duplicates,
        reordered=counts.reordered,
        bad=counts.bad,
        look_at=_advice(flow, state, place, around),
    )


_COUNTED = tuple(each.name for each in fields(RecordedLine) if each.default is MISSING)
_NOTHING = RecordedLine(*[None] * len(_COUNTED))


def _counts(
    flow: Flow, watched: Watched, flow_id: int, recorded: RecordedLine | None
) -> tuple[RecordedLine, Literal["recorder", "meanwhile"] | None]:
    """What is known of the sequences: the recorder knows all of them, we the last seconds."""
    if flow.framing == NO_FRAMING:
        return _NOTHING, None
    if recorded is not None:
        return recorded, "recorder"
    own = watched.lines.get(flow_id)
    if own is None:
        return _NOTHING, None
    return RecordedLine(**{name: getattr(own, name) for name in _COUNTED}), "meanwhile"


def _advice(flow: Flow, state: State, place: _Place, around: Surroundings) -> tuple[str, ...]:
    if state == "not captured":
        return (place.refusal or f"the capture of ring {place.name} does not know this line: start it anew",)
    return tuple(look_at(flow, around)) if state in ALARMS else ()
