"""A plain twin of the native follower of sequences, written from its rules and never from its code.

One call a packet, in the order of the ring. It keeps no limit on streams and gives none up.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

HOLES_MAX = 63
TOLD_MAX = 512
RESTART_FROM = 1000
"""A sequence of 0 or 1 begins anew, where this many and more were expected above it."""
FAR_BACK = 1000
RUN_OF_RESTART = 64
"""Packets in a row that are FAR_BACK and fill nothing: the sequence has begun anew."""


@dataclass(frozen=True, slots=True)
class Header:
    """What the decoder read in a packet."""

    status: str
    session: str | None
    key: str | None
    seq: int
    count: int


@dataclass(frozen=True, slots=True)
class Told:
    """A finding."""

    kind: str
    flow: int
    session: str | None
    key: str | None
    session_before: str | None
    seq_first: int
    seq_last: int
    messages: int
    ts_ns: int
    ring_seq: int


@dataclass(frozen=True, slots=True)
class Hole:
    """Sequences first to last are missing; stamp and place are of the packet that showed it."""

    first: int
    last: int
    ts_ns: int
    ring_seq: int

    def without(self, first: int, last: int) -> list[Hole]:
        """What remains once first to last have come."""
        if last < first or last < self.first or first > self.last:
            return [self]
        left = [replace(self, last=first - 1)] if first > self.first else []
        return left + ([replace(self, first=last + 1)] if last < self.last else [])

    @property
    def messages(self) -> int:
        return self.last - self.first + 1


@dataclass(slots=True)
class Stream:
    """A session and key of a line."""

    flow: int
    session: str | None
    key: str | None
    first: int
    expected: int
    newest: int = 0
    """Ring sequence of its newest packet."""
    holes: list[Hole] = field(default_factory=list)
    told: list[Hole] = field(default_factory=list)
    has_ended: bool = False
    run: int = 0
    """Packets that came one after the other and filled nothing."""
    run_end: int = 0


class TrackingModel:
    """All lines of a ring."""

    def __init__(
        self, *, window_ns: int, reset_distance: int, idle: int | None = None, loops: frozenset[int] = frozenset()
    ) -> None:
        """`idle`: the sequence of heartbeats that say nothing; `loops`: flows of snapshots."""
        self._window_ns, self._reset_distance = window_ns, reset_distance
        self._idle, self._loops = idle, loops
        self._streams: dict[tuple[int, str | None, str | None], Stream] = {}
        self._told: list[Told] = []

    def packet(self, flow: int, header: Header, ts_ns: int, ring_seq: int) -> list[Told]:
        """What is found once this packet came."""
        self._told = []
        if header.status not in ("bad", "unsequenced") and not self._says_nothing(header):
            self._follow(flow, header, Hole(header.seq, header.seq + header.count - 1, ts_ns, ring_seq))
        return self._told

    def expire(self, now_ns: int) -> list[Told]:
        """What has been missing for longer than the window."""
        self._told = []
        for stream in self._streams.values():
            self._expire(stream, now_ns)
        return self._told

    def _says_nothing(self, header: Header) -> bool:
        return header.status in ("heartbeat", "end") and header.seq == self._idle

    def _expire(self, stream: Stream, now_ns: int) -> None:
        while stream.holes and stream.holes[0].ts_ns < now_ns - self._window_ns:
            self._tell_gap(stream)

    def _follow(self, flow: int, header: Header, at: Hole) -> None:
        stream = self._streams.get((flow, header.session, header.key))
        if stream is None:
            if header.status != "retransmit":
                self._begin(flow, header, at)
            return
        self._expire(stream, at.ts_ns)
        if header.status == "retransmit":
            self._fill(stream, at)
        elif header.status == "reset":
            self._restart(stream, at, is_told=True)
        elif header.status in ("heartbeat", "end"):
            self._heartbeat(stream, at)
        else:
            self._data(stream, at, is_snapshot=header.status == "snapshot")
        stream.newest = at.ring_seq
        self._end(stream, header.status, at)

    def _begin(self, flow: int, header: Header, at: Hole) -> None:
        before = [each for each in self._streams.values() if (each.flow, each.key) == (flow, header.key)]
        stream = Stream(flow, header.session, header.key, at.first, at.last + 1, at.ring_seq)
        self._streams[flow, header.session, header.key] = stream
        if before:
            session_before = max(before, key=lambda each: each.newest).session
            self._tell("session", stream, replace(at, last=at.first), session_before=session_before)
        if header.status == "reset":  # its flag says so, though nobody knows what was before
            self._tell("reset", stream, replace(at, last=at.first))
        self._end(stream, header.status, at)

    def _end(self, stream: Stream, status: str, at: Hole) -> None:
        if status == "end":
            if not stream.has_ended:
                self._tell("end", stream, replace(at, last=at.first))
            stream.has_ended = True
        elif status != "heartbeat":
            stream.has_ended = False

    def _heartbeat(self, stream: Stream, at: Hole) -> None:
        if self._is_restart(stream, at):
            self._restart(stream, at, is_told=True)
        elif at.first > stream.expected:
            self._advance(stream, at)

    def _data(self, stream: Stream, at: Hole, *, is_snapshot: bool) -> None:
        if at.first >= stream.expected:
            stream.run = 0
            self._advance(stream, at)
        elif is_snapshot and self._is_new_loop(stream, at):
            self._begin_loop(stream, at)
        elif self._fill(stream, at):
            stream.run = 0
            stream.expected = max(stream.expected, at.last + 1)
        else:
            self._nothing_filled(stream, at, is_snapshot=is_snapshot)

    def _is_new_loop(self, stream: Stream, at: Hole) -> bool:
        """At its first sequence; of a loop that lost that one, nearer to it than to the end of what was there."""
        if at.first <= stream.first:
            return True
        is_near = at.first - stream.first < stream.expected - at.first
        return (
            stream.flow in self._loops
            and at.messages > 0
            and is_near
            and all(each.without(at.first, at.last) == [each] for each in stream.holes)
        )

    def _begin_loop(self, stream: Stream, at: Hole) -> None:
        first = min(stream.first, at.first)
        self._restart(stream, at, is_told=False)
        if at.first > first:
            stream.first = first
            stream.holes.append(replace(at, first=first, last=at.first - 1))

    def _nothing_filled(self, stream: Stream, at: Hole, *, is_snapshot: bool) -> None:
        if self._is_restart(stream, at):
            self._restart(stream, at, is_told=not is_snapshot)
        elif at.last >= stream.expected:
            stream.run, stream.expected = 0, at.last + 1
        elif at.last < stream.first:
            stream.first = at.first
        elif at.messages:
            stream.run = stream.run + 1 if stream.run and at.first == stream.run_end else 1
            stream.run_end = at.last + 1
            if stream.run >= RUN_OF_RESTART and stream.expected - at.first > FAR_BACK:
                self._restart(stream, at, is_told=not is_snapshot)
            else:
                self._tell("duplicate", stream, at, at.messages)

    def _is_restart(self, stream: Stream, at: Hole) -> bool:
        back = stream.expected - at.first
        return back > self._reset_distance or (at.first <= 1 and back > RESTART_FROM)

    def _restart(self, stream: Stream, at: Hole, *, is_told: bool) -> None:
        while stream.holes:
            self._tell_gap(stream)
        if is_told:
            self._tell("reset", stream, replace(at, first=stream.expected, last=at.first))
        stream.told, stream.run = [], 0
        stream.first, stream.expected = at.first, at.last + 1

    def _advance(self, stream: Stream, at: Hole) -> None:
        if at.first > stream.expected:
            self._make_room(stream)
            stream.holes.append(replace(at, first=stream.expected, last=at.first - 1))
        stream.expected = at.last + 1

    def _fill(self, stream: Stream, at: Hole) -> bool:
        """Whether anything of it was missing."""
        self._make_room(stream)
        known = replace(at, last=min(at.last, stream.expected - 1))
        found = False
        for kind, name in (("reorder", "holes"), ("late", "told")):
            missing: list[Hole] = getattr(stream, name)
            left = [part for hole in missing for part in hole.without(at.first, at.last)]
            filled = sum(each.messages for each in missing) - sum(each.messages for each in left)
            setattr(stream, name, left)
            if filled:
                self._tell(kind, stream, known, filled)
                found = True
        return found

    def _make_room(self, stream: Stream) -> None:
        while len(stream.holes) > HOLES_MAX - 1:
            self._tell_gap(stream)

    def _tell_gap(self, stream: Stream) -> None:
        hole = stream.holes.pop(0)
        stream.told = [*stream.told, hole][-TOLD_MAX:]
        self._tell("gap", stream, hole, hole.messages)

    def _tell(
        self, kind: str, stream: Stream, at: Hole, messages: int = 0, *, session_before: str | None = None
    ) -> None:
        self._told.append(
            Told(
                kind,
                stream.flow,
                stream.session,
                stream.key,
                session_before,
                at.first,
                at.last,
                messages,
                at.ts_ns,
                at.ring_seq,
            )
        )
