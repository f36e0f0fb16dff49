"""One or several archives as a quant reads them: segments and Parquet alike, live rows too, each row once.

Each call looks at the archives anew. Stamps keep every nanosecond and their zone, or the method says what it returns
instead. Needs no native code, and never writes.
"""

import glob
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.dataset as pds

from nanotape.storage.archive import Archive, Visible, projected
from nanotape.storage.errors import ArchiveError
from nanotape.storage.instants import Instant
from nanotape.storage.parquet_dataset import parquet_dataset
from nanotape.storage.segment_facts import check_segment, read_segment
from nanotape.storage.selection import Selection
from nanotape.storage.table_schemas import TABLES, table_schema

if TYPE_CHECKING:
    import duckdb
    import polars

    from nanotape.storage.arbitration import Arbitration

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


def open_archive(path: Paths) -> "ArchiveReader":
    """Opens an archive, or those of several hosts as one.

    Args:
        path: A directory, a glob such as `/mnt/*/archive`, or a list of these.

    Raises:
        ArchiveError: One is no archive, or a glob finds none.
    """
    given = [path] if isinstance(path, str | os.PathLike) else list(path)
    found: list[str] = []
    for each in [os.fspath(name) for name in given]:
        matches = [each] if os.path.exists(each) else sorted(glob.glob(each))
        if not matches:
            raise ArchiveError(f"{each}: an archive directory expected, found nothing; correct the path")
        found += matches
    return ArchiveReader([Archive(each) for each in dict.fromkeys(found)])


class ArchiveReader:
    """See the module. Make it with `open_archive`."""

    def __init__(self, archives: Sequence[Archive]) -> None:
        """Looks at nothing yet."""
        self.archives = tuple(archives)

    def dataset(self, table: str = "packets", *, live: bool = True, selection: Selection | None = None) -> pds.Dataset:
        """All of a table as a dataset of pyarrow, of what is visible now.

        Stamps are timestamp[ns, UTC]; Python's own datetime, as in `to_pylist`, ends at microseconds: cast to int64.
        A filter on the stamp leaves out Parquet files by what their manifests say.

        Args:
            table: One of packets, events, stats, counters, channels, clock.
            live: Whether what is still being written is in it; it is held in memory then.
            selection: Files without any of these rows are left out; the rows of the others are all there.
        """
        schema = table_schema(table)
        parts: list[pds.Dataset] = []
        for visible in self.visible(table, selection):
            parts += [parquet_dataset(visible.parquet, schema)] if visible.parquet else []
            complete = [facts for facts in visible.segments if facts.complete and not facts.cut]
            for facts in complete:
                check_segment(facts)  # Arrow itself would read damage and say nothing
            parts += [pds.dataset([str(each.path) for each in complete], schema, format="ipc")] if complete else []
            rows = [batch for each in visible.segments if each not in complete for batch in read_segment(each, schema)]
            parts += [pds.dataset(pa.Table.from_batches(rows, schema))] if rows and live else []
        return pds.dataset(parts) if parts else pds.dataset(schema.empty_table())

    def connect(
        self,
        tables: Sequence[str] | None = None,
        selection: Selection | None = None,
        memory_bytes: int | None = None,
    ) -> "duckdb.DuckDBPyConnection":
        """A connection of DuckDB with a view for each table and the macros of `views.py`; its time zone is UTC.

        Stamps are TIMESTAMPTZ_NS. `fetchall` makes datetimes of them, which end at microseconds, and needs pytz: take
        `.to_arrow_table()`, or `ns(ts)`.

        Args:
            tables: Only these, or `arbitrated` and `messages`; None: all.
            selection: The views have only rows of its time, and files without any of them are not opened; names
                choose none.
            memory_bytes: What DuckDB may hold before it writes temporary files; None: a quarter of the machine's.
        """
        return self._connected(tables or (*TABLES, *_VIEWS), selection, memory_bytes)[0]

    def sql(
        self,
        query: str,
        *,
        start: Instant | None = None,
        end: Instant | None = None,
        tz: str | None = None,
        sealed: bool = False,
        memory_bytes: int | None = None,
    ) -> "duckdb.DuckDBPyRelation":
        """Runs a query over the views, and gives what DuckDB calls a relation; see `connect` for its stamps.

        Args:
            query: SQL.
            start: The views show rows from this moment on, and files that have only earlier ones are not opened. Of
                events those that were going on then are shown too, and all channels that were in force.
            end: The views show rows up to this moment, excluded.
            tz: Zone that `start` and `end` are meant in where they name none; None: UTC.
            sealed: Refuse all but one SELECT, and let it read nothing but the archives.
            memory_bytes: What DuckDB may hold before it writes temporary files; None: a quarter of the machine's.

        Raises:
            duckdb.Error: The query is wrong.
            QueryError: `sealed`, and it is not one SELECT.
        """
        from nanotape.storage.connection import check_reads, seal

        selection = Selection.of(start=start, end=end, tz=tz)
        named = [table for table in (*TABLES, *_VIEWS) if table in query.lower()] or ["packets"]
        connection, tables = self._connected(named, selection, memory_bytes)
        if sealed:
            check_reads(connection, query)
            seal(connection, tables)
        return connection.sql(query)

    def to_polars(self, table: str = "packets", **chosen: Any) -> "polars.LazyFrame":
        """A table as a lazy frame; stamps are Datetime("ns", "UTC"). Live rows are held in memory.

        Args:
            table: One of packets, events, stats, counters, channels, clock.
            chosen: As in `packets`, but columns: files without any of these rows are not opened. Of filters that come
                later Polars passes on only those that compare with Python's datetimes, texts and numbers.
        """
        import polars

        selection = Selection.of(**chosen)
        dataset, wanted = self.dataset(table, selection=selection), selection.expression(table)
        return polars.scan_pyarrow_dataset(dataset if wanted is None else dataset.filter(wanted))

    def packets(
        self,
        *,
        feed: str | Sequence[str] | None = None,
        channel: str | Sequence[str] | None = None,
        line: str | Sequence[str] | None = None,
        date: str | Sequence[str] | None = None,
        start: Instant | None = None,
        end: Instant | None = None,
        tz: str | None = None,
        columns: Sequence[str] | None = None,
    ) -> pa.RecordBatchReader:
        """Packets as they are needed: memory stays at about a batch for each of a few files.

        Stamps are timestamp[ns, UTC]; with pandas, `read_pandas()` gives datetime64[ns, UTC].

        Args:
            feed: Only of these feeds.
            channel: Only of these channels.
            line: Only of these lines.
            date: Only recorded on these UTC days, YYYY-MM-DD.
            start: From this moment on, included; see Instant.
            end: Up to this moment, excluded.
            tz: Zone that moments without one are meant in; None: UTC.
            columns: Only these, in this order; None: all.

        Raises:
            QueryError: One of them is not what it should be.
            ArchiveError: A file cannot be read.
        """
        selection = Selection.of(feed=feed, channel=channel, line=line, date=date, start=start, end=end, tz=tz)
        return self.select("packets", selection, columns)

    def select(self, table: str, selection: Selection, columns: Sequence[str] | None = None) -> pa.RecordBatchReader:
        """The rows of a table that a selection has, as they are needed; see `packets`."""
        schema = projected(table, columns)
        return pa.RecordBatchReader.from_batches(schema, self._selected(table, selection, schema))

    def events(self, *, kind: str | Sequence[str] | None = None, **chosen: Any) -> pa.Table:
        """Events, in the order in which they began; chosen as in `packets`, and by kind.

        `start` leaves none out that was still going on then.
        """
        return self._table("events", {"kind": kind}, chosen)

    def stats(self, **chosen: Any) -> pa.Table:
        """Traffic by second, channel and line; chosen as in `packets`. Sum up rows of the same second."""
        return self._table("stats", {}, chosen)

    def counters(self, **chosen: Any) -> pa.Table:
        """The books, a row a second, stage and source; chosen by date, start, end, tz."""
        return self._table("counters", {}, chosen)

    def clock(self, **chosen: Any) -> pa.Table:
        """States of clocks, a row a second and clock; chosen by date, start, end, tz."""
        return self._table("clock", {}, chosen)

    def channels(self, **chosen: Any) -> pa.Table:
        """Which flows were configured from when on; chosen as in `packets`. After `start` they still are in force."""
        return self._table("channels", {}, chosen)

    def coverage(self, **chosen: Any) -> pa.Table:
        """For each channel and interval whether what is there is complete; see `coverage.py`."""
        from nanotape.storage.coverage import coverage

        return coverage(self, **chosen)

    def arbitrate(self, channel: str, **chosen: Any) -> "Arbitration":
        """Each sequence of a channel once, from the line that brought it first; see `arbitration.arbitrate`."""
        from nanotape.storage.arbitration import arbitrate

        return arbitrate(self, channel, **chosen)

    def messages(
        self,
        *,
        feed: str | Sequence[str] | None = None,
        channel: str | Sequence[str] | None = None,
        line: str | Sequence[str] | None = None,
        date: str | Sequence[str] | None = None,
        start: Instant | None = None,
        end: Instant | None = None,
        tz: str | None = None,
    ) -> pa.RecordBatchReader:
        """Each packet split into its messages, as they are needed; chosen as in `packets`, and in no other order.

        Packets that cannot be split give a row that says so; see `messages.py`. Of channels that `unsplit` names there
        is none.
        """
        selection = Selection.of(feed=feed, channel=channel, line=line, date=date, start=start, end=end, tz=tz)
        return self.split(selection)

    def split(self, selection: Selection) -> pa.RecordBatchReader:
        """See `messages`."""
        from nanotape.storage.channel_framings import ChannelFramings
        from nanotape.storage.messages import PACKET_COLUMNS, SCHEMA, message_batches

        packets = self.select("packets", selection, PACKET_COLUMNS)
        batches = message_batches(packets, ChannelFramings.of(self.archives))
        return pa.RecordBatchReader.from_batches(SCHEMA, batches)

    def unsplit(self) -> dict[str, str]:
        """Channels that `messages` has no rows of, and their framing, which does not say where messages end."""
        from nanotape.storage.channel_framings import ChannelFramings

        return ChannelFramings.of(self.archives).unsplit()

    def _table(
        self, table: str, names: Mapping[str, str | Sequence[str] | None], chosen: Mapping[str, Any]
    ) -> pa.Table:
        selection = Selection.of(names=names, **chosen)
        rows = self.select(table, selection).read_all()
        return rows.unify_dictionaries().combine_chunks().sort_by(selection.stamp(table))

    def _connected(
        self, names: Sequence[str], selection: Selection | None, memory_bytes: int | None
    ) -> tuple["duckdb.DuckDBPyConnection", dict[str, list[Visible]]]:
        """A connection with these views, and what the tables among them are made of."""
        from nanotape.storage.arbitration_sql import ARBITRATED
        from nanotape.storage.connection import connect

        needed = {*names, *(["packets"] if "arbitrated" in names else [])}
        tables = {table: self.visible(table, selection) for table in TABLES if table in needed}
        connection = connect(tables, selection, memory_bytes)
        if "arbitrated" in names:
            connection.execute(ARBITRATED)
        if "messages" in names:  # loads what knows framings, which others need not wait for
            from nanotape.storage.messages import MessageStream

            connection.register("messages", MessageStream(lambda: self.split(selection or Selection())))
        return connection, tables

    def visible(self, table: str, selection: Selection | None = None) -> list[Visible]:
        """What is visible of a table now in each archive, without files that have no row of the selection."""
        found = [archive.visible(table) for archive in self.archives]
        return [selection.narrowed(visible) for visible in found] if selection else found

    def _selected(self, table: str, selection: Selection, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        wanted = selection.expression(table)
        read = pa.schema([*schema, *(each for each in selection.fields(table) if each.name not in schema.names)])
        for visible in self.visible(table, selection):
            if visible.parquet:
                dataset = parquet_dataset(visible.parquet, table_schema(table))
                yield from dataset.to_batches(schema.names, filter=wanted, batch_readahead=1, fragment_readahead=1)
            for facts in visible.segments:
                for batch in read_segment(facts, read):
                    chosen = pa.Table.from_batches([batch])
                    chosen = chosen if wanted is None else chosen.filter(wanted)
                    yield from chosen.select(schema.names).cast(schema).to_batches()


_VIEWS = ("arbitrated", "messages")
