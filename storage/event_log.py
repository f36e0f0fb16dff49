"""Events of the archive itself, such as a file that retention deleted: written at once, by whoever did it.

Each call makes one small Parquet file, visible in one step; `compact` puts them together later.
"""

import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from nanotape.storage.errors import ArchiveError
from nanotape.storage.events import Event, event_batch
from nanotape.storage.file_writes import sync_file
from nanotape.storage.manifest import PART_SUFFIX, FileEntry, day_folder, edit_manifest
from nanotape.storage.sidecar import checksum


def append_events(archive: Path, events: Sequence[Event], now_ns: int) -> None:
    """Puts events of no ring into ARCHIVE/events, for good on return.

    Args:
        archive: Its root.
        events: At least one; none of them with a `ring_seq`, which are the recorder's to write.
        now_ns: UTC, for the day and the name.

    Raises:
        ArchiveError: They could not be written.
    """
    batch = event_batch(events)
    seconds, nanoseconds = divmod(now_ns, 10**9)
    moment = datetime.fromtimestamp(seconds, UTC)
    date = f"{moment:%Y-%m-%d}"
    name = f"{moment:%Y%m%dT%H%M%S}.{nanoseconds:09d}Z-{os.urandom(4).hex()}-log.parquet"
    try:
        with edit_manifest(archive, "events", date) as edit:
            path = day_folder(archive, "events", date) / name
            part = path.with_name(name + PART_SUFFIX)
            with pq.ParquetWriter(part, batch.schema, compression="zstd", write_page_checksum=True) as writer:
                writer.write_batch(batch)
            sync_file(part)
            stamps = pc.min_max(batch.column("ts_start").cast("int64"))
            entry = FileEntry(
                path=name,
                rows=batch.num_rows,
                bytes=part.stat().st_size,
                crc32c=f"{checksum(part.read_bytes()):08x}",
                written_ns=now_ns,
                ts_min_ns=stamps["min"].as_py(),
                ts_max_ns=stamps["max"].as_py(),
            )
            edit.manifest = replace(edit.manifest, files=(*edit.manifest.files, entry))
            edit.commit()
            os.rename(part, path)
    except OSError as error:
        raise ArchiveError(f"{archive / 'events'}: cannot write {len(events)} events: {error.strerror}") from error
