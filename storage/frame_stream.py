"""The frames that somebody chose of an archive, in the order in which they came, whatever files they lie in.

Rows of one ring in the order of its sequences, several rings merged by time. Memory is about `memory_bytes` for sorting
and as much again for reading, whatever is chosen: what does not fit is sorted in files in the folder for such (TMPDIR).
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from nanotape.storage.chosen_rows import ChosenRows
from nanotape.storage.errors import QueryError
from nanotape.storage.pcapng import LINKTYPE_ETHERNET, LINKTYPE_LINUX_SLL, LINKTYPE_LINUX_SLL2, LINKTYPE_RAW
from nanotape.storage.reader import ArchiveReader
from nanotape.storage.ring_merge import merge_rings
from nanotape.storage.selection import Selection
from nanotape.storage.sorted_runs import SortKey, sorted_batches
from nanotape.storage.views import quoted

LINK_TYPES = {1 << 8: LINKTYPE_LINUX_SLL, 1 << 9: LINKTYPE_LINUX_SLL2, 1 << 10: LINKTYPE_RAW}
"""By the bit of `flags` that says so; no bit: Ethernet."""
_LINK_BITS = sum(LINK_TYPES)
_LINK_SHIFT, _LINK_CODES = 8, 8
_BATCH_ROWS = 16384
_COLUMNS = (
    "ring_id", "interface", "flags", "ring_seq", "ts", "wire_len", "lost_before", "header", "payload", "trailer",
)  # fmt: skip
_BUDGET_SHARE = 4  # a sort takes about three times as much
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
    selection = _around(reader, choice)
    visible = [archive.visible("packets") for archive in reader.archives]  # once: an archive grows between two queries
    if choice.last_ns is not None:
        newest = ChosenRows(visible, selection, choice.where, ["ts"]).query("SELECT max(ns(ts)) AS newest").read_all()
        selection = _until(selection, newest.column("newest")[0].as_py(), choice.last_ns)
    light = ChosenRows(visible, selection, choice.where, ["host", "ring", "ring_id", "interface", "flags"])
    found = light.query(
        f"SELECT host, ring, ring_id, interface, flags & {_LINK_BITS} AS link, count(*) AS packets", "GROUP BY ALL"
    ).read_all()
    rows = sorted(found.to_pylist(), key=lambda row: (row["ring"], row["host"], row["ring_id"], row["interface"] or ""))
    rings = list(dict.fromkeys(row["ring_id"] for row in rows))
    interfaces = sorted({row["interface"] for row in rows if row["interface"] is not None})
    origins = {_number(row, rings, interfaces): _origin(row) for row in rows}
    chosen = ChosenRows(visible, selection, choice.where, _COLUMNS)
    tables = _sorted(chosen, rings, interfaces, memory_bytes // _BUDGET_SHARE)
    return FrameStream(origins, tables, sum(row["packets"] for row in rows), selection)


def _around(reader: ArchiveReader, choice: FrameChoice) -> Selection:
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


def _until(selection: Selection, newest_ns: int | None, last_ns: int) -> Selection:
    """Only so long before the newest; None: there is none."""
    return selection if newest_ns is None else _between(selection, newest_ns - last_ns, newest_ns + 1)


def _sorted(chosen: ChosenRows, rings: list[str], names: list[str], budget_bytes: int) -> Iterator[pa.Table]:
    """Rows sorted by ring and sequence; of several rings merged by time."""
    if not rings:
        return
    ring = _code("ring_id", rings)
    interface = f"coalesce({_code('interface', names)} + 1, 0)" if names else "0"
    query = (
        f"SELECT ring_id::{_enum(rings)} AS ring, {ring} AS ring_place, "
        f"(({ring} * {len(names) + 1} + {interface}) * {_LINK_CODES} "
        f"+ ((flags & {_LINK_BITS}) >> {_LINK_SHIFT})) AS origin, ring_seq, ns(ts) AS ts, wire_len, lost_before, "
        f"header || payload || trailer AS frame"
    )
    with tempfile.TemporaryDirectory(prefix="nanotape-frames-") as work:
        # DuckDB's own sort takes memory that grows with the rows, whatever limit it is given (tried).
        batches = map(_with_int32_places, chosen.query(query))
        tables = sorted_batches(batches, SortKey(("ring",), "ring_seq"), Path(work), budget_bytes)
        if len(rings) == 1:
            yield from tables
        else:
            rows = (batch for table in tables for batch in table.to_batches())
            yield from merge_rings(rows, "ring_place", "ts", len(rings), Path(work))


def _with_int32_places(batch: pa.RecordBatch) -> pa.RecordBatch:
    """DuckDB makes the places in a dictionary as small as can be; all else of ours has them as int32."""
    column = batch.column("ring")
    wider = pa.DictionaryArray.from_arrays(column.indices.cast(pa.int32()), column.dictionary)
    return pa.RecordBatch.from_arrays([wider, *batch.columns[1:]], names=batch.schema.names)


def _enum(words: list[str]) -> str:
    return f"ENUM({', '.join(quoted(word) for word in words)})"


def _code(column: str, words: list[str]) -> str:
    return f"enum_code({column}::{_enum(words)})::INTEGER"


def _number(row: dict[str, Any], rings: list[str], names: list[str]) -> int:
    """As the query numbers origins."""
    interface = 0 if row["interface"] is None else names.index(row["interface"]) + 1
    link: int = row["link"] >> _LINK_SHIFT
    return (rings.index(row["ring_id"]) * (len(names) + 1) + interface) * _LINK_CODES + link


def _origin(row: dict[str, Any]) -> Origin:
    link_type = LINK_TYPES.get(row["link"], LINKTYPE_ETHERNET)
    return Origin(row["host"], row["ring"], row["ring_id"], row["interface"], link_type)
