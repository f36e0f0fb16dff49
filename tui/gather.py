"""Makes pictures: looks at the rings, their readers, the clock service and the disk, and compares with before.

Needs no privilege, changes nothing, never sleeps; whatever is gone becomes a fact in the picture, never an exception.
"""

from pathlib import Path

from nanotape.capture.clock.findings import clock_findings
from nanotape.capture.clock.status import told_status
from nanotape.capture.counters import LoopCounters
from nanotape.capture.findings import Finding, headline, never_started, nothing_there, ring_findings, unreadable
from nanotape.capture.health import Look
from nanotape.capture.listing import UnreadableRing
from nanotape.capture.looks import Clocks, look
from nanotape.capture.recorded_feeds import read_feeds
from nanotape.capture.recorded_segments import read_segments
from nanotape.capture.ring import RING_SUFFIX, ring_path
from nanotape.config import Settings
from nanotape.tui.picture import Picture, RingPicture, SourceLoad
from nanotape.tui.ring_history import RingHistory
from nanotape.tui.style import WORST_FIRST


class Gatherer:
    """All rings of this host, or one."""

    def __init__(self, settings: Settings, ring: str | None = None, clocks: Clocks | None = None) -> None:
        """Has seen nothing yet.

        Args:
            settings: The configuration, for its paths and rings.
            ring: Name or path of the only ring to look at; None: all.
            clocks: None: the host's.
        """
        self._settings, self._ring = settings, ring
        self._clocks = clocks or Clocks()
        self._histories: dict[str, RingHistory] = {}

    def look(self) -> Picture:
        """One look at everything: takes milliseconds."""
        began_ns, at_ns = self._clocks.monotonic_ns(), self._clocks.utc_ns()
        found = [look(path, self._settings, self._clocks) for path in self._paths()]
        rings = tuple(self._picture(each) for each in found if isinstance(each, Look))
        refused = tuple(each for each in found if isinstance(each, UnreadableRing))
        self._histories = {each.name: self._histories[each.name] for each in rings}
        there = {*(each.name for each in rings), *(each.name for each in refused)}
        absent = self._absent(there)
        clock = told_status(self._settings, at_ns)
        findings = [finding for each in rings for finding in ring_findings(each.health)]
        findings += map(unreadable, refused)
        findings += map(never_started, absent)
        if not there:
            findings = [nothing_there(self._ring, self._settings.paths.shm_dir)]
        findings += clock_findings(clock)
        return Picture(
            at_ns=at_ns,
            monotonic_ns=began_ns,
            settings=self._settings,
            headline=headline([each.health for each in rings], findings, absent),
            rings=rings,
            unreadable=refused,
            absent=absent,
            clock=clock,
            findings=_sorted(findings),
            look_s=(self._clocks.monotonic_ns() - began_ns) / 1e9,
        )

    def _paths(self) -> list[Path]:
        shm = Path(self._settings.paths.shm_dir)
        if self._ring is not None:
            path = ring_path(self._ring, shm)
            return [path] if path.exists() else []
        return sorted(shm.glob(f"*{RING_SUFFIX}"))

    def _absent(self, there: set[str]) -> tuple[str, ...]:
        """Those of several configured rings that this host does not have; of one alone others may take the place."""
        names = self._settings.rings
        is_one = self._ring is not None or len(names) < 2 or not there
        return () if is_one else tuple(name for name in names if name not in there)

    def _picture(self, newest: Look) -> RingPicture:
        name = newest.facts.name
        history = self._histories.setdefault(name, RingHistory())
        health, earlier = history.add(newest)
        lost_minute, lost_minute_s = history.lost_minute
        run, recorders = Path(self._settings.paths.run_dir), [each.name for each in health.recorders]
        told = ((recorder, read_segments(run, name, recorder)) for recorder in recorders)
        feeds = (read_feeds(run, name, recorder) for recorder in recorders)
        return RingPicture(
            name=name,
            health=health,
            look=newest,
            earlier=earlier,
            rates=history.rates,
            lost_minute=lost_minute,
            lost_minute_s=lost_minute_s,
            loads=_loads(newest, earlier),
            busy=_busy(newest, earlier),
            feeds=next((each for each in feeds if each is not None), None),
            segments=tuple((recorder, segments) for recorder, segments in told if segments is not None),
        )


def _sorted(findings: list[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=lambda finding: WORST_FIRST.index(finding.severity)))


def _loads(newest: Look, earlier: Look | None) -> tuple[SourceLoad, ...]:
    before = {each.slot: each.loop for each in earlier.facts.sources} if earlier else {}
    return tuple(
        SourceLoad(each.name, each.interface, each.kind, each.queue, _share(each.loop, before.get(each.slot)), None)
        for each in newest.facts.sources
    )


def _share(now: LoopCounters, before: LoopCounters | None) -> float | None:
    if before is None:
        return None
    busy = now.polls_busy - before.polls_busy
    polls = busy + now.polls_idle - before.polls_idle
    return busy / polls if polls > 0 else None


def _busy(newest: Look, earlier: Look | None) -> float | None:
    busy = [load.busy for load in _loads(newest, earlier) if load.busy is not None]
    return max(busy, default=None)
