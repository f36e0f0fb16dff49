# ruff: noqa: S608 - what comes from outside is checked and quoted; a caller's own condition is meant to be SQL
"""The frames that somebody chose of an archive, in the order in which they came, whatever files they lie in.

Rows of one ring in the order of its sequences, several rings merged by time. Memory is `memory_bytes` and some batches:
DuckDB sorts on disk beyond it.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from nanotape.storage.errors import QueryError
from nanotape.storage.pcapng import LINKTYPE_ETHERNET, LINKTYPE_LINUX_SLL, LINKTYPE_LINUX_SLL2, LINKTYPE_RAW
from nanotape.storage.reader import ArchiveReader
from nanotape.storage.ring_merge import merge_rings
from nanotape.storage.selection import Selection
from nanotape.storage.views import quoted

if TYPE_CHECKING:
    import duckdb

LINK_TYPES = {1 << 8: LINKTYPE_LINUX_SLL, 1 << 9: LINKTYPE_LINUX_SLL2, 1 << 10: LINKTYPE_RAW}
"""By the bit of `flags` that says so; no bit: Ethernet."""
_LINK_BITS = sum(LINK_TYPES)
_LINK_SHIFT, _LINK_CODES = 8, 8
_BATCH_ROWS = 16384
DEFAULT_MEMORY_BYTES = 512 << 20


@dataclass(frozen=True, slots=True)
class FrameChoice:
    """Which packets are wanted; all conditions hold."""

    selection: Selection = field(default_factory=Selection)
    where: str | None = None
    """A condition in SQL over the columns of `packets`; None: none."""
    last_ns: int | None = None
    """Only so long before the newest of them, that one included; None: no limit."""
    around: str | None = None
    """Only about the event of this id; None: no limit."""
    pad_ns: int = 0
    """How much before the event's start and after its end."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where frames came from: what a capture file calls an interface."""

    host: str
    ring: str
    ring_id: str
    interface: str | None
    """None: unknown."""
    link_type: int
    """LINKTYPE_*, of tcpdump.org."""


@dataclass(frozen=True, slots=True)
class FrameStream:
    """What was chosen, and where it came from."""

    origins: dict[int, Origin]
    """By the number in the column `origin`; of some there may be no frame."""
    tables: Iterator[pa.Table]
    """Columns `ring_place` (the same for the same ring_id), `origin`, `ring_seq`, `ts` (UTC, nanoseconds), `wire_len`,
    `lost_before`, `frame`."""
    packets: int
    """Rows that there are in all."""
    selection: Selection
    """What was asked for, with the moments that it comes to."""

    def moderate_tables(self) -> Iterator[pa.Table]:
        """The tables, each of moderate size."""
        for table in self.tables:
            for begin in range(0, table.num_rows, _BATCH_ROWS):
                yield table.slice(begin, _BATCH_ROWS)


def frame_stream(reader: ArchiveReader, choice: FrameChoice, memory_bytes: int = DEFAULT_MEMORY_BYTES) -> FrameStream:
    """Finds out where the chosen packets came from; they are sorted when the first table is taken.

    Raises:
        QueryError: The condition is not one of SQL, or there is no such event.
        ArchiveError: A file cannot be read.
    """
    import duckdb

    selection = resolved_around(reader, choice)
    connection = reader.connect(["packets"], selection)
    connection.execute(f"SET memory_limit = '{memory_bytes >> 20}MiB'")
    try:
        if choice.last_ns is not None:
            selection = _last(connection, choice, selection)
        condition = _condition(choice, selection)
        found = connection.sql(
            f"SELECT host, ring, ring_id, interface, flags & {_LINK_BITS} AS link, count(*) AS packets "
            f"FROM packets {condition} GROUP BY ALL"
        ).to_arrow_table()
    except duckdb.Error as error:
        raise _refusal(choice, error) from None
    rows = sorted(found.to_pylist(), key=lambda row: (row["ring"], row["host"], row["ring_id"], row["interface"] or ""))
    rings = list(dict.fromkeys(row["ring_id"] for row in rows))
    interfaces = sorted({row["interface"] for row in rows if row["interface"] is not None})
    origins = {_number(row, rings, interfaces): _origin(row) for row in rows}
    tables = _sorted(connection, choice, condition, rings, interfaces)
    return FrameStream(origins, tables, sum(row["packets"] for row in rows), selection)


def resolved_around(reader: ArchiveReader, choice: FrameChoice) -> Selection:
    """The selection, narrowed to the surroundings of the event if one is named.

    Raises:
        QueryError: There is no such event.
    """
    selection = choice.selection
    if choice.around is None:
        return selection
    events = reader.select("events", Selection(names=(("id", (choice.around,)),)), ["ts_start", "ts_end"]).read_all()
    if not events.num_rows:
        raise QueryError(
            f"event {choice.around}: expected the id of one in this archive, found none; "
            "see the column id of the view events"
        )
    start, end = (events.column(name).cast(pa.int64()).to_pylist() for name in ("ts_start", "ts_end"))
    first, last = min(start), max([*start, *(each for each in end if each is not None)])
    return _between(selection, first - choice.pad_ns, last + choice.pad_ns + 1)


def _between(selection: Selection, start_ns: int, end_ns: int) -> Selection:
    starts = [start_ns] if selection.start_ns is None else [start_ns, selection.start_ns]
    ends = [end_ns] if selection.end_ns is None else [end_ns, selection.end_ns]
    return replace(selection, start_ns=max(starts), end_ns=min(ends))


def _last(connection: "duckdb.DuckDBPyConnection", choice: FrameChoice, selection: Selection) -> Selection:
    newest = connection.sql(f"SELECT max(ns(ts)) FROM packets {_condition(choice, selection)}").fetchall()[0][0]
    if newest is None or choice.last_ns is None:
        return selection
    return _between(selection, newest - choice.last_ns, newest + 1)


def _condition(choice: FrameChoice, selection: Selection) -> str:
    """The conditions as a clause of SQL; nothing without any."""
    parts = [
        f'"{field}" IN ({", ".join(quoted(word) for word in words)})' if words else "false"
        for field, words in selection.names
    ]
    if selection.start_ns is not None:
        parts.append(f"ts >= instant({selection.start_ns})")
    if selection.end_ns is not None:
        parts.append(f"ts < instant({selection.end_ns})")
    if choice.where is not None:
        parts.append(f"({choice.where}\n)")
    return f"WHERE {' AND '.join(parts)}" if parts else ""


def _sorted(
    connection: "duckdb.DuckDBPyConnection", choice: FrameChoice, condition: str, rings: list[str], names: list[str]
) -> Iterator[pa.Table]:
    """Rows by ring and sequence as DuckDB sorts them; of several rings merged by time."""
    import duckdb

    if not rings:
        return
    ring = _code("ring_id", rings)
    interface = f"coalesce({_code('interface', names)} + 1, 0)" if names else "0"
    query = (
        f"SELECT {ring} AS ring_place, (({ring} * {len(names) + 1} + {interface}) * {_LINK_CODES} "
        f"+ ((flags & {_LINK_BITS}) >> {_LINK_SHIFT})) AS origin, ring_seq, ns(ts) AS ts, wire_len, lost_before, "
        f"header || payload || trailer AS frame FROM packets {condition} ORDER BY ring_place, ring_seq"
    )
    with tempfile.TemporaryDirectory(prefix="nanotape-frames-") as work:
        connection.execute(f"SET temp_directory = {quoted(work)}")
        try:
            rows = connection.sql(query).to_arrow_reader(_BATCH_ROWS)
            if len(rings) == 1:
                yield from (pa.Table.from_batches([batch]) for batch in rows)
            else:
                yield from merge_rings(rows, "ring_place", "ts", len(rings), Path(work))
        except duckdb.Error as error:
            raise _refusal(choice, error) from None


def _code(column: str, words: list[str]) -> str:
    return f"enum_code({column}::ENUM({', '.join(quoted(word) for word in words)}))::INTEGER"


def _number(row: dict[str, Any], rings: list[str], names: list[str]) -> int:
    """As the query numbers origins."""
    interface = 0 if row["interface"] is None else names.index(row["interface"]) + 1
    link: int = row["link"] >> _LINK_SHIFT
    return (rings.index(row["ring_id"]) * (len(names) + 1) + interface) * _LINK_CODES + link


def _origin(row: dict[str, Any]) -> Origin:
    link_type = LINK_TYPES.get(row["link"], LINKTYPE_ETHERNET)
    return Origin(row["host"], row["ring"], row["ring_id"], row["interface"], link_type)


def _refusal(choice: FrameChoice, error: Exception) -> QueryError:
    words = " ".join(str(error).split())
    return QueryError(f"--where {choice.where!r}: {words}" if choice.where is not None else words)
