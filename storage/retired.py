"""Removes files that are out of force: named as retired by a day's manifest, and invisible since."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from nanotape.storage.manifest import Retired, edit_manifest
from nanotape.storage.segment_names import SEGMENT_SUFFIX, SIDECAR_SUFFIX, sibling


def remove_retired(archive: Path, table: str, date: str, is_due: Callable[[Retired], bool]) -> int:
    """Removes those of a day that are due. Who dies here leaves the rest to the next call.

    Args:
        archive: Its root.
        table: Of the manifest.
        date: YYYY-MM-DD.
        is_due: Asked for each retired file.

    Returns:
        Bytes of disk that were freed.

    Raises:
        ArchiveError: The manifest cannot be read or locked.
        OSError: The system refused.
    """
    with edit_manifest(archive, table, date) as edit:
        due = [each for each in edit.manifest.retired if is_due(each)]
        freed = sum(unlink_file(archive / each.path) for each in due)
        if due:
            removed = {segment_key(each.path) for each in due}
            edit.manifest = replace(
                edit.manifest,
                retired=tuple(each for each in edit.manifest.retired if each not in due),
                replaces=tuple(key for key in edit.manifest.replaces if key not in removed),
            )
            edit.commit()
    return freed


def segment_key(path: str) -> str | None:
    """RING/NAME of segments/RING/[TABLE/]NAME.arrow; None: no segment."""
    parts = path.split("/")
    return f"{parts[1]}/{parts[-1].removesuffix(SEGMENT_SUFFIX)}" if parts[0] == "segments" else None


def disk_bytes(path: Path) -> int:
    """What a file, and the sidecar of a segment, take of the disk: holes are free."""
    total = 0
    for each in _files(path):
        with suppress(FileNotFoundError):
            total += each.stat().st_blocks * 512
    return total


def unlink_file(path: Path) -> int:
    """Removes a file, and the sidecar of a segment; not those that are gone already.

    Returns:
        Bytes of disk that were freed.
    """
    freed = disk_bytes(path)
    for each in _files(path):
        each.unlink(missing_ok=True)
    return freed


def _files(path: Path) -> list[Path]:
    # The sidecar last: a segment without one would be read by its rows.
    return [path, sibling(path, SIDECAR_SUFFIX)] if path.suffix == SEGMENT_SUFFIX else [path]
