"""In which order a line sent the datagrams of its stream: some never, some twice, some late."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from nanotape.capture.exchange import ExchangeBatch
from nanotape.capture.sent_faults import SentDuplicate, SentGap, SentReorder


def sent_order(
    batches: Iterable[ExchangeBatch],
    gaps: tuple[SentGap, ...],
    duplicates: tuple[SentDuplicate, ...],
    reorders: tuple[SentReorder, ...],
) -> Iterator[ExchangeBatch]:
    """Yields what was sent, in that order, as the sender of native/simulate/line.c does it."""
    if not (gaps or duplicates or reorders):
        yield from batches
        return
    held: ExchangeBatch | None = None
    for made in batches:
        batch = made if held is None else _joined(held, made)
        last = int(batch.facts["number"].max())
        numbers = batch.facts["number"]
        places = _places(numbers, reorders)
        order = np.argsort(places, kind="stable")
        is_due = places[order] <= 2 * last + 1
        held = _taken(batch, order[~is_due]) if not is_due.all() else None
        due = order[is_due]
        yield _taken(batch, np.repeat(due, _times(numbers[due], gaps, duplicates, reorders)))
    if held is not None:
        yield held


def _joined(first: ExchangeBatch, second: ExchangeBatch) -> ExchangeBatch:
    payloads = pa.concat_arrays([first.payloads, second.payloads])
    return ExchangeBatch(np.concatenate([first.facts, second.facts]), payloads)


def _taken(batch: ExchangeBatch, rows: npt.NDArray[np.int64]) -> ExchangeBatch:
    if len(rows) == len(batch.facts) and bool((rows == np.arange(len(rows))).all()):
        return batch
    return ExchangeBatch(batch.facts[rows], batch.payloads.take(pa.array(rows)))


def _places(numbers: npt.NDArray[np.uint64], reorders: tuple[SentReorder, ...]) -> npt.NDArray[np.uint64]:
    """Twice the number; what is late comes right behind the last that it lets pass."""
    places = numbers * np.uint64(2)
    for reorder in reorders:
        places[numbers == reorder.first_packet] = 2 * (reorder.first_packet + reorder.packets) + 1
    return places


def _times(
    numbers: npt.NDArray[np.uint64],
    gaps: tuple[SentGap, ...],
    duplicates: tuple[SentDuplicate, ...],
    reorders: tuple[SentReorder, ...],
) -> npt.NDArray[np.int64]:
    times = np.ones(len(numbers), np.int64)
    for duplicate in duplicates:
        times[_within(numbers, duplicate)] = 2
    for reorder in reorders:
        times[numbers == reorder.first_packet] = 1
    for gap in gaps:
        times[_within(numbers, gap)] = 0
    return times


def _within(numbers: npt.NDArray[np.uint64], span: SentGap | SentDuplicate) -> npt.NDArray[np.bool_]:
    return (numbers >= span.first_packet) & (numbers - np.uint64(span.first_packet) < span.packets)
