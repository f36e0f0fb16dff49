"""Finishes what a compaction that died had begun, and removes what is out of force long enough.

Only what manifests do not name, or name as retired, is ever removed.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from nanotape.storage.archive import Archive
from nanotape.storage.manifest import PART_SUFFIX, Manifest, Retired, dates, day_folder, edit_manifest
from nanotape.storage.segment_names import SEGMENT_SUFFIX, SIDECAR_SUFFIX, sibling
from nanotape.storage.table_schemas import TABLES


def tidy(archive: Archive, now_ns: int, grace_ns: int) -> int:
    """Names what is committed, removes parts that are not, and retired files that nobody should be reading any more.

    Args:
        archive: Its lock of compaction is the caller's.
        now_ns: UTC.
        grace_ns: For so long retired files stay.

    Returns:
        Bytes that were freed.

    Raises:
        ArchiveError: A manifest cannot be read or locked.
        OSError: The system refused.
    """
    return sum(
        _tidy_day(archive, table, date, lambda each: now_ns - each.since_ns >= grace_ns)
        for table in TABLES
        for date in dates(archive.path, table)
    )


def _tidy_day(archive: Archive, table: str, date: str, is_due: Callable[[Retired], bool]) -> int:
    folder = day_folder(archive.path, table, date)
    with edit_manifest(archive.path, table, date) as edit:
        _finish_names(folder, edit.manifest)
        due = [each for each in edit.manifest.retired if is_due(each)]
        freed = sum(_remove(archive.path / each.path) for each in due)
        if due:
            removed = {_segment_key(each.path) for each in due}
            edit.manifest = replace(
                edit.manifest,
                retired=tuple(each for each in edit.manifest.retired if each not in due),
                replaces=tuple(key for key in edit.manifest.replaces if key not in removed),
            )
            edit.commit()
    return freed


def _finish_names(folder: Path, manifest: Manifest) -> None:
    committed = {folder / each.path for each in manifest.files}
    for part in [*folder.glob("*" + PART_SUFFIX), *folder.glob("*/*" + PART_SUFFIX)]:
        path = part.with_suffix("")
        if path in committed and not path.exists():
            os.rename(part, path)
        elif path not in committed:
            part.unlink(missing_ok=True)


def _segment_key(path: str) -> str | None:
    """RING/NAME of segments/RING/[TABLE/]NAME.arrow; None: no segment."""
    parts = path.split("/")
    if parts[0] != "segments":
        return None
    return f"{parts[1]}/{parts[-1].removesuffix(SEGMENT_SUFFIX)}"


def _remove(path: Path) -> int:
    freed = 0
    # The sidecar last: a segment without one would be read by its rows.
    files = [path, sibling(path, SIDECAR_SUFFIX)] if path.suffix == SEGMENT_SUFFIX else [path]
    for each in files:
        with suppress(FileNotFoundError):
            size = each.stat().st_size
            each.unlink()
            freed += size
    return freed
