"""Takes looks at some rings whenever it is asked, and makes a page of them. Changes nothing, and waits for nothing.

What takes two looks is said from the second page on: the newest that is not too new, and not too old, is the first.
"""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from nanotape.capture.clock.status import told_status
from nanotape.capture.health import Look, ring_health
from nanotape.capture.looks import Clocks, look
from nanotape.capture.metrics.exposition import Page
from nanotape.capture.metrics.host_metrics import add_clocks, add_feeds, add_segments
from nanotape.capture.metrics.ring_metrics import add_ring
from nanotape.capture.recorded_feeds import read_feeds
from nanotape.capture.recorded_segments import read_segments
from nanotape.capture.ring import ring_path
from nanotape.config import Settings

_APART_NS = 500_000_000
_KEPT_APART_NS = 100_000_000  # however often it is asked, no more than a few looks are kept
_REMEMBERED_NS = 600 * 10**9


class Collector:
    """Of the rings of one supervisor."""

    def __init__(self, rings: Callable[[], Sequence[Settings]], clocks: Clocks | None = None) -> None:
        """Looks at nothing yet.

        Args:
            rings: Gives each ring's settings, as they are after the last reload.
            clocks: None: the host's.
        """
        self._rings, self._clocks = rings, clocks or Clocks()
        self._before: dict[str, list[Look]] = {}
        self._lock = threading.Lock()

    def text(self) -> str:
        """A page of now."""
        page, began_ns, rings = Page(), self._clocks.monotonic_ns(), self._rings()
        with self._lock:
            for settings in rings:
                self._add(page, settings)
        status = told_status(rings[0], self._clocks.utc_ns())
        if status is not None:
            add_clocks(page, rings[0].host, status.clocks)
        took_ns = self._clocks.monotonic_ns() - began_ns
        page.gauge("scrape_duration_seconds", "What it took to make this page").add({}, took_ns / 1e9)
        return page.text()

    def _add(self, page: Page, settings: Settings) -> None:
        name = settings.ring.name
        found = look(ring_path(name, Path(settings.paths.shm_dir)), settings, self._clocks)
        labels = {"host": settings.host, "ring": name}
        page.gauge("ring_up", "Whether the ring is there and can be read").add(labels, isinstance(found, Look))
        if not isinstance(found, Look):
            return
        before = self._earlier(name, found)
        add_ring(page, found, ring_health(before, found) if before is not None else None)
        feeds = read_feeds(Path(settings.paths.run_dir), name, settings.recorder.name)
        if feeds is not None and feeds.is_fresh(found.at_ns):
            add_feeds(page, labels, found.facts.flows, feeds)
        segments = read_segments(Path(settings.paths.run_dir), name, settings.recorder.name)
        if segments is not None and segments.is_fresh(found.at_ns):
            add_segments(page, {**labels, "reader": settings.recorder.name}, segments)

    def _earlier(self, name: str, found: Look) -> Look | None:
        """The look to compare with; and keeps the one that was found, for later ones."""
        kept = self._before.setdefault(name, [])
        if not kept or found.monotonic_ns - kept[-1].monotonic_ns >= _KEPT_APART_NS:
            kept.append(found)
        old = [each for each in kept if found.monotonic_ns - each.monotonic_ns >= _APART_NS]
        if not old:
            return None
        del kept[: len(old) - 1]
        return old[-1] if found.monotonic_ns - old[-1].monotonic_ns <= _REMEMBERED_NS else None
