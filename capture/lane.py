"""One ring's part in a merge: reads it, and holds its rows until their turn has come.

A held row has the common columns of the merge: addresses count in one dictionary for all rings.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from nanotape.capture.columns import FLAG_BITS, RING_SCHEMA
from nanotape.capture.errors import RingError, RingReplaced
from nanotape.capture.reader import REPLACED_CHECK_S

Places = npt.NDArray[np.int64]

Key = tuple[int, int]
"""Where a row stands in the merge: its place, in nanoseconds, then the order of its ring."""

BEFORE_ALL: Key = (-(2**63), -1)
AFTER_ALL: Key = (2**63 - 1, 2**31)

_BAD_STAMP = FLAG_BITS["bad_stamp"]
_ADDRESSES = ("src_ip", "dst_ip")
HELD_SCHEMA = pa.schema(
    [field.with_type(field.type.index_type) if pa.types.is_dictionary(field.type) else field for field in RING_SCHEMA]
)


class Reader(Protocol):
    """What is needed of `nanotape.capture.reader.RingReader`."""

    @property
    def position(self) -> int:
        """Bytes of the ring that are handed out, skipped or lost."""

    @property
    def lag_bytes(self) -> int:
        """Bytes published and not yet handed out."""

    def read(self, max_rows: int, max_bytes: int) -> pa.RecordBatch | None:
        """What is published, up to a size; None when there is nothing."""

    def is_replaced(self) -> bool:
        """Whether the ring's files were removed or made anew."""


class Addresses:
    """The addresses that all rings have shown, in the order of their first packet; they only grow."""

    def __init__(self) -> None:
        """Begins empty."""
        self._positions: dict[str, int] = {}
        self._dictionary = pa.array([], pa.string())

    def positions(self, texts: Sequence[str]) -> list[int]:
        """Where they stand in the dictionary; what is new goes to its end."""
        return [self._positions.setdefault(text, len(self._positions)) for text in texts]

    def dictionary(self) -> pa.StringArray:
        """All of them; a later one begins with all that an earlier one held."""
        known = len(self._dictionary)
        if len(self._positions) > known:
            new = pa.array(list(self._positions)[known:], pa.string())
            self._dictionary = pa.concat_arrays([self._dictionary, new])
        return self._dictionary


@dataclass(frozen=True, slots=True)
class Part:
    """Some rows of one ring, in the order of the ring."""

    order: int
    """Of the ring among the merged ones."""
    batch: pa.RecordBatch
    """Of `HELD_SCHEMA`."""
    places: Places
    """Of each row."""
    lowest: int
    """Of the places, as `highest` is."""
    highest: int
    is_rising: bool
    """Whether no place lies before the one of the row above."""
    read_s: float
    """When it was read."""
    row_bytes: float
    """Memory of a row, about."""

    def split(self, bound: int) -> tuple["Part | None", "Part | None"]:
        """The rows up to a place, and the others; None: there are none."""
        if self.highest <= bound:
            return self, None
        if self.lowest > bound:
            return None, self
        if self.is_rising:
            end = int(np.searchsorted(self.places, bound, "right"))
            pieces = [self.batch.slice(0, end), self.batch.slice(end)]
            places = [self.places[:end], self.places[end:]]
        else:
            mask = self.places <= bound
            pieces = [self.batch.filter(pa.array(mask)), self.batch.filter(pa.array(~mask))]
            places = [self.places[mask], self.places[~mask]]
        return self._of(pieces[0], places[0]), self._of(pieces[1], places[1])

    def _of(self, batch: pa.RecordBatch, places: Places) -> "Part":
        ends = int(places.min()), int(places.max())
        return Part(self.order, batch, places, *ends, self.is_rising, self.read_s, self.row_bytes)


class Lane:
    """A ring, its reader, and the rows of it that are held."""

    def __init__(self, name: str, order: int, reader: Reader, addresses: Addresses) -> None:
        """Reads nothing yet."""
        self.name, self.order, self._reader = name, order, reader
        self._addresses = addresses
        self._mapping: list[int] = []
        self._mapping_array = pa.array([], pa.int32())
        self._next_check: float | None = None
        self._parts: list[Part] = []
        self.rows = 0
        """Rows held."""
        self.bytes = 0.0
        """Memory of them, about."""
        self.late = 0
        """Rows that came when their turn was over."""
        self.high = BEFORE_ALL
        """The last place that it has shown; what is still to come stands behind it, if its stamps do not go back."""
        self.caught_up = False
        """Whether all is read that was published when its last turn to be read began."""
        self.error: RingError | None = None
        """Why nothing more will come."""

    def read(self, now: float, max_rows: int, max_bytes: int) -> pa.RecordBatch | None:
        """What its reader has; None: nothing, or `error` says why there will be no more."""
        self.caught_up = False
        is_replaced = self._is_replaced(now)
        published = self._reader.position + self._reader.lag_bytes
        try:
            batch = self._reader.read(max_rows, max_bytes)
        except RingError as error:
            self._end(error)
            return None
        self.caught_up = self._reader.position >= published
        if batch is None and is_replaced:
            self._end(RingReplaced(f"{self.name}: the ring was removed or made anew; open it again"))
        if batch is not None:
            self._next_check = None
        elif self._next_check is None:
            self._next_check = now + REPLACED_CHECK_S
        return batch

    def _end(self, error: RingError) -> None:
        self.error, self.caught_up = error, True

    def hold(self, batch: pa.RecordBatch, read_s: float, frontier: Key) -> None:
        """Takes rows in; those that stand before the frontier are late."""
        places = self._places(batch)
        floor = frontier[0] + (self.order < frontier[1])
        self.late += int(np.count_nonzero(places < floor))
        lowest, highest = int(places.min()), int(places.max())
        self.high = max(self.high, (highest, self.order))
        is_rising = bool(np.all(places[1:] >= places[:-1]))
        held = self._held(batch)
        part = Part(self.order, held, places, lowest, highest, is_rising, read_s, held.nbytes / held.num_rows)
        self._parts.append(part)
        self.rows += held.num_rows
        self.bytes += held.nbytes

    def ripe(self, until_s: float) -> Key:
        """The last place of all rows that were read by then."""
        return max(((part.highest, self.order) for part in self._parts if part.read_s <= until_s), default=BEFORE_ALL)

    def take(self, limit: Key) -> list[Part]:
        """Gives away its rows up to a place in the merge."""
        bound = limit[0] - (self.order > limit[1])
        taken, kept = [], []
        for part in self._parts:
            first, second = part.split(bound)
            if first is not None:
                taken.append(first)
            if second is not None:
                kept.append(second)
        self._parts = kept
        self.rows = sum(part.batch.num_rows for part in kept)
        self.bytes = sum(part.batch.num_rows * part.row_bytes for part in kept)
        return taken

    def _is_replaced(self, now: float) -> bool:
        """Looked at before a read, so that the read that finds nothing was the last; now and then only."""
        if self._next_check is None or now < self._next_check:
            return False
        self._next_check = now + REPLACED_CHECK_S
        return self._reader.is_replaced()

    def _places(self, batch: pa.RecordBatch) -> Places:
        """The stamps; what has one that cannot be right stands with the row before it."""
        stamps: Places = batch.column("ts").view(pa.int64()).to_numpy()
        bad = batch.column("flags").to_numpy() & _BAD_STAMP != 0
        if not bad.any():
            return stamps
        good = np.where(bad, self.high[0], stamps)
        return np.where(bad, np.maximum.accumulate(good), stamps)

    def _held(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        columns = [
            self._common(column) if name in _ADDRESSES else getattr(column, "indices", column)
            for name, column in zip(RING_SCHEMA.names, batch.columns, strict=True)
        ]
        return pa.RecordBatch.from_arrays(columns, schema=HELD_SCHEMA)

    def _common(self, column: pa.DictionaryArray) -> pa.Array:
        """Indices into the addresses of all rings. A reader's own dictionary only grows."""
        known = len(self._mapping)
        if len(column.dictionary) > known:
            self._mapping += self._addresses.positions(column.dictionary.slice(known).to_pylist())
            self._mapping_array = pa.array(self._mapping, pa.int32())
        return pc.take(self._mapping_array, column.indices)
