"""Looks at one ring again and again: its counters, its readers, what its recorder and its service tell, its disk.

What others tell once a second is read when it has changed. Opens the ring anew at each look, so that one made anew, or
removed, is seen at once.
"""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from nanotape.capture.conservation import ring_books
from nanotape.capture.counters import LoopCounters
from nanotape.capture.errors import RingError, RingNotFound
from nanotape.capture.health import Look, Space
from nanotape.capture.listing import UnreadableRing, describe
from nanotape.capture.looks import Clocks
from nanotape.capture.recorded_feeds import FeedsFile, RecordedFeeds
from nanotape.capture.recorded_segments import RecordedSegments, read_segments, segments_path
from nanotape.capture.ring import RING_SUFFIX, Ring
from nanotape.capture.service_state import STATE_NAME, read_state
from nanotape.capture.space import space_of
from nanotape.config import ConfigError, Settings, load
from nanotape.tui.line_rate import LineRates
from nanotape.tui.picture import RingPicture, SourceLoad
from nanotape.tui.ring_history import RingHistory
from nanotape.tui.told_file import ToldFile


class RingLooker:
    """One ring, by its descriptor file."""

    def __init__(self, path: Path, clocks: Clocks, line_rates: LineRates) -> None:
        """Has seen nothing yet."""
        self._path, self._clocks, self._line_rates = path, clocks, line_rates
        self._history = RingHistory()
        self._newest: Look | None = None
        self._run = Path()
        self._feeds: dict[str, FeedsFile] = {}
        self._segments: dict[str, ToldFile[RecordedSegments | None]] = {}
        self._service: ToldFile[Settings | None] | None = None

    def look(self, settings: Settings) -> RingPicture | UnreadableRing | None:
        """One look; None: the ring is gone.

        Args:
            settings: Say where its readers tell of themselves and where the archive is, unless its service does.
        """
        run = Path(settings.paths.run_dir)
        if run != self._run:
            self._run, self._feeds, self._segments, self._service = run, {}, {}, None
        try:
            newest = self._look(settings)
        except RingNotFound:
            return None
        except RingError as error:
            return UnreadableRing(self._path.name.removesuffix(RING_SUFFIX), str(self._path), str(error))
        compared = self._history.add(newest)
        health, earlier = compared.health, compared.earlier
        self._newest = newest
        lost_minute, lost_minute_s = self._history.lost_minute
        recorders = [each.name for each in health.recorders]
        loads = self._loads(newest, earlier)
        return RingPicture(
            name=newest.facts.name,
            health=health,
            look=newest,
            earlier=earlier,
            is_assumed=compared.is_assumed,
            rates=self._history.rates,
            lost_minute=lost_minute,
            lost_minute_s=lost_minute_s,
            loads=loads,
            busy=max((load.busy for load in loads if load.busy is not None), default=None),
            feeds=self._told_of_lines(newest.facts.name, recorders),
            segments=tuple(self._told_of_segments(newest.facts.name, recorders)),
            settings=self._own_settings(newest.facts.name),
        )

    def _look(self, settings: Settings) -> Look:
        with Ring.open(self._path) as ring:
            before = self._newest.facts if self._newest else None
            known = before.flows if before and before.ring_id == ring.ring_id else ()
            # Downstream first: a reader never seems to be ahead of the ring.
            facts = describe(ring, self._run, known)
            books = ring_books(ring)
            monotonic_ns, utc_ns = self._clocks.monotonic_ns(), self._clocks.utc_ns()
        service = read_state(self._run / facts.name / STATE_NAME)
        return Look(utc_ns, monotonic_ns, facts, books, self._space(facts.name, settings), service)

    def _space(self, ring: str, settings: Settings) -> Space | None:
        """Of where this ring is recorded to: by the configuration of its service, which may be another than ours."""
        own = self._own_settings(ring) or settings
        return space_of(Path(own.paths.archive), own.archive.keep_free.of)

    def _own_settings(self, ring: str) -> Settings | None:
        """What the ring's service runs with; None: it cannot be read."""
        path = self._run / ring / "nanotape.toml"

        def read() -> Settings | None:
            with suppress(ConfigError, OSError):
                return load(path)
            return None

        if self._service is None:
            self._service = ToldFile(path, read)
        return self._service.told()

    def _told_of_lines(self, ring: str, recorders: list[str]) -> RecordedFeeds | None:
        self._feeds = {name: self._feeds.get(name) or FeedsFile(self._run, ring, name) for name in recorders}
        told = [each for file in self._feeds.values() if (each := file.read()) is not None]
        return max(told, key=lambda each: each.at_ns, default=None)  # a dead recorder's file stays

    def _told_of_segments(self, ring: str, recorders: list[str]) -> list[tuple[str, RecordedSegments]]:
        self._segments = {name: self._segments.get(name) or self._segments_file(ring, name) for name in recorders}
        every = ((name, file.told()) for name, file in self._segments.items())
        return [(name, told) for name, told in every if told is not None]

    def _segments_file(self, ring: str, recorder: str) -> ToldFile[RecordedSegments | None]:
        read: Callable[[], RecordedSegments | None] = lambda: read_segments(self._run, ring, recorder)  # noqa: E731
        return ToldFile(segments_path(self._run, ring, recorder), read)

    def _loads(self, newest: Look, earlier: Look | None) -> tuple[SourceLoad, ...]:
        before = {each.slot: each.loop for each in earlier.facts.sources} if earlier else {}
        return tuple(
            SourceLoad(
                name=each.name,
                interface=each.interface,
                kind=each.kind,
                queue=each.queue,
                busy=_busy(before.get(each.slot), each.loop),
                line_rate_bps=self._line_rates.of(each.interface),
            )
            for each in newest.facts.sources
        )


def _busy(before: LoopCounters | None, now: LoopCounters) -> float | None:
    """Polls that found packets, of all between two looks; None: there were none."""
    if before is None:
        return None
    busy, idle = now.polls_busy - before.polls_busy, now.polls_idle - before.polls_idle
    return busy / (busy + idle) if busy + idle > 0 else None
