"""Stamps that were not believed, and such as went backwards, told as episodes by the counters of a ring's sources.

An episode begins with the first second that has some and ends after ten without; each is told twice, with its end and
its number the second time. What is going on when a recorder dies is gone on with by its successor.
"""

import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from nanotape.storage.books import RingReadings
from nanotape.storage.events import Event
from nanotape.storage.packets import RingFacts

KIND = "bad_stamp"
STATE_NAME = "stamps.state"
"""Beside the segments of a ring."""
OFF_CLOCK, BACKWARDS = "off_clock", "backwards"
"""Stages of these events."""

_STAGES = {"bad_stamps": OFF_CLOCK, "backwards": BACKWARDS}
_WORDS = {
    OFF_CLOCK: "stamps that cannot be right (bad_stamp)",
    BACKWARDS: "stamps earlier than the one before in their flow (backwards)",
}
_QUIET_NS = 10 * 10**9
_VERSION = 1
_Key = tuple[str, str]
"""Source and stage of the counters."""


@dataclass(slots=True)
class _Episode:
    """One that goes on."""

    start_ns: int
    last_ns: int
    """When its newest ones were counted."""
    packets: int = 0


@dataclass(slots=True)
class _State:
    """What is known of a ring; a successor goes on with it."""

    counts: dict[_Key, int] = field(default_factory=dict)
    """Of each counter what it was."""
    episodes: dict[_Key, _Episode] = field(default_factory=dict)


class BadStamps:
    """Of one recorder."""

    def __init__(
        self, folder: Path, ring: RingFacts, tell: Callable[[Sequence[Event]], None], is_told: Callable[[], bool]
    ) -> None:
        """Reads what the recorder before it knew.

        Args:
            folder: ARCHIVE/segments/RING; the state is kept there.
            ring: Whose sources are counted.
            tell: Takes events.
            is_told: Writes the events that wait; whether all of them are written.
        """
        self._path, self._ring, self._tell, self._is_told = folder / STATE_NAME, ring, tell, is_told
        self._state = _load(self._path, ring.ring_id)
        self._read_ns: int | None = None
        self._is_saved = True

    def read(self, at_ns: int, readings: RingReadings) -> None:
        """Takes the counters as they are, about once a second.

        Args:
            at_ns: UTC.
            readings: Of the ring's sources; a counter that is not in it is not known.
        """
        events: list[Event] = []
        if self._read_ns is not None and at_ns < self._read_ns:
            self._set_back(at_ns)
        for each in readings.readings:
            if each.stage in _STAGES and each.value is not None:
                events += self._count((each.source, each.stage), each.value, at_ns)
        for key in [key for key, each in self._state.episodes.items() if at_ns - each.last_ns >= _QUIET_NS]:
            events.append(self._ended(key))
        self._read_ns = at_ns
        self._settle(events)

    def finish(self) -> None:
        """Ends what goes on: nobody may be there to see its end."""
        self._settle([self._ended(key) for key in list(self._state.episodes)])

    def _set_back(self, at_ns: int) -> None:
        """By a clock that is right only now: what goes on must not last until that time comes again."""
        self._read_ns = at_ns
        for each in self._state.episodes.values():
            each.last_ns = min(each.last_ns, at_ns)

    def _count(self, key: _Key, value: int, at_ns: int) -> list[Event]:
        more = value - self._state.counts.get(key, 0)
        self._state.counts[key] = value
        if more <= 0:
            return []
        self._is_saved = False
        episode = self._state.episodes.get(key)
        begins = episode is None
        if episode is None:
            # They came since the counters were last looked at.
            episode = self._state.episodes[key] = _Episode(at_ns if self._read_ns is None else self._read_ns, at_ns)
        episode.last_ns = at_ns
        episode.packets += more
        return [self._event(key, episode, None)] if begins else []

    def _ended(self, key: _Key) -> Event:
        episode = self._state.episodes.pop(key)
        return self._event(key, episode, max(episode.start_ns, episode.last_ns))

    def _event(self, key: _Key, episode: _Episode, end_ns: int | None) -> Event:
        source, counter = key
        number = "" if end_ns is None else f"{episode.packets:,} "
        return Event(
            KIND,
            episode.start_ns,
            end_ns,
            "warning",
            *(self._ring.host, self._ring.name, self._ring.ring_id),
            stage=_STAGES[counter],
            detail=f"{source}: {number}{_WORDS[_STAGES[counter]]}",
        )

    def _settle(self, events: Sequence[Event]) -> None:
        """What is told is noted only when it is written: else a successor tells it."""
        if events:
            self._is_saved = False
            self._tell(events)
        if not self._is_saved and self._is_told():
            with suppress(OSError):  # tried again
                _save(self._path, self._ring.ring_id, self._state)
                self._is_saved = True


def _save(path: Path, ring_id: str, state: _State) -> None:
    rows = [[*key, asdict(each)] for key, each in state.episodes.items()]
    content = {
        "version": _VERSION,
        "ring_id": ring_id,
        "counts": [[*key, value] for key, value in state.counts.items()],
        "episodes": rows,
    }
    draft = path.with_name(f"{path.name}.new")
    draft.write_text(json.dumps(content), encoding="utf-8")
    os.replace(draft, path)


def _load(path: Path, ring_id: str) -> _State:
    """Of a new ring, as of one that nobody looked at, all counters were nought."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["version"] == _VERSION and content["ring_id"] == ring_id:
            counts = {(str(source), str(stage)): int(value) for source, stage, value in content["counts"]}
            return _State(counts, {(str(s), str(stage)): _Episode(**each) for s, stage, each in content["episodes"]})
    return _State()
