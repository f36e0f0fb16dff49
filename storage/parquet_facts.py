"""One Parquet file of an archive: what its manifest says of it, and its rows.

Every page's checksum is looked at: a damaged file is refused, never read wrong.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from nanotape.storage.errors import ArchiveError
from nanotape.storage.manifest import PART_SUFFIX, FileEntry, Manifest, present_path
from nanotape.storage.segment_facts import arranged, first_line

BATCH_ROWS = 65_536

Bounds = Mapping[str, tuple[str, str]]
"""The lowest and the highest text of each column that is known of."""


@dataclass(frozen=True, slots=True)
class ParquetFacts:
    """One visible Parquet file, as it was when it was listed."""

    path: Path
    """NAME.parquet, or for a moment NAME.parquet.part."""
    table: str
    date: str
    """UTC day of recording, YYYY-MM-DD."""
    entry: FileEntry


def parquet_facts(archive: Path, manifest: Manifest, entry: FileEntry) -> ParquetFacts:
    """Facts of a file that a manifest names."""
    path = present_path(archive, manifest.table, manifest.date, entry)
    return ParquetFacts(path, manifest.table, manifest.date, entry)


def open_parquet(path: Path, *, memory_map: bool = False, buffer_bytes: int = 0) -> pq.ParquetFile:
    """Opens a file under the name it has by now; its checksums are looked at while it is read.

    Args:
        path: Of the file.
        memory_map: Whether to map it.
        buffer_bytes: Read columns piece by piece, with so much of each in memory; 0: a row group's column at once.
    """
    options = {
        "page_checksum_verification": True,
        "memory_map": memory_map,
        "pre_buffer": False,
        "buffer_size": buffer_bytes,
    }
    try:
        return pq.ParquetFile(path, **options)
    except FileNotFoundError:
        if path.suffix != PART_SUFFIX:
            raise
        return pq.ParquetFile(path.with_suffix(""), **options)


def read_parquet(
    facts: ParquetFacts,
    schema: pa.Schema,
    batch_rows: int = BATCH_ROWS,
    buffer_bytes: int = 0,
    can_be_in: Callable[[Bounds], bool] | None = None,
) -> Iterator[pa.RecordBatch]:
    """The rows of a file, batch by batch, in its order.

    Args:
        facts: The file.
        schema: The columns to read, in order; each as in the table's schema.
        batch_rows: Rows of a batch at the most.
        buffer_bytes: See `open_parquet`.
        can_be_in: Says of the lowest and the highest text of columns whether a row group is wanted; None: all are.

    Raises:
        ArchiveError: It cannot be read, or is damaged.
    """
    try:
        with open_parquet(facts.path, buffer_bytes=buffer_bytes) as file:
            groups = [at for at in range(file.num_row_groups) if not can_be_in or can_be_in(_bounds(file, at))]
            for batch in file.iter_batches(batch_rows, row_groups=groups, columns=schema.names):
                yield arranged(batch, schema)
    except (pa.ArrowException, OSError, KeyError) as error:
        raise ArchiveError(f"{facts.path}: cannot be read: {first_line(error)}; see `nanotape verify`") from error


def _bounds(file: pq.ParquetFile, group: int) -> Bounds:
    facts = file.metadata.row_group(group)
    columns = [facts.column(at) for at in range(facts.num_columns)]
    return {
        each.path_in_schema: (each.statistics.min, each.statistics.max)
        for each in columns
        if each.is_stats_set and each.statistics.has_min_max and isinstance(each.statistics.min, str)
    }
