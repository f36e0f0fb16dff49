"""Makes pictures: looks at the rings, their readers, the clock service and the disk, and compares with before.

Needs no privilege, changes nothing, never sleeps; whatever is gone becomes a fact in the picture, never an exception.
"""

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from nanotape.capture.clock.findings import clock_findings
from nanotape.capture.clock.status import told_status
from nanotape.capture.findings import (
    Finding,
    Severity,
    headline,
    never_started,
    nothing_there,
    ring_findings,
    unreadable,
)
from nanotape.capture.listing import UnreadableRing
from nanotape.capture.looks import Clocks, with_one_disk
from nanotape.capture.ring import RING_SUFFIX, ring_path
from nanotape.config import ConfigError, Settings
from nanotape.tui.line_rate import LineRates
from nanotape.tui.picture import Picture, RingPicture
from nanotape.tui.ring_looker import RingLooker
from nanotape.tui.settings_file import SettingsFile
from nanotape.tui.style import WORST_FIRST


class Gatherer:
    """All rings of this host, or one."""

    def __init__(
        self, settings: Settings | SettingsFile, ring: str | None = None, clocks: Clocks | None = None
    ) -> None:
        """Has seen nothing yet.

        Args:
            settings: The configuration, for its paths and rings; or its file, which is read anew when it changes.
            ring: Name or path of the only ring to look at; None: all.
            clocks: None: the host's.
        """
        self._settings, self._ring = settings, ring
        self._clocks = clocks or Clocks()
        self._line_rates = LineRates(self._clocks.monotonic_ns)
        self._lookers: dict[Path, RingLooker] = {}

    def look(self) -> Picture:
        """One look at everything: takes milliseconds."""
        began_ns, at_ns = self._clocks.monotonic_ns(), self._clocks.utc_ns()
        settings, troubles = self._configured()
        paths, refusal = self._paths(settings)
        troubles += refusal
        self._lookers = {path: self._lookers.get(path) or self._looker(path) for path in paths}
        found = [looker.look(settings) for looker in self._lookers.values()]
        rings = _sharing_disks([each for each in found if isinstance(each, RingPicture)])
        refused = tuple(each for each in found if isinstance(each, UnreadableRing))
        there = {*(each.name for each in rings), *(each.name for each in refused)}
        absent = self._absent(settings, there)
        clock = told_status(settings, at_ns)
        findings = [finding for each in rings for finding in ring_findings(each.health)]
        findings += map(unreadable, refused)
        findings += map(never_started, absent)
        if not there:
            findings = [nothing_there(self._ring, settings.paths.shm_dir)]
        findings += clock_findings(clock)
        said = headline([each.health for each in rings], findings, absent)
        findings += (Finding(Severity.ERROR, None, what, do) for what, do in troubles)
        return Picture(
            at_ns=at_ns,
            monotonic_ns=began_ns,
            settings=settings,
            headline=said,
            rings=rings,
            unreadable=refused,
            absent=absent,
            clock=clock,
            findings=tuple(sorted(findings, key=lambda finding: WORST_FIRST.index(finding.severity))),
            troubles=tuple(what for what, _ in troubles),
            look_s=(self._clocks.monotonic_ns() - began_ns) / 1e9,
        )

    def _configured(self) -> tuple[Settings, list[tuple[str, str]]]:
        """The configuration, and what is wrong with it now, and what to do."""
        if isinstance(self._settings, Settings):
            return self._settings, []
        settings, refusal = self._settings.read()
        do = "nanotape config check says it all; what is shown is by what was read before, or by the defaults"
        return settings, [(f"the configuration cannot be read: {refusal}", do)] if refusal else []

    def _looker(self, path: Path) -> RingLooker:
        return RingLooker(path, self._clocks, self._line_rates)

    def _paths(self, settings: Settings) -> tuple[list[Path], list[tuple[str, str]]]:
        """Descriptor files, by name; and why the folder cannot be listed, and what to do."""
        shm = Path(settings.paths.shm_dir)
        if self._ring is not None:
            path = ring_path(self._ring, shm)
            return ([path] if os.path.lexists(path) else []), []
        try:
            names = os.listdir(shm)
        except PermissionError as error:
            what = f"{shm}: cannot be listed: {error.strerror}: whether there are rings nobody can tell"
            return [], [(what, "run as root, or let this user into it")]
        except OSError:  # there is none
            return [], []
        return sorted(shm / name for name in names if name.endswith(RING_SUFFIX)), []

    def _absent(self, settings: Settings, there: set[str]) -> tuple[str, ...]:
        """Those of several configured rings that this host does not have; of one alone others may take the place."""
        names: tuple[str, ...] = ()
        with suppress(ConfigError):
            names = settings.rings
        is_one = self._ring is not None or len(names) < 2 or not there
        return () if is_one else tuple(name for name in names if name not in there)


def _sharing_disks(rings: Iterable[RingPicture]) -> tuple[RingPicture, ...]:
    """Rings that are recorded to one archive fill its disk together."""
    every = list(rings)
    healths = [each.health for each in every]
    if len(every) < 2:
        return tuple(every)
    return tuple(replace(each, health=with_one_disk(each.health, healths)) for each in every)
