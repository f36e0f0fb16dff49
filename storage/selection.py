"""Which rows of a table are wanted, and which files can have any of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pds

from nanotape.storage.archive import Visible
from nanotape.storage.errors import QueryError
from nanotape.storage.instants import Instant, instant_ns
from nanotape.storage.parquet_facts import Bounds, ParquetFacts
from nanotape.storage.parquet_writing import STAMP_OF
from nanotape.storage.schema import TIMESTAMP
from nanotape.storage.table_schemas import table_schema

Words = str | Sequence[str] | None

_LASTING = {"events": "ts_end"}
"""Tables of what lasts, and when it ended: wanted is what was going on at any time of the selection."""
_IN_FORCE = ("channels",)
"""Tables of what is in force from its stamp on, and so after `start` as well."""


@dataclass(frozen=True, slots=True)
class Selection:
    """All conditions hold; None or nothing leaves one out."""

    names: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Columns of text, and what may stand there."""
    dates: frozenset[str] | None = None
    """UTC days of recording, YYYY-MM-DD."""
    start_ns: int | None = None
    """UTC, included."""
    end_ns: int | None = None
    """UTC, excluded."""

    @classmethod
    def of(
        cls,
        *,
        feed: Words = None,
        channel: Words = None,
        line: Words = None,
        names: Mapping[str, Words] | None = None,
        date: Words = None,
        start: Instant | None = None,
        end: Instant | None = None,
        tz: str | None = None,
    ) -> Self:
        """From what a caller writes; see `ArchiveReader.packets`.

        Raises:
            QueryError: One of them is not what it should be.
        """
        words = {"feed": feed, "channel": channel, "line": line, **(names or {})}
        start_ns = None if start is None else instant_ns(start, tz)
        end_ns = None if end is None else instant_ns(end, tz)
        if start_ns is not None and end_ns is not None and end_ns < start_ns:
            raise QueryError(f"end: a moment after start expected, found {end!r} before {start!r}; exchange them")
        chosen = tuple((name, _several(each)) for name, each in words.items() if each is not None)
        return cls(chosen, None if date is None else frozenset(map(_day, _several(date))), start_ns, end_ns)

    def stamp(self, table: str) -> str:
        """The column that `start_ns` and `end_ns` are about."""
        return STAMP_OF[table]

    def expression(self, table: str) -> pds.Expression | None:
        """For pyarrow; None: all rows are wanted.

        Raises:
            QueryError: The table has no such column.
        """
        parts = []
        for field in self.fields(table):
            known = dict(self.names)
            if field.name in known:
                parts.append(pds.field(field.name).isin(pa.array(known[field.name], pa.string())))
        stamp = pds.field(STAMP_OF[table])
        if self.start_ns is not None and table not in _IN_FORCE:
            last = pc.coalesce(pds.field(_LASTING[table]), stamp) if table in _LASTING else stamp
            parts.append(last >= pa.scalar(self.start_ns, pa.int64()).cast(TIMESTAMP))
        if self.end_ns is not None:
            parts.append(stamp < pa.scalar(self.end_ns, pa.int64()).cast(TIMESTAMP))
        return reduce(lambda one, other: one & other, parts) if parts else None

    def condition(self, table: str) -> str:
        """Of the time alone, as SQL over a connection with our macros; nothing: all rows are wanted."""
        stamp, parts = STAMP_OF[table], []
        if self.start_ns is not None and table not in _IN_FORCE:
            last = f"coalesce({_LASTING[table]}, {stamp})" if table in _LASTING else stamp
            parts.append(f"{last} >= instant({self.start_ns})")
        if self.end_ns is not None:
            parts.append(f"{stamp} < instant({self.end_ns})")
        return " AND ".join(parts)

    def fields(self, table: str) -> list[pa.Field]:
        """The columns that the conditions are about.

        Raises:
            QueryError: The table has no such column.
        """
        schema = table_schema(table)
        for name, _ in self.names:
            if name not in schema.names:
                raise QueryError(f"{name}: a column of {table} expected, found none of this name")
        timed = self.start_ns is not None or self.end_ns is not None
        stamps = [STAMP_OF[table], *([_LASTING[table]] if table in _LASTING else [])] if timed else []
        return [schema.field(name) for name in (*(name for name, _ in self.names), *stamps)]

    def narrowed(self, visible: Visible) -> Visible:
        """Without the files that have none of the rows, as far as that can be told without opening them."""
        return replace(
            visible,
            parquet=tuple(each for each in visible.parquet if self._can_be_in(each)),
            segments=tuple(each for each in visible.segments if self.dates is None or each.date in self.dates),
        )

    def can_be_in(self, bounds: Bounds) -> bool:
        """Whether rows whose columns of text have these bounds can be among those that are wanted."""
        return all(
            any(bounds[name][0] <= word <= bounds[name][1] for word in words)
            for name, words in self.names
            if name in bounds
        )

    def _can_be_in(self, file: ParquetFacts) -> bool:
        lowest, highest = file.entry.ts_min_ns, file.entry.ts_max_ns
        if self.dates is not None and file.date not in self.dates:
            return False
        if lowest is None or highest is None:
            return True
        return not (
            (self.start_ns is not None and highest < self.start_ns and file.table not in (*_LASTING, *_IN_FORCE))
            or (self.end_ns is not None and lowest >= self.end_ns)
        )


def _several(words: str | Sequence[str]) -> tuple[str, ...]:
    return (words,) if isinstance(words, str) else tuple(words)


def _day(text: str) -> str:
    ns = instant_ns(text)
    if len(text) != 10 or ns % (86_400 * 10**9):
        raise QueryError(f"date {text!r}: a UTC day such as 2026-11-20 expected")
    return text
