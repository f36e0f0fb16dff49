"""Recovers what a dead recorder wrote beside the packets: cut back to the packets that are there.

Such rows are written before the packets that they belong to. What belongs to packets that never came would be told
again by the next recorder, and otherwise. The caller holds the ring's lock, and has recovered the packets.
"""

import functools
import os
from pathlib import Path

from nanotape.storage import sidecar
from nanotape.storage.errors import StorageError
from nanotape.storage.recovery import Recovery, recover_directory, recover_part
from nanotape.storage.resume import archive_end
from nanotape.storage.segment import Fsync
from nanotape.storage.segment_names import PART_SUFFIX, SEGMENT_SUFFIX, SIDECAR_SUFFIX, segment_files


def recover_beside(directory: Path, table: str, fsync: Fsync) -> list[Recovery]:
    """Finishes the part files of a table of a ring, without the rows that belong to packets that are not there.

    Args:
        directory: ARCHIVE/segments/RING.
        table: One of RECORDED_TABLES; its folder need not be there.
        fsync: As for writing.

    Raises:
        StorageError: Something cannot be dealt with.
    """
    folder = directory / table
    if not folder.is_dir():
        return []

    @functools.cache
    def last_seq(ring_id: str) -> int:
        return archive_end(directory, ring_id).last_seq or 0

    reports = []
    try:
        for name, suffixes in sorted(segment_files(folder).items()):
            part = folder / (name + PART_SUFFIX)
            if SEGMENT_SUFFIX in suffixes and PART_SUFFIX not in suffixes:
                end = _end(folder / (name + SIDECAR_SUFFIX))
                if end is None or end[1] <= last_seq(end[0]):
                    continue
                (folder / (name + SEGMENT_SUFFIX)).rename(part)
            if part.exists():
                reports.append(recover_part(part, fsync, last_seq))
    except OSError as error:
        raise StorageError(f"{folder}: cannot recover: {error.strerror or error}") from error
    return reports + recover_directory(folder, fsync)


def _end(sums: Path) -> tuple[str, int] | None:
    """Whose a complete segment is, and the last sequence that it belongs to; None: its sidecar does not say."""
    try:
        fd = os.open(sums, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        ring_id = sidecar.parse_header(os.pread(fd, sidecar.HEADER_BYTES, 0))
        last = next((entry.last_seq for entry in sidecar.read_backwards(fd) if entry.rows), None)
        return (ring_id.hex(), last) if ring_id and last is not None else None
    finally:
        os.close(fd)
