"""Gathers what an engineer asks for into one compressed archive, whole or not at all. Holds no payload and no secret.

What cannot be had is named with its reason, and ends nothing: on a host that is ill much cannot be had.
"""

import io
import json
import tarfile
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import IO

PART_BYTES = 8 << 20
"""More of one part is left out: its end is kept, which is the newest of a log."""


@dataclass(frozen=True, slots=True)
class Part:
    """One file of the bundle."""

    name: str
    read: Callable[[], bytes]
    """Raises OSError or ValueError where it cannot be had."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """What became of a part, as `manifest.json` lists it."""

    name: str
    bytes: int | None
    """None: it could not be had."""
    seconds: float
    reason: str | None = None
    """Why it could not be had, or what of it was left out."""


def write_bundle(
    parts: Iterable[Part], file: IO[bytes], top: str, clock: Callable[[], float] = time.time
) -> list[Gathered]:
    """Reads each part and writes it.

    Args:
        parts: In their order.
        file: Takes a tar archive, compressed by gzip.
        top: Folder that all names begin with.
        clock: Seconds since 1970, for the files' times.

    Returns:
        What became of each.
    """
    gathered = []
    with tarfile.open(fileobj=file, mode="w:gz", compresslevel=6) as archive:
        for part in parts:
            begin = time.monotonic()
            try:
                content, reason = _bounded(part.read())
            except (OSError, ValueError) as error:
                gathered.append(Gathered(part.name, None, _since(begin), _reason(error)))
                continue
            _add(archive, f"{top}/{part.name}", content, clock())
            gathered.append(Gathered(part.name, len(content), _since(begin), reason))
        manifest = json.dumps([asdict(each) for each in gathered], indent=1).encode()
        _add(archive, f"{top}/manifest.json", manifest, clock())
    return gathered


def _bounded(content: bytes) -> tuple[bytes, str | None]:
    if len(content) <= PART_BYTES:
        return content, None
    return content[-PART_BYTES:], f"its first {len(content) - PART_BYTES:,} bytes were left out"


def _reason(error: OSError | ValueError) -> str:
    strerror = getattr(error, "strerror", None)
    return str(strerror or error or type(error).__name__)


def _since(begin: float) -> float:
    return round(time.monotonic() - begin, 3)


def _add(archive: tarfile.TarFile, name: str, content: bytes, now: float) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime, entry.mode = len(content), int(now), 0o600
    archive.addfile(entry, io.BytesIO(content))
