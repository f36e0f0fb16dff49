"""Takes looks at the rings of this host: opens them read-only, reads their counters, asks the archive's file system.

Needs no privilege; what this user may not read becomes an `UnreadableRing`.
"""

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from nanotape.capture.conservation import ring_books
from nanotape.capture.errors import RingError
from nanotape.capture.health import Look, RingHealth, Space, ring_health, seconds_until_full
from nanotape.capture.listing import UnreadableRing, describe
from nanotape.capture.ring import RING_SUFFIX, Ring, ring_path
from nanotape.capture.service_state import STATE_NAME, read_state
from nanotape.capture.space import space_of
from nanotape.config import ConfigError, Settings, load

_PATIENCE_S = 3.0
"""A capture that seems to stand still may just have been off its core; a capture or a recorder that died is started
anew within moments. They are looked at again, up to so long."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """What the looks are timed by."""

    utc_ns: Callable[[], int] = time.time_ns
    monotonic_ns: Callable[[], int] = time.monotonic_ns
    sleep: Callable[[float], object] = time.sleep


def look(path: Path, settings: Settings, clocks: Clocks) -> Look | UnreadableRing:
    """One look at one ring.

    Args:
        path: Its descriptor file.
        settings: Say where its readers tell of themselves and where the archive is, unless the running service does.
        clocks: The host's, or a test's.
    """
    run_directory = Path(settings.paths.run_dir)
    try:
        with Ring.open(path) as ring:
            # Downstream first: a reader never seems to be ahead of the ring.
            facts = describe(ring, run_directory)
            books = ring_books(ring)
            monotonic_ns, utc_ns = clocks.monotonic_ns(), clocks.utc_ns()
    except RingError as error:
        return UnreadableRing(path.name.removesuffix(RING_SUFFIX), str(path), str(error))
    service = read_state(run_directory / facts.name / STATE_NAME)
    return Look(utc_ns, monotonic_ns, facts, books, _space(facts.name, settings), service)


def healths(
    settings: Settings, ring: str | None, interval_s: float, clocks: Clocks | None = None
) -> tuple[RingHealth | UnreadableRing, ...]:
    """Looks twice at the rings of this host, and says what came of it, by name. Empty: there is none.

    Args:
        settings: The configuration, for its paths.
        ring: Name or path of the only one to look at; None: all.
        interval_s: Seconds between the looks.
        clocks: None: the host's.
    """
    clocks = clocks or Clocks()
    shm = Path(settings.paths.shm_dir)
    paths = sorted(shm.glob(f"*{RING_SUFFIX}")) if ring is None else [ring_path(ring, shm)]
    first = {path: look(path, settings, clocks) for path in paths if path.exists()}
    if not first:
        return ()
    clocks.sleep(interval_s)
    found = {path: _second(path, earlier, settings, clocks) for path, earlier in first.items()}
    if not all(map(_is_sound, found.values())):
        clocks.sleep(max(0.0, _PATIENCE_S - interval_s))
        found = {
            path: each if _is_sound(each) else _second(path, first[path], settings, clocks)
            for path, each in found.items()
        }
    rings = [each for each in found.values() if isinstance(each, RingHealth)]
    return tuple(with_one_disk(each, rings) if isinstance(each, RingHealth) else each for each in found.values())


def with_one_disk(found: RingHealth, rings: Iterable[RingHealth]) -> RingHealth:
    """Rings that are recorded to one archive fill its disk together.

    Args:
        found: One of them.
        rings: All that were looked at, itself among them.
    """
    if found.space is None:
        return found
    sharing = [each for each in rings if each.space and each.space.path == found.space.path]
    written = (reader.write_bytes_s for ring in sharing for reader in ring.readers if reader.alive)
    return replace(found, full_in_s=seconds_until_full(found.space, written))


def _second(
    path: Path, first: Look | UnreadableRing, settings: Settings, clocks: Clocks
) -> RingHealth | UnreadableRing:
    """The later look, and what both say. A ring that was just being made at the first is compared with itself."""
    second = look(path, settings, clocks)
    if isinstance(second, UnreadableRing):
        return second
    return ring_health(second if isinstance(first, UnreadableRing) else first, second)


def _is_sound(found: RingHealth | UnreadableRing) -> bool:
    """Whether more time would change nothing: what stands still or died may be at work again a moment later."""
    if isinstance(found, UnreadableRing):
        return True
    ended = found.writer_pid is None
    return ended or (found.capturing and all(recorder.alive for recorder in found.recorders))


def _space(ring: str, settings: Settings) -> Space | None:
    """Of where this ring is recorded to: by the configuration of its service, which may be another than ours."""
    with suppress(ConfigError, OSError):
        settings = load(Path(settings.paths.run_dir) / ring / "nanotape.toml")
    return space_of(Path(settings.paths.archive), settings.archive.keep_free.of)
