"""SQL over an archive: a view for each table, and macros for what DuckDB cannot do with nanoseconds and a zone.

The same text serves a connection that Python opened and, as ARCHIVE/nanotape.sql, a bare duckdb shell.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from nanotape.storage.arbitration_sql import ARBITRATED
from nanotape.storage.archive import Archive
from nanotape.storage.file_writes import sync_directory, sync_file
from nanotape.storage.table_schemas import TABLES, table_schema

SQL_NAME = "nanotape.sql"

MACROS = """
SET TimeZone = 'UTC';
-- Nanoseconds since 1970 of a stamp, and back.
CREATE OR REPLACE MACRO ns(ts) AS epoch_ns(ts);
CREATE OR REPLACE MACRO instant(n) AS make_timestamp_ns(n)::TIMESTAMPTZ_NS;
-- The beginning of the stretch of width_ns that a stamp lies in: time_bucket and date_trunc do not take such stamps.
-- To make a stamp of a number takes DuckDB 0.1 us: group millions of rows by the number, and make stamps of the groups.
CREATE OR REPLACE MACRO bucket_ns(ts, width_ns) AS epoch_ns(ts) - ((epoch_ns(ts) % width_ns) + width_ns) % width_ns;
CREATE OR REPLACE MACRO bucket(ts, width_ns) AS make_timestamp_ns(bucket_ns(ts, width_ns))::TIMESTAMPTZ_NS;
-- From a, included, to b, excluded, as texts in UTC: '2026-11-20 14:30:00.000000001'.
CREATE OR REPLACE MACRO between_utc(ts, a, b) AS ts >= a::TIMESTAMPTZ_NS AND ts < b::TIMESTAMPTZ_NS;
-- Nanoseconds from the exchange's stamp to ours, and between any two.
CREATE OR REPLACE MACRO send_delay_ns(ts, ts_send) AS epoch_ns(ts) - epoch_ns(ts_send);
CREATE OR REPLACE MACRO diff_ns(later, earlier) AS epoch_ns(later) - epoch_ns(earlier);
-- Now, and a number of seconds ago, to compare stamps with: now() itself cannot be compared.
CREATE OR REPLACE MACRO utc_now() AS make_timestamp_ns(epoch_us(now()) * 1000)::TIMESTAMPTZ_NS;
CREATE OR REPLACE MACRO utc_ago(seconds) AS
    make_timestamp_ns(epoch_us(now()) * 1000 - (seconds::DOUBLE * 1e9)::BIGINT)::TIMESTAMPTZ_NS;
"""

FLAGS = {
    1: "truncated", 2: "unstamped", 4: "rebuilt_header", 8: "backwards", 16: "fragment", 32: "bad_checksum",
    64: "unparsed", 128: "bad_stamp", 2048: "switch_degraded", 4096: "switch_duplicate", 8192: "switch_implausible",
}  # fmt: skip
"""Bits of `flags` that the view of packets shows as booleans."""


def create_view(table: str, parts: Sequence[str], condition: str = "") -> str:
    """The statement that makes the view of a table.

    Args:
        table: Its name.
        parts: What to read from, each with the table's columns: `read_parquet([...])`, a name.
        condition: Of the rows that it shows; nothing: all.
    """
    columns = ", ".join(f'"{name}"' for name in table_schema(table).names)
    shown = columns
    if table == "packets":
        shown += "".join(f', (flags & {bit}) <> 0 AS "{name}"' for bit, name in FLAGS.items())
    where = f" WHERE {condition}" if condition else ""
    selects = [f"SELECT {columns} FROM {part}{where}" for part in parts]  # noqa: S608 - our own names
    return f'CREATE OR REPLACE VIEW "{table}" AS SELECT {shown} FROM ({" UNION ALL ".join(selects)});'  # noqa: S608


def read_files(paths: Sequence[str]) -> str:
    """What reads Parquet files."""
    return f"read_parquet([{', '.join(quoted(path) for path in paths)}])"


def quoted(text: str) -> str:
    """As a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


def write_sql(archive: Archive) -> Path:
    """Writes ARCHIVE/nanotape.sql anew, for `.read nanotape.sql` in a duckdb shell that was started in the archive.

    It shows what is compacted, and not what is still in segments; a table without Parquet files is empty there.

    Raises:
        ArchiveError: The archive cannot be read.
        OSError: The file cannot be written.
    """
    lines = ["-- Made by nanotape; made anew whenever files come or go. Start duckdb in this folder.", MACROS]
    for table in TABLES:
        files = [each.path.with_name(each.path.name.removesuffix(".part")) for each in archive.visible(table).parquet]
        relative = [path.relative_to(archive.path).as_posix() for path in files]
        lines.append(create_view(table, [read_files(relative)] if relative else [_nothing(table)]))
    lines.append(ARBITRATED)
    path = archive.path / SQL_NAME
    draft = path.with_name(SQL_NAME + ".new")
    draft.write_text("\n".join(lines) + "\n", encoding="utf-8")
    sync_file(draft)
    os.rename(draft, path)
    sync_directory(archive.path)
    return path


def _nothing(table: str) -> str:
    """An empty table with the right columns, for SQL that knows no Arrow."""
    columns = ", ".join(f'NULL::{_sql_type(str(field.type))} AS "{field.name}"' for field in table_schema(table))
    return f"(SELECT {columns} WHERE false)"


def _sql_type(arrow: str) -> str:
    known = {
        "timestamp[ns, tz=UTC]": "TIMESTAMPTZ_NS", "int64": "BIGINT", "int32": "INTEGER", "uint32": "UINTEGER",
        "uint16": "USMALLINT", "double": "DOUBLE", "binary": "BLOB",
    }  # fmt: skip
    return known.get(arrow, "VARCHAR")
