"""Which ring sequences a recorder has dealt with - written, left out, lost - and what the next row must say of it.

Packets of no channel may be left out. How far a recorder came with those stands in a small file beside the segments, so
that its successor takes none of them for lost. It is written before the rows that it goes with, and keeps what holds
until they are there.
"""

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from nanotape.storage.events import RECORDER_LAPPED, RECORDER_WRITE
from nanotape.storage.resume import archive_end

MARK_NAME = "left-out.json"
OTHER_FLOW = 0
_SATURATED = 2**32 - 1
_LOSSES_MAX = 1000  # then one of them stands for several


@dataclass(frozen=True, slots=True)
class Loss:
    """Records that will never be in the archive, and should."""

    first_seq: int
    last_seq: int
    packets: int
    """All from first to last, or fewer: the others between were left out."""
    stage: str | None
    """Of the event that tells it: see `events.py`; None: nobody knows."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What the newest rows of an archive are followed by: sequences that were read and left out."""

    ring_id: str
    after: int
    """Ring sequence of the last row before; the mark is void unless the archive reaches it. 0: no row yet."""
    through: int
    """Last ring sequence that was read."""
    owed: int
    """Records lost among them: the next row's `lost_before` is to say so."""
    losses: tuple[Loss, ...] = ()
    """Those that no event tells yet."""


def left_out_through(directory: Path, ring_id: str, end: int | None) -> LeftOut | None:
    """The mark in ARCHIVE/segments/RING that goes on from where the archive ends; None where there is none.

    Args:
        directory: Of the ring.
        ring_id: 32 hexadecimal digits.
        end: Last ring sequence in the archive; None: none.
    """
    with suppress(OSError, ValueError, TypeError):
        for each in json.loads((directory / MARK_NAME).read_text(encoding="utf-8")):
            mark = LeftOut(**{**each, "losses": tuple(Loss(**loss) for loss in each.get("losses", ()))})
            if mark.ring_id == ring_id and mark.after == (end or 0) and mark.through > mark.after:
                return mark
    return None


def accounted_end(directory: Path, ring_id: str) -> int:
    """Last ring sequence that is in the archive or was left out of it on purpose; 0: none.

    Raises:
        ArchiveError: The directory cannot be listed.
    """
    if not directory.is_dir():
        return 0
    end = archive_end(directory, ring_id).last_seq
    mark = left_out_through(directory, ring_id, end)
    return mark.through if mark else end or 0


class Settlement:
    """The ledger of one recorder."""

    def __init__(self, directory: Path, ring_id: str, *, keep_other: bool) -> None:
        """Knows nothing yet; `begin` says where.

        Args:
            directory: ARCHIVE/segments/RING.
            ring_id: 32 hexadecimal digits.
            keep_other: Whether packets of no channel are recorded too.
        """
        self._directory, self._ring_id, self._keep_other = directory, ring_id, keep_other
        self._owed = 0
        self._losses: list[Loss] = []  # that no event tells yet, in order
        self.recorded_seq = 0
        """Ring sequence of the newest row in the archive; 0: none."""
        self._unwritten = False  # rows since the newest one in the archive could not be written
        self._mark: LeftOut | None = None  # holds now
        self._next: LeftOut | None = None  # will, once the chosen batch is in the archive
        self._saved: list[LeftOut] = []
        self.begin_seq: int | None = None
        """Ring sequence that the recorder accounts from; None: not known yet."""
        self.settled_seq: int | None = None
        """All up to it are written, left out or lost; None: not known yet."""
        self.lapped = 0
        """Records that the ring overwrote before they were read, since `begin`."""
        self.left_out = 0
        """Records read and not recorded, since they are of no channel."""

    def resume(self, end: int | None) -> int | None:
        """The sequence to go on with after what the archive holds; None when nothing is known of this ring."""
        self.recorded_seq = end or 0
        mark = left_out_through(self._directory, self._ring_id, end)
        if mark is None:
            return None if end is None else end + 1
        self._owed, self._losses = mark.owed, list(mark.losses)
        self._mark, self._saved = mark, [mark]
        return mark.through + 1

    def begin(self, sequence: int | None) -> None:
        """The first sequence to account for; None: that of the first record that comes."""
        self.begin_seq = sequence
        self.settled_seq = None if sequence is None else sequence - 1

    def choose(self, batch: pa.RecordBatch) -> pa.RecordBatch | None:
        """The rows of a reader's batch that are to be recorded, each saying what is lost just before it; None: none.

        Whatever becomes of them, the batch is settled: `save` before they are written, then say `written` or `failed`.
        """
        chosen = self._chosen(batch)
        if chosen is not None:
            self._next = self._mark_after(chosen.column("ring_seq")[-1].as_py())
        elif not self._unwritten:  # what a successor may still find in the ring it is to look for
            self._mark = self._mark_after(self.recorded_seq)
        return chosen

    def _mark_after(self, sequence: int) -> LeftOut | None:
        if self.settled_seq is None or self.settled_seq <= sequence:
            return None
        later = tuple(loss for loss in self._losses if loss.last_seq > sequence)
        return LeftOut(self._ring_id, sequence, self.settled_seq, self._owed, later)

    def losses_before(self, sequence: int) -> list[Loss]:
        """What was lost before a record and is not told yet, in order."""
        return [loss for loss in self._losses if loss.last_seq < sequence]

    def told(self, losses: Sequence[Loss]) -> None:
        """Events tell of these now."""
        self._losses = [loss for loss in self._losses if loss not in losses]

    def _chosen(self, batch: pa.RecordBatch) -> pa.RecordBatch | None:
        sequences = batch.column("ring_seq")
        first, last = sequences[0].as_py(), sequences[-1].as_py()
        lost = batch.column("lost_before").to_numpy().astype(np.int64)
        if self.settled_seq is None:
            self.begin(first - int(lost[0]))
        assert self.settled_seq is not None  # noqa: S101 - begin has just set it
        # What lies between is lost, to this recorder or to the one before it, whatever the reason.
        lost[0] = first - self.settled_seq - 1
        self._note_lapped(sequences, lost)
        lost[0] += self._owed
        self.settled_seq, self._owed = last, 0
        if self._keep_other:
            return _saying(batch, lost)
        stays = np.flatnonzero(batch.column("flow_id").to_numpy() != OTHER_FLOW)
        self.left_out += batch.num_rows - len(stays)
        if len(stays) == batch.num_rows:
            return _saying(batch, lost)
        summed = np.cumsum(lost)
        self._owed = int(summed[-1] - (summed[stays[-1]] if len(stays) else 0))
        if not len(stays):
            return None
        return _saying(batch.take(pa.array(stays)), np.diff(summed[stays], prepend=0))

    def _note_lapped(self, sequences: pa.Array, lost: np.ndarray[tuple[int], np.dtype[np.int64]]) -> None:
        for at in np.flatnonzero(lost):
            packets, end = int(lost[at]), sequences[int(at)].as_py() - 1
            self.lapped += packets
            self._note(Loss(end - packets + 1, end, packets, RECORDER_LAPPED))

    def _note(self, loss: Loss) -> None:
        before = self._losses[-1] if self._losses else None
        grows = before is not None and before.stage == loss.stage == RECORDER_WRITE
        if before is not None and (grows or len(self._losses) >= _LOSSES_MAX):
            self._losses[-1] = replace(before, last_seq=loss.last_seq, packets=before.packets + loss.packets)
        else:
            self._losses.append(loss)

    def deleted(self, first_seq: int, last_seq: int, rows: int, stage: str) -> None:
        """Rows that were in the archive are gone from it, and nobody else will tell."""
        self._owed += rows
        self._losses.append(Loss(first_seq, last_seq, rows, stage))

    def written(self, batch: pa.RecordBatch) -> None:
        """A chosen batch is in the archive."""
        self.recorded_seq = batch.column("ring_seq")[-1].as_py()
        self._mark, self._next, self._unwritten = self._next, None, False

    def failed(self, batch: pa.RecordBatch) -> None:
        """A chosen batch could not be written: to the next row it is lost, unless a successor still finds it."""
        self._next, self._unwritten = None, True
        sequences = batch.column("ring_seq")
        self._note(Loss(sequences[0].as_py(), sequences[-1].as_py(), batch.num_rows, RECORDER_WRITE))
        self._owed += batch.num_rows + int(batch.column("lost_before").to_numpy().astype(np.int64).sum())

    def save(self) -> None:
        """Leaves the marks for a successor: whether it finds the chosen batch in the archive or not, one of them holds.

        Raises:
            OSError: They cannot be written; a successor may then take what was left out for lost.
        """
        marks = [mark for mark in (self._mark, self._next) if mark]
        path = self._directory / MARK_NAME
        if all(mark in self._saved for mark in marks) and (not marks or path.exists()):  # the folder may be a new one
            return
        draft = path.with_name(MARK_NAME + ".new")
        draft.write_text(json.dumps([asdict(mark) for mark in marks]) + "\n", encoding="utf-8")
        os.replace(draft, path)
        self._saved = marks


def _saying(batch: pa.RecordBatch, lost: np.ndarray[tuple[int], np.dtype[np.int64]]) -> pa.RecordBatch:
    """The same rows with other `lost_before`, where it is other."""
    index = batch.schema.get_field_index("lost_before")
    values = np.minimum(lost, _SATURATED).astype(np.uint32)
    if np.array_equal(values, batch.column(index).to_numpy()):
        return batch
    return batch.set_column(index, batch.schema.field(index), pa.array(values))
