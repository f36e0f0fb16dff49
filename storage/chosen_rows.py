# ruff: noqa: S608 - what comes from outside is checked and quoted; a caller's own condition is meant to be SQL
"""The packets of a selection and a condition in SQL, as they lie in the files, through DuckDB.

Parquet files it reads itself; segments are handed to it batch by batch, so that memory stays at some batches however
long they are.
"""

from collections.abc import Iterator, Sequence

import pyarrow as pa

from nanotape.storage.archive import Visible, projected
from nanotape.storage.errors import QueryError, StorageError
from nanotape.storage.segment_facts import read_segment
from nanotape.storage.selection import Selection
from nanotape.storage.table_schemas import table_schema
from nanotape.storage.views import FLAGS, quoted, read_files

_BATCH_ROWS = 16384
_MEMORY_LIMIT_BYTES = 256 << 20


class ChosenRows:
    """Rows to query, once or more often."""

    def __init__(
        self, visible: Sequence[Visible], selection: Selection, where: str | None, columns: Sequence[str]
    ) -> None:
        """Reads nothing yet.

        Args:
            visible: The packets that are visible, of each archive: the same for all queries that have to agree.
            selection: What is wanted.
            where: A condition in SQL over the columns of the view `packets`; None: none.
            columns: What queries will read; the condition may name others.
        """
        self._selection, self._where = selection, where
        names = [*columns, *(each.name for each in selection.fields("packets"))]
        self._columns = table_schema("packets").names if where is not None else list(dict.fromkeys(names))
        self._visible = [selection.narrowed(each) for each in visible]

    def query(self, select: str, rest: str = "") -> pa.RecordBatchReader:
        """Runs a query.

        Args:
            select: Its SELECT, without FROM.
            rest: What follows its WHERE.

        Returns:
            The rows, as they are needed.

        Raises:
            QueryError: The condition is not one of SQL, here or while rows are read.
            ArchiveError: A file cannot be read; likewise.
        """
        import duckdb

        from nanotape.storage.connection import connect

        failures: list[StorageError] = []
        connection = connect({})
        connection.execute(f"SET memory_limit = '{_MEMORY_LIMIT_BYTES >> 20}MiB'")
        schema = projected("packets", self._columns)
        segments = _told(self._segments(schema), failures)
        connection.register("segments", pa.RecordBatchReader.from_batches(schema, segments))
        try:
            connection.execute(f"CREATE VIEW packets AS {self._union()}")
            rows = connection.sql(f"{select} FROM packets {self._condition()} {rest}").to_arrow_reader(_BATCH_ROWS)
        except duckdb.Error as error:
            raise self._refusal(error, failures) from None
        return pa.RecordBatchReader.from_batches(rows.schema, self._given(rows, failures))

    def _given(self, rows: pa.RecordBatchReader, failures: list[StorageError]) -> Iterator[pa.RecordBatch]:
        import duckdb

        try:
            yield from rows
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            raise self._refusal(error, failures) from None

    def _segments(self, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        for visible in self._visible:
            for facts in visible.segments:
                yield from read_segment(facts, schema)

    def _union(self) -> str:
        columns = ", ".join(f'"{name}"' for name in self._columns)
        if self._where is not None:
            columns += "".join(f', (flags & {bit}) <> 0 AS "{name}"' for bit, name in FLAGS.items())
        parts = ["segments", *(read_files(files) for files in [_parquet(self._visible)] if files)]
        return " UNION ALL ".join(f"SELECT {columns} FROM {part}" for part in parts)

    def _condition(self) -> str:
        """The conditions as a clause of SQL; nothing without any."""
        parts = [
            f'"{name}" IN ({", ".join(quoted(word) for word in words)})' if words else "false"
            for name, words in self._selection.names
        ]
        if self._selection.start_ns is not None:
            parts.append(f"ts >= instant({self._selection.start_ns})")
        if self._selection.end_ns is not None:
            parts.append(f"ts < instant({self._selection.end_ns})")
        if self._where is not None:
            parts.append(f"({self._where}\n)")
        return f"WHERE {' AND '.join(parts)}" if parts else ""

    def _refusal(self, error: Exception, failures: list[StorageError]) -> StorageError:
        """What went wrong in a file, if anything did; else what DuckDB has against the condition."""
        if failures:
            return failures[0]
        words = " ".join(str(error).split())
        return QueryError(f"condition {self._where!r}: {words}" if self._where is not None else words)


def _told(batches: Iterator[pa.RecordBatch], failures: list[StorageError]) -> Iterator[pa.RecordBatch]:
    """DuckDB would make a text of an error; here it is kept."""
    try:
        yield from batches
    except StorageError as error:
        failures.append(error)
        raise


def _parquet(found: Sequence[Visible]) -> list[str]:
    """Files under the names that they have by now: a new one loses its .part."""
    paths = [each.path for visible in found for each in visible.parquet]
    return [str(path if path.exists() else path.with_name(path.name.removesuffix(".part"))) for path in paths]
