"""Several rings in one `tail`: each row of a merged batch is chosen and formatted by the tables of its own ring."""

from collections.abc import Iterator, Mapping
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from nanotape.capture.packet_filter import Mask

Rows = npt.NDArray[np.intp]


class Chooser(Protocol):
    """Chooses rows of one ring's batches, as `nanotape.capture.packet_filter.BatchFilter` does."""

    def mask(self, batch: pa.RecordBatch) -> Mask | None:
        """Which rows fit; None: all."""


class TextFormat(Protocol):
    """Makes text of one ring's rows."""

    def texts(self, batch: pa.RecordBatch) -> list[str]:
        """The lines of each row, each with its end."""


def rows_by_ring(batch: pa.RecordBatch) -> Iterator[tuple[str, Rows]]:
    """The rings in a merged batch, and which rows are theirs."""
    column = batch.column("ring")
    codes = column.indices.to_numpy()
    for code in np.unique(codes).tolist():
        yield column.dictionary[code].as_py(), np.flatnonzero(codes == code)


class MergedFilter:
    """A filter on merged batches."""

    def __init__(self, choosers: Mapping[str, Chooser]) -> None:
        """By the names of the rings."""
        self._choosers = choosers

    def mask(self, batch: pa.RecordBatch) -> Mask | None:
        """Which rows fit; None: nothing is chosen by."""
        fits = np.ones(batch.num_rows, np.bool_)
        is_choosing = False
        for ring, rows in rows_by_ring(batch):
            mask = self._choosers[ring].mask(_only(batch, rows))
            if mask is not None:
                fits[rows] = mask
                is_choosing = True
        return fits if is_choosing else None


class MergedText:
    """Makes the lines of merged batches."""

    def __init__(self, formats: Mapping[str, TextFormat]) -> None:
        """By the names of the rings."""
        self._formats = formats

    def text(self, batch: pa.RecordBatch) -> str:
        """The lines of a batch, in its order."""
        texts = np.empty(batch.num_rows, np.object_)
        for ring, rows in rows_by_ring(batch):
            texts[rows] = self._formats[ring].texts(_only(batch, rows))
        return "".join(texts.tolist())


def _only(batch: pa.RecordBatch, rows: Rows) -> pa.RecordBatch:
    return batch if len(rows) == batch.num_rows else batch.take(pa.array(rows))
