"""Writes rows of a table as one Parquet file, and says what is in it.

Encodings are those that were measured to be the smallest (docs/compaction.md): deltas for stamps and sequences,
dictionaries for what repeats. Pages have checksums and an index. The file is on the disk when `close` returns.
"""

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from nanotape.storage.file_writes import sync_file
from nanotape.storage.manifest import RingRange
from nanotape.storage.sidecar import checksum
from nanotape.storage.table_schemas import table_schema

ROW_GROUP_ROWS = 262_144
ROW_GROUP_BYTES = 128 << 20
"""In memory: what packets of usual length take is less."""
DEFAULT_LEVEL = 6
STAMP_OF = {
    "packets": "ts",
    "events": "ts_start",
    "stats": "ts",
    "counters": "ts",
    "channels": "ts_from",
    "clock": "ts",
}
"""The column that a table is sorted by last, and whose range its manifests tell."""

_READ_BYTES = 1 << 20
_PAGE_BYTES, _PAGE_ROWS = 16 << 20, 65_536  # the larger, the smaller the file; four pages a row group to choose from
_LONG = ("payload", "detail")
_LENGTHS = ("wire_len", "payload_len", "rx_delay_ns")
_LEVEL_OF_SHORT = 3
_LEVEL_OF_HEADER, _LEVEL_OF_HEADER_FOR_GOOD, _LEVEL_FOR_GOOD = 1, 16, 9
_FEW_VALUES = (
    "switch_device", "switch_port", "epoch", "lost_before", "src_port", "dst_port", "vlan", "feed_count", "flags",
    "flow_id", "port", "config_hash",
)  # fmt: skip
"""Columns of numbers, or of text, with few different values."""


@dataclass(slots=True)
class WrittenFile:
    """What is in a file."""

    path: Path
    rows: int = 0
    bytes: int = 0
    crc32c: str = ""
    ts_min_ns: int | None = None
    ts_max_ns: int | None = None
    rings: dict[str, RingRange] = field(default_factory=dict)


class TableFile:
    """One file that is being written."""

    def __init__(self, path: Path, table: str, level: int = DEFAULT_LEVEL, group_bytes: int = ROW_GROUP_BYTES) -> None:
        """Creates it.

        Args:
            path: Must not exist.
            table: Whose rows come.
            level: Of zstd, 1 to 22.
            group_bytes: A row group is ended at this size of its rows in memory, though it has few.

        Raises:
            OSError: It cannot be created.
        """
        self.written = WrittenFile(path)
        self._table, self._schema = table, table_schema(table)
        self._held: list[pa.Table] = []
        self._held_rows = self._held_bytes = 0
        self._group_bytes = group_bytes
        path.parent.mkdir(parents=True, exist_ok=True)
        self._sink = pa.OSFile(str(path), "wb")
        self._writer = pq.ParquetWriter(
            self._sink,
            self._schema,
            compression="zstd",
            write_page_index=True,
            write_page_checksum=True,
            **encodings(self._schema, level),
        )

    @property
    def size_bytes(self) -> int:
        """About what the file has by now: whole row groups."""
        return int(self._sink.tell())

    def write(self, rows: pa.Table) -> None:
        """Appends rows.

        Raises:
            OSError: The system refused.
        """
        self._take_note(rows)
        self._held.append(rows.select(self._schema.names))
        self._held_rows += rows.num_rows
        self._held_bytes += rows.nbytes
        while self._held_rows >= ROW_GROUP_ROWS or self._held_bytes >= self._group_bytes:
            self._write_group()

    def close(self) -> WrittenFile:
        """Ends the file and has the disk keep it.

        Raises:
            OSError: The system refused.
        """
        while self._held_rows:
            self._write_group()
        self._writer.close()
        self._sink.close()
        sync_file(self.written.path)
        self.written.bytes = self.written.path.stat().st_size
        self.written.crc32c = file_checksum(self.written.path)
        return self.written

    def abandon(self) -> None:
        """Removes what there is of it."""
        with suppress(pa.ArrowException, OSError):  # else it would try to end the file when it is forgotten
            self._writer.close()
        self._sink.close()
        self.written.path.unlink(missing_ok=True)

    def _write_group(self) -> None:
        """Writes one group of what is held."""
        held = pa.concat_tables(self._held).unify_dictionaries()
        fitting = int(self._group_bytes / max(self._held_bytes / self._held_rows, 1))
        count = min(self._held_rows, ROW_GROUP_ROWS, max(fitting, 1))
        rest = held.slice(count)
        self._held, self._held_rows = [rest] if rest.num_rows else [], rest.num_rows
        self._held_bytes = rest.nbytes if rest.num_rows else 0
        self._writer.write_table(held.slice(0, count).combine_chunks(), row_group_size=ROW_GROUP_ROWS)

    def _take_note(self, rows: pa.Table) -> None:
        note = self.written
        note.rows += rows.num_rows
        stamps = pc.min_max(rows.column(STAMP_OF[self._table]).cast(pa.int64()))
        lowest, highest = stamps["min"].as_py(), stamps["max"].as_py()
        if lowest is not None:
            note.ts_min_ns = lowest if note.ts_min_ns is None else min(lowest, note.ts_min_ns)
            note.ts_max_ns = highest if note.ts_max_ns is None else max(highest, note.ts_max_ns)
        if "ring_id" not in rows.column_names:
            return
        of_rings = rows.select(["ring", "ring_id", "ring_seq"]).filter(pc.field("ring_id").is_valid())
        sums = of_rings.unify_dictionaries().group_by(["ring", "ring_id"])
        counted = sums.aggregate([("ring_seq", "min"), ("ring_seq", "max"), ("ring_seq", "count")])
        for ring, ring_id, first, last, count in zip(
            *(counted.column(name).to_pylist() for name in ("ring", "ring_id")),
            *(counted.column(f"ring_seq_{name}").to_pylist() for name in ("min", "max", "count")),
            strict=True,
        ):
            had = note.rings.get(ring_id)
            if had:
                first, last, count = min(first, had.first_seq), max(last, had.last_seq), count + had.rows
            note.rings[ring_id] = RingRange(ring, first, last, count)


def encodings(schema: pa.Schema, level: int) -> dict[str, object]:
    """The arguments of a ParquetWriter that say how each column is encoded.

    Args:
        schema: The columns.
        level: Of zstd for what is long; other columns gain nothing from a higher one than 3. Headers, which are nearly
            the same again and again, get larger from 3 to 15 and only then smaller, at ten times the price.
    """
    dictionaries = [each.name for each in schema if pa.types.is_dictionary(each.type) or each.name in _FEW_VALUES]
    others = {}
    for each in schema:
        if each.name in dictionaries:
            continue
        if pa.types.is_integer(each.type) or pa.types.is_timestamp(each.type):
            others[each.name] = "DELTA_BINARY_PACKED"
        else:
            others[each.name] = "PLAIN"
    others |= {name: "BYTE_STREAM_SPLIT" for name in _LENGTHS if name in others}
    others |= {name: "DELTA_LENGTH_BYTE_ARRAY" for name in ("header",) if name in others}
    levels = {each.name: min(level, _LEVEL_OF_SHORT) for each in schema}
    levels |= {name: level for name in _LONG if name in levels}
    if "header" in levels:
        levels["header"] = _LEVEL_OF_HEADER if level < _LEVEL_FOR_GOOD else _LEVEL_OF_HEADER_FOR_GOOD
    return {
        "use_dictionary": dictionaries,
        "column_encoding": others,
        "compression_level": levels,
        "data_page_size": _PAGE_BYTES,
        "max_rows_per_page": _PAGE_ROWS,
    }


def file_checksum(path: Path) -> str:
    """The crc32c of a whole file, 8 hexadecimal digits.

    Raises:
        OSError: It cannot be read.
    """
    crc = 0
    with path.open("rb") as file:
        while data := file.read(_READ_BYTES):
            crc = checksum(data, crc)
    return f"{crc:08x}"
