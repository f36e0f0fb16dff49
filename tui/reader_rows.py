"""What there is to say of a ring's readers and of what its recorder writes. Pure; None is unknown, never 0."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from nanotape.capture.health import Look, ReaderHealth, RingHealth, Space, seconds_until_full
from nanotape.capture.recorded_segments import RecordedSegments

SILENT_AFTER_S = 3.0
"""A recorder tells each second; with a second for a stolen core."""
SILENT = "silent"
_LAG_TOLD = 0.1
"""Of the ring: less is but the beat of its reading, and says nothing of when it is lapped."""


@dataclass(frozen=True, slots=True)
class ReaderRow:
    """One reader."""

    ring: str
    name: str
    pid: int
    state: str
    """`reads`, `records`, `silent`, `died`, or `earlier`: it reads a ring that was replaced."""
    lag_bytes: int | None
    lag_share: float | None
    """Of the ring: at 1 it is being lapped."""
    lag_s: float | None
    """Seconds of traffic, at the present rate, that it is behind; None: unknown, or nothing comes in."""
    holds_s: float | None
    """Seconds until it is lapped, should it stop now; None: unknown, or nothing comes in."""
    lapped_in_s: float | None
    """Seconds until it is lapped if all goes on as it does; None: unknown, or it does not fall behind, or hardly."""
    lost: int
    """Since it began."""
    lost_now: int
    """Between the last looks."""
    recorded: int | None
    """Records on disk; None: it does not record."""
    write_failures: int | None

    @property
    def is_bad(self) -> bool:
        """Whether it loses or is about to, or does nothing any more."""
        return self.state in ("died", "silent") or bool(self.lost_now) or (self.lag_share or 0) > 0.5


@dataclass(frozen=True, slots=True)
class RecordingRow:
    """What one recorder writes."""

    ring: str
    recorder: str
    is_alive: bool
    recorded: int | None
    """Packets on disk, since it began."""
    write_failures: int | None
    """Packets that the disk refused."""
    write_failures_now: int
    """Between the last looks."""
    told_s: float | None
    """Seconds since it told of its segments; None: it never has, as one of an older version."""
    open_name: str | None
    """Segment that grows; None: none, or not told."""
    open_bytes: int | None
    open_rows: int | None
    open_s: float | None
    """Its age in seconds."""
    ended: int | None
    """Segments that have ended since the recorder began."""
    rotated_s: float | None
    """Seconds since the last of them."""
    written_s: float | None
    """Bytes a second onto the disk."""
    written_bytes: int | None
    """Since the recorder began."""
    ratio: float | None
    """Bytes of frames that a written byte holds."""
    space: Space | None
    """Of the archive's file system; None: it cannot be asked."""
    full_in_s: float | None
    """Seconds until it is full, at this rate; None: unknown, or never."""


def reader_rows(health: RingHealth, earlier: Look | None, later: Look) -> tuple[ReaderRow, ...]:
    """The readers of a ring, recorders first.

    Args:
        health: What the two looks say.
        earlier: None: there was none.
        later: The newest look.
    """
    published_s = None
    if (
        earlier is not None
        and earlier.facts.ring_id == later.facts.ring_id
        and later.monotonic_ns > earlier.monotonic_ns
    ):
        grown = later.facts.published_bytes - earlier.facts.published_bytes
        published_s = grown * 1e9 / (later.monotonic_ns - earlier.monotonic_ns)
    rows = [_reader(health.name, reader, published_s, writes=health.capturing) for reader in health.readers]
    return tuple(sorted(rows, key=lambda row: (row.recorded is None, row.name)))


def _reader(ring: str, reader: ReaderHealth, published_s: float | None, *, writes: bool) -> ReaderRow:
    lag_s = None
    if reader.lag_bytes is not None and published_s is not None and published_s > 0:
        lag_s = reader.lag_bytes / published_s
    elif reader.lag_bytes == 0:
        lag_s = 0.0
    state = _state(reader, writes=writes)
    is_told = (reader.lag_share or 0.0) > _LAG_TOLD or state == SILENT
    return ReaderRow(
        ring=ring,
        name=reader.name,
        pid=reader.pid,
        state=state,
        lag_bytes=reader.lag_bytes,
        lag_share=reader.lag_share,
        lag_s=lag_s,
        holds_s=reader.holds_s,
        lapped_in_s=reader.lapped_in_s if is_told else None,
        lost=reader.lost,
        lost_now=reader.lost_now,
        recorded=reader.recorded,
        write_failures=reader.write_failures,
    )


def _state(reader: ReaderHealth, *, writes: bool) -> str:
    if not reader.current:
        return "earlier" if reader.alive else "died"
    if not reader.alive:
        return "died"
    if writes and reader.records and (reader.silent_s or 0.0) > SILENT_AFTER_S:
        return SILENT
    return "records" if reader.records else "reads"


def recording_row(
    health: RingHealth, reader: ReaderHealth, told: RecordedSegments | None, written_s: float | None, now_ns: int
) -> RecordingRow:
    """What a recorder writes.

    Args:
        health: Of its ring.
        reader: The recorder.
        told: By it, of its segments; None: nothing.
        written_s: Bytes a second; None: not known yet.
        now_ns: UTC.
    """
    is_open = told is not None and told.open_name is not None and told.is_fresh(now_ns)
    return RecordingRow(
        ring=health.name,
        recorder=reader.name,
        is_alive=reader.alive,
        recorded=reader.recorded,
        write_failures=reader.write_failures,
        write_failures_now=reader.write_failures_now,
        told_s=_since(told.at_ns if told else None, now_ns),
        open_name=told.open_name if told and is_open else None,
        open_bytes=told.open_bytes if told and is_open else None,
        open_rows=told.open_rows if told and is_open else None,
        open_s=_since(told.opened_ns, now_ns) if told and is_open else None,
        ended=told.ended if told else None,
        rotated_s=_since(told.ended_ns if told else None, now_ns),
        written_s=written_s,
        written_bytes=told.written_bytes if told else None,
        ratio=told.ratio if told else None,
        space=health.space,
        full_in_s=health.full_in_s,
    )


def on_one_disk(rows: Iterable[RecordingRow]) -> list[RecordingRow]:
    """The same; recorders that write to one file system fill it together, each at its rate of now."""
    each = list(rows)
    written: dict[str, float] = {}
    for row in each:
        if row.space is not None and row.is_alive:
            written[row.space.path] = written.get(row.space.path, 0.0) + (row.written_s or 0.0)
    return [
        replace(row, full_in_s=seconds_until_full(row.space, [written.get(row.space.path)])) if row.space else row
        for row in each
    ]


def _since(then_ns: int | None, now_ns: int) -> float | None:
    return None if then_ns is None else max(0, now_ns - then_ns) / 1e9


class WriteRate:
    """Bytes a second that a recorder puts on disk, over the last few seconds, from what it counts each second."""

    def __init__(self, window_ns: int = 5 * 10**9) -> None:
        """Knows nothing yet.

        Args:
            window_ns: How far back it looks.
        """
        self._window_ns = window_ns
        self._told: list[tuple[int, int]] = []

    def add(self, at_ns: int, written_bytes: int | None) -> float | None:
        """Takes in what was told, each as often as one likes; the rate, None: not known yet.

        Args:
            at_ns: UTC: when it was told.
            written_bytes: Since the recorder began; None: not told.
        """
        if written_bytes is None:
            return None
        if self._told and (written_bytes < self._told[-1][1] or at_ns < self._told[-1][0]):
            self._told.clear()  # another recorder
        if not self._told or at_ns > self._told[-1][0]:
            self._told.append((at_ns, written_bytes))
        while len(self._told) > 2 and at_ns - self._told[1][0] >= self._window_ns:
            self._told.pop(0)
        (first_ns, first_bytes), (last_ns, last_bytes) = self._told[0], self._told[-1]
        return (last_bytes - first_bytes) * 1e9 / (last_ns - first_ns) if last_ns > first_ns else None
