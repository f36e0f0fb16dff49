"""Finishes what a compaction that died had begun, and removes what is out of force long enough.

Only what manifests do not name, or name as retired, is ever removed.
"""

import os
from collections.abc import Callable
from pathlib import Path

from nanotape.storage.archive import Archive
from nanotape.storage.manifest import PART_SUFFIX, Manifest, Retired, dates, day_folder, edit_manifest
from nanotape.storage.retired import remove_retired
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
    with edit_manifest(archive.path, table, date) as edit:
        _finish_names(day_folder(archive.path, table, date), edit.manifest)
    return remove_retired(archive.path, table, date, is_due)


def _finish_names(folder: Path, manifest: Manifest) -> None:
    committed = {folder / each.path for each in manifest.files}
    for part in [*folder.glob("*" + PART_SUFFIX), *folder.glob("*/*" + PART_SUFFIX)]:
        path = part.with_suffix("")
        if path in committed and not path.exists():
            os.rename(part, path)
        elif path not in committed:
            part.unlink(missing_ok=True)
