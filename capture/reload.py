"""Has running services go over to the configuration as it is now: all that may change does, or nothing is changed.

What stays is not touched: the ring, and the RX rings of a holder that stays, hold what comes in meanwhile.
"""

import contextlib
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from nanotape.capture.child import Child
from nanotape.capture.commands import CAPTURE, HOLDER, RECORDER
from nanotape.capture.errors import CaptureError, ReloadRefused, ServiceError
from nanotape.capture.service import Service
from nanotape.capture.services import RingRun, Services
from nanotape.capture.severity import Info
from nanotape.config import Settings
from nanotape.config.reload_diff import ReloadDiff, reload_diff

_RING_S = 300.0
_ENDED_IN_ORDER = (RECORDER, HOLDER, CAPTURE)
"""The recorder first: flows of channels that it does not know yet are not for it. Without its holder a capture takes
what waits in RX rings before it ends."""
_STARTED_IN_ORDER = (HOLDER, CAPTURE, RECORDER)


class Reload:
    """Of one supervisor."""

    def __init__(
        self, services: Services, reread: Callable[[], Sequence[Settings]], log: Callable[[str], None]
    ) -> None:
        """Changes nothing yet.

        Args:
            services: What runs.
            reread: Reads the configuration of all its rings as it is now.
            log: Takes one line at a time.
        """
        self._services, self._reread, self._log = services, reread, log
        self._lock = threading.Lock()

    def __call__(self, interrupt: bool = False) -> Mapping[str, Any]:
        """Reads, compares, and goes over to what differs.

        Args:
            interrupt: Whether packets of channels that stay may be lost for some moments.

        Returns:
            By ring, what has changed and what was started anew for it.

        Raises:
            ConfigError: The configuration is wrong; nothing is changed.
            ReloadRefused: Something needs a restart; nothing is changed.
            CaptureError: A ring could not go over, and is as before; those before it have, and are named.
        """
        with self._lock:
            wanted = {each.ring.name: each for each in self._reread()}
            runs = [run for run in self._services.runs if not run.has_ended]
            diffs = {run.name: reload_diff(run.settings, wanted[run.name]) for run in runs if run.name in wanted}
            _refuse([run.name for run in self._services.runs], wanted, diffs, interrupt=interrupt)
            anew: dict[str, list[str]] = {}
            for run in runs:
                try:
                    anew[run.name] = self._go_over(run, wanted[run.name], diffs[run.name])
                except CaptureError as error:
                    gone_over = [name for name in anew if diffs[name].changed]
                    raise _named(error, run.name, gone_over, is_alone=len(self._services.runs) == 1) from None
            return {"rings": [_told(name, diff, anew[name]) for name, diff in diffs.items()]}

    def _go_over(self, run: RingRun, settings: Settings, diff: ReloadDiff) -> list[str]:
        """Returns what was started anew: a recorder that is no process of this service is not."""
        if not diff.changed:
            return []
        parts = [part for part in _STARTED_IN_ORDER if part in diff.parts]
        before = run.settings
        exchange = _hand_over if diff.hands_over else _exchange
        anew = run.ask(lambda service: exchange(service, before, settings, parts), _RING_S)
        run.settings = settings
        told = f"; started anew: {', '.join(anew)}" if anew else ""
        self._log(Info(f"ring {run.name}: reloaded: {', '.join(diff.changed)}{told}"))
        return anew


def _refuse(
    running: Sequence[str], wanted: Mapping[str, Settings], diffs: Mapping[str, ReloadDiff], *, interrupt: bool
) -> None:
    rings = [f"ring {name}" for name in (*(set(wanted) - set(running)), *(set(running) - set(wanted)))]
    keys = [*dict.fromkeys(key for diff in diffs.values() for key in diff.refused), *sorted(rings)]
    if keys:
        raise ReloadRefused(f"{', '.join(keys)}: cannot change while a service runs: restart it; nothing is changed")
    interrupted = [name for name, diff in diffs.items() if diff.interrupts]
    if interrupted and not interrupt:
        channels = [
            name for ring in interrupted for name in (*diffs[ring].added, *diffs[ring].removed, *diffs[ring].altered)
        ]
        what = f"channel {', '.join(channels)}" if channels else "loop"
        raise ReloadRefused(
            f"{what}: cannot change without a gap in all channels of ring {', '.join(interrupted)}, of a second or "
            "less: say --interrupt to accept it, or restart later; nothing is changed"
        )


def _named(error: CaptureError, ring: str, gone_over: Sequence[str], *, is_alone: bool) -> CaptureError:
    """An error with the ring that it is about, and those that do not go back for it."""
    if is_alone:
        return error
    text = str(error) if str(error).startswith(f"ring {ring}: ") else f"ring {ring}: {error}"
    return ServiceError(f"{text}; gone over before it: ring {', '.join(gone_over)}" if gone_over else text)


def _exchange(service: Service, before: Settings, settings: Settings, parts: Sequence[str]) -> list[str]:
    """In the ring's thread. What does not come up by the new configuration goes on by the old one."""
    there = [part for part in parts if service.pid(part) is not None]
    service.go_over(settings)  # before anything is ended: where it cannot be written down, all goes on as it was
    try:
        _end(service, there)
        _begin(service, there)
    except CaptureError:
        _end(service, there)
        _go_back(service, before)
        for part in _STARTED_IN_ORDER:
            if part in there:
                _begin_or_retry(service, part)
        raise
    return there


def _hand_over(service: Service, before: Settings, settings: Settings, parts: Sequence[str]) -> list[str]:
    """As `_exchange`, with a holder that is succeeded: all that takes time is done while everything still runs."""
    others = [part for part in parts if part != HOLDER and service.pid(part) is not None]
    service.go_over(settings)
    try:
        heir = service.prepare_heir()
    except CaptureError:
        _go_back(service, before)
        raise
    holder: Child | None = None
    try:
        _end(service, others)
        holder = service.hand_over(heir)
        _begin(service, others)
    except CaptureError:
        _end(service, others)
        _go_back(service, before)
        if service.pid(HOLDER) == heir.child.pid:
            _hand_back(service)
        for part in _STARTED_IN_ORDER:
            if part in others:
                _begin_or_retry(service, part)
        raise
    finally:
        if holder:
            holder.stop()
    return [HOLDER, *others]


def _go_back(service: Service, before: Settings) -> None:
    with contextlib.suppress(CaptureError):  # no room for the plan: the old one's parts are tried all the same
        service.go_over(before)


def _hand_back(service: Service) -> None:
    with contextlib.suppress(CaptureError):  # the holder that is there goes on: it selects other channels, too
        holder = service.hand_over(service.prepare_heir())
        if holder:
            holder.stop()


def _begin_or_retry(service: Service, part: str) -> None:
    try:
        service.begin_anew(part)
    except CaptureError:  # as one that died by itself, it is tried again and again
        service.put_off(part)


def _end(service: Service, parts: Iterable[str]) -> None:
    for part in _ENDED_IN_ORDER:
        if part in parts:
            service.end(part)


def _begin(service: Service, parts: Iterable[str]) -> None:
    for part in _STARTED_IN_ORDER:
        if part in parts:
            service.begin_anew(part)


def _told(name: str, diff: ReloadDiff, anew: Sequence[str]) -> dict[str, Any]:
    return {
        "ring": name,
        "changed": list(diff.changed),
        "added": list(diff.added),
        "removed": list(diff.removed),
        "started_anew": sorted(anew),
        "interrupted": diff.interrupts,
    }
