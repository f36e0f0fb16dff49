"""Parquet files of an archive as a dataset of pyarrow; each page's checksum is compared when it is read."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as pds
import pyarrow.fs as pfs

from nanotape.storage.parquet_facts import ParquetFacts
from nanotape.storage.parquet_writing import STAMP_OF


def parquet_dataset(files: Sequence[ParquetFacts], schema: pa.Schema) -> pds.Dataset:
    """Parquet files of which those without a wanted stamp are not even opened."""
    parquet = pds.ParquetFileFormat(default_fragment_scan_options=_CHECKED)
    system = pfs.LocalFileSystem()
    fragments = [parquet.make_fragment(str(_now(each.path)), system, _promise(each)) for each in files]
    return pds.FileSystemDataset(fragments, schema, parquet, filesystem=system)


_CHECKED = pds.ParquetFragmentScanOptions(page_checksum_verification=True)


def _now(path: Path) -> Path:
    """The name that a file which was just committed has by now."""
    return path if path.exists() else path.with_name(path.name.removesuffix(".part"))


def _promise(file: ParquetFacts) -> pds.Expression:
    """What holds for all rows of a file."""
    lowest, highest = file.entry.ts_min_ns, file.entry.ts_max_ns
    if lowest is None or highest is None:
        return pds.scalar(True)
    stamp, kind = pds.field(STAMP_OF[file.table]), pa.timestamp("ns", "UTC")
    return (stamp >= pa.scalar(lowest, pa.int64()).cast(kind)) & (stamp <= pa.scalar(highest, pa.int64()).cast(kind))
