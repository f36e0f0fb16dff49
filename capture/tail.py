"""Shows packets of a ring, or of several merged, as they come: reads, chooses, hands on, tells of each loss at once.

A reader like any other: it never delays the writer, and what it could not follow it counts.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from nanotape.capture.columns import RING_SCHEMA
from nanotape.capture.errors import RingError
from nanotape.capture.merged_tail import Chooser, rows_by_ring
from nanotape.capture.packet_filter import Mask
from nanotape.capture.reader import Stop
from nanotape.capture.waiting import Stepping, Waiting

_MAX_ROWS = 4096
"""Small batches: the first packet of each is shown before the last is formatted."""
_LONGEST_STEP_S = 10e-3
_LOST_MAX = 2**32 - 1
_LOST_COLUMN = RING_SCHEMA.get_field_index("lost_before")


class Batches(Protocol):
    """What is needed of `RingReader` and of `MergedReader`."""

    def batches(self, *, wait: Waiting, max_rows: int, stop: Stop) -> Iterator[pa.RecordBatch]:
        """As they come, for ever."""


class Sink(Protocol):
    """Where the chosen rows go."""

    def show(self, batch: pa.RecordBatch) -> None:
        """Takes rows of the reader's schema; `lost_before` counts since the row of its ring that was shown before."""

    def tick(self) -> None:
        """Called often, also while nothing comes."""

    def finish(self) -> None:
        """Called once, after the last."""


class TextSink:
    """Writes a text of each batch."""

    def __init__(self, text: Callable[[pa.RecordBatch], str], write: Callable[[bytes], object]) -> None:
        """Of whole lines."""
        self._text, self._write = text, write

    def show(self, batch: pa.RecordBatch) -> None:
        """Writes it."""
        self._write(self._text(batch).encode())

    def tick(self) -> None:
        """Has nothing to do."""

    def finish(self) -> None:
        """Has nothing to do."""


@dataclass(slots=True)
class TailTotals:
    """What came of it."""

    shown: int = 0
    """Rows handed to the sink."""
    lost: int = 0
    """Records that this reader lost, between the first and the last that it looked at."""
    loss_events: int = 0


class Tail:
    """One look along a ring, or along several."""

    def __init__(
        self,
        reader: Batches,
        chosen: Chooser,
        sink: Sink,
        on_loss: Callable[[str], None],
        totals: TailTotals,
        count: int | None = None,
    ) -> None:
        """Reads nothing yet.

        Args:
            reader: Stands where to begin.
            chosen: Which rows to show.
            sink: Takes them.
            on_loss: Takes a line for each loss of this reader.
            totals: Are kept up to date.
            count: Ends after so many rows; None: goes on.
        """
        self._reader, self._chosen, self._sink, self._on_loss = reader, chosen, sink, on_loss
        self._left = count
        self._unshown_losses: dict[str, int] = {}  # by ring; one alone has no name
        self._totals = totals

    def run(self, stop: Stop, nap: Callable[[float], object]) -> None:
        """Goes on until the stop, or the count is reached, and finishes the sink.

        Args:
            stop: Asked before each read.
            nap: Waits so many seconds, or less.

        Raises:
            RingReplaced: All is shown, and the ring was removed or made anew.
            RingCorrupt: It holds what no writer could have written.
        """

        def pause(seconds: float) -> None:
            self._sink.tick()
            nap(seconds)

        try:
            self._follow(stop, Stepping(longest_s=_LONGEST_STEP_S, sleep=pause))
        except RingError:
            self._sink.finish()
            raise
        self._sink.finish()

    def _follow(self, stop: Stop, waiting: Stepping) -> None:
        for batch in self._reader.batches(wait=waiting, max_rows=_MAX_ROWS, stop=stop):
            self._take(batch)
            self._sink.tick()
            if self._left == 0:
                return

    def _take(self, batch: pa.RecordBatch) -> None:
        mask = self._chosen.mask(batch)
        if self._left is not None:
            batch, mask = _cut(batch, mask, self._left)
        lost = batch.column("lost_before").to_numpy()
        if lost.any():
            self._tell(batch, lost)
        if mask is not None:
            batch = self._shown(batch, mask, lost)
        if batch.num_rows:
            self._sink.show(batch)
            self._totals.shown += batch.num_rows
            if self._left is not None:
                self._left -= batch.num_rows

    def _tell(self, batch: pa.RecordBatch, lost: npt.NDArray[np.uint32]) -> None:
        is_merged = "ring" in batch.schema.names
        for row in np.flatnonzero(lost).tolist():
            ring = f"ring {batch.column('ring')[row].as_py()}: " if is_merged else ""
            count, sequence = int(lost[row]), batch.column("ring_seq")[row].as_py()
            self._totals.lost += count
            self._totals.loss_events += 1
            self._on_loss(f"{ring}lost {count:,} packets before ring sequence {sequence}: the ring had moved on")

    def _shown(self, batch: pa.RecordBatch, mask: Mask, lost: npt.NDArray[np.uint32]) -> pa.RecordBatch:
        """The chosen rows; what was lost before a row that is left out counts with the next that is not."""
        chosen = batch.filter(pa.array(mask))
        if not lost.any() and not any(self._unshown_losses.values()):
            return chosen
        column = np.zeros(len(lost), np.uint32)
        is_merged = "ring" in batch.schema.names
        for ring, rows in rows_by_ring(batch) if is_merged else [("", slice(None))]:
            before = self._unshown_losses.get(ring, 0)
            column[rows], self._unshown_losses[ring] = _carried(lost[rows], mask[rows], before)
        return chosen.set_column(_LOST_COLUMN, RING_SCHEMA.field(_LOST_COLUMN), pa.array(column[mask]))


def _carried(lost: npt.NDArray[np.uint32], mask: Mask, before: int) -> tuple[npt.NDArray[np.uint32], int]:
    """What was lost since the last row that is shown, for each that is; and since the last of them."""
    until = np.cumsum(lost, dtype=np.int64) + before
    upto = until[mask]
    column = np.zeros(len(lost), np.uint32)
    column[mask] = np.minimum(np.diff(upto, prepend=0), _LOST_MAX)
    return column, int(until[-1] - (upto[-1] if len(upto) else 0))


def _cut(batch: pa.RecordBatch, mask: Mask | None, left: int) -> tuple[pa.RecordBatch, Mask | None]:
    """Rows up to the last that may be shown."""
    if mask is None:
        return batch.slice(0, left), None
    places = np.flatnonzero(mask)
    end = int(places[left - 1]) + 1 if len(places) >= left else batch.num_rows
    return batch.slice(0, end), mask[:end]
