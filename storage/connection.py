"""A connection of DuckDB over what is visible of some archives: Parquet read natively, segments as Arrow streams.

Memory is bounded: what a query needs beyond a quarter of the machine's goes to a folder for temporary files. Segments
are streamed from the disk anew for each query that reads them.
"""

import contextlib
import os
import re
import resource
import tempfile
from collections.abc import Mapping, Sequence

import duckdb
import pyarrow as pa
import pyarrow.ipc as ipc

from nanotape.storage.archive import Visible
from nanotape.storage.errors import QueryError
from nanotape.storage.segment_facts import SegmentFacts, check_segment, present_path
from nanotape.storage.selection import Selection
from nanotape.storage.sidecar import FIRST_MESSAGE_OFFSET
from nanotape.storage.table_schemas import table_schema
from nanotape.storage.views import MACROS, create_view, quoted, read_files

_SHARE_OF_MEMORY = 4
_EXPLAIN = re.compile(r"\s*EXPLAIN(\s+ANALYZE)?\b", re.IGNORECASE)
_READING = ("SELECT", "MULTI")
"""Statements, as DuckDB calls them, that change nothing; PIVOT is of several parts."""


class _SegmentStream:
    """The visible rows of a segment, streamed natively from the disk each time that somebody asks.

    A dataset of pyarrow would read only the columns that are needed, but crashes when a query scans it twice at once
    (DuckDB 2.0.0 with pyarrow 26.0.1, tried: a segmentation fault within a minute).
    """

    def __init__(self, facts: SegmentFacts) -> None:
        self._facts = facts

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """A fresh stream; see Arrow's PyCapsule interface."""
        file = pa.OSFile(str(present_path(self._facts)), "r")
        covered = file.get_stream(FIRST_MESSAGE_OFFSET, self._facts.end - FIRST_MESSAGE_OFFSET)
        return ipc.open_stream(covered).__arrow_c_stream__(requested_schema)


def connect(
    tables: Mapping[str, Sequence[Visible]], selection: Selection | None = None, memory_bytes: int | None = None
) -> duckdb.DuckDBPyConnection:
    """A connection with a view for each table.

    Args:
        tables: What is visible of each, in each archive.
        selection: The views show the rows in its time only; None: all.
        memory_bytes: What DuckDB may hold; None: a quarter of the machine's, or of what ulimit allows this process.

    Raises:
        ArchiveError: A segment is damaged, or cannot be read.
    """
    memory = memory_bytes or _memory_bytes() // _SHARE_OF_MEMORY
    connection = duckdb.connect(
        config={
            "autoinstall_known_extensions": "false",
            "memory_limit": f"{memory // 2**20}MiB",
            "temp_directory": os.path.join(tempfile.gettempdir(), f"nanotape-duckdb-{os.getuid()}"),
            "preserve_insertion_order": "false",
        }
    )
    connection.execute("SET enable_progress_bar = false")  # it goes to standard output, which belongs to data
    with contextlib.suppress(duckdb.Error):  # without its time zone extension DuckDB knows no zone but UTC
        connection.execute("SET TimeZone = 'UTC'")
    for statement in MACROS.split(";")[1:]:
        if statement.strip():
            connection.execute(statement)
    for table, found in tables.items():
        condition = selection.condition(table) if selection else ""
        connection.execute(create_view(table, _parts(connection, table, found), condition))
    return connection


def seal(connection: duckdb.DuckDBPyConnection, tables: Mapping[str, Sequence[Visible]]) -> None:
    """From now on it reads files of the archives only, writes none but its own for what memory does not hold.

    Of COPY to an archive's own file only `check_reads` knows: run nothing else.
    """
    files = [_now(str(each.path)) for found in tables.values() for visible in found for each in visible.parquet]
    [temporary] = connection.execute("SELECT current_setting('temp_directory')").fetchone() or [""]
    for statement in (
        f"SET allowed_paths = [{', '.join(map(quoted, files))}]",
        f"SET allowed_directories = [{quoted(temporary)}]",
        "SET enable_external_access = false",
        "SET python_enable_replacements = false",
        "SET lock_configuration = true",
    ):
        connection.execute(statement)


def check_reads(connection: duckdb.DuckDBPyConnection, query: str) -> None:
    """That a query is one statement, and asks only.

    Raises:
        QueryError: It is not.
        duckdb.Error: It is no SQL.
    """
    found = [each.type.name for each in connection.extract_statements(_EXPLAIN.sub("", query, count=1))]
    if len(found) != 1 or found[0] not in _READING:
        raise QueryError(f"SQL: one SELECT expected, found {', '.join(found) or 'nothing'}; an archive is only read")


def _memory_bytes() -> int:
    """Of the machine, or what this process may have of it."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    allowed, _ = resource.getrlimit(resource.RLIMIT_AS)
    return machine if allowed == resource.RLIM_INFINITY else min(machine, allowed)


def _parts(connection: duckdb.DuckDBPyConnection, table: str, found: Sequence[Visible]) -> list[str]:
    files = [str(_now(str(each.path))) for visible in found for each in visible.parquet]
    segments = [facts for visible in found for facts in visible.segments]
    for facts in segments:
        check_segment(facts)
    parts = [read_files(files)] if files else []
    for number, facts in enumerate(segments):
        connection.register(f"{table}_segment_{number}", _SegmentStream(facts))
        parts.append(f"{table}_segment_{number}")
    if not parts:
        connection.register(f"{table}_nothing", table_schema(table).empty_table())
        parts.append(f"{table}_nothing")
    return parts


def _now(path: str) -> str:
    """The name that a file which was just committed has by now."""
    return path if os.path.exists(path) else path.removesuffix(".part")
