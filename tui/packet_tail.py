"""The newest packets of a ring that fit what is looked for: a thread with a reader of its own, in bounded memory.

It never delays the writer. What comes faster than it may read is skipped, what fits and is too much to be looked at is
left out, and both are counted. A ring that is gone is waited for; why nothing comes is a line of words.
"""

import threading
from collections import deque
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from nanotape.capture.errors import CaptureError, RingNotFound
from nanotape.capture.flow_table import FlowTable
from nanotape.capture.line_format import LineFormat
from nanotape.capture.packet_filter import BatchFilter, Mask
from nanotape.capture.reader import RingReader
from nanotape.capture.ring import Ring
from nanotape.storage.errors import StorageError
from nanotape.tui.packet_query import PacketQuery

KEPT_MAX = 2_000
_CYCLE_S = 0.1
_BATCH_ROWS = 4096
_READ_MAX = 4 * _BATCH_ROWS
"""A cycle: with more to read it goes to the newest."""
_CAUGHT_UP_ROWS = 8
"""So few came while the batch before was looked at."""
_SHOWN_MAX = 200
"""A cycle: nobody reads more than 2,000 lines a second."""
_FRAMES_MAX = 1024
"""A cycle, that tcpdump's filter looks at."""
_AGAIN_S = 0.5


@dataclass(frozen=True, slots=True)
class PacketRow:
    """One packet."""

    ring_seq: int
    text: str
    """As `nanotape tail` writes it."""
    batch: pa.RecordBatch
    """Few rows, in memory of their own."""
    at: int
    """Its row."""

    @property
    def rows(self) -> pa.RecordBatch:
        """The packet alone."""
        return self.batch.slice(self.at, 1)


@dataclass(frozen=True, slots=True)
class TailCounts:
    """Since the tail began."""

    read: int = 0
    fitting: int = 0
    left_out: int = 0
    """Of those that fit: too many to be looked at."""
    skipped: int = 0
    """Not read: they came too fast."""
    lost: int = 0
    """The ring had moved on before they were read."""


class PacketTail:
    """Of one ring, until it is stopped."""

    def __init__(self, name: str, shm_directory: Path, query: PacketQuery) -> None:
        """Begins with what comes next.

        Args:
            name: Of the ring.
            shm_directory: Where its file is.
            query: What is looked for.
        """
        self.name, self.query = name, query
        self.trouble: str | None = "opening the ring"
        """Why nothing comes; None: all is well."""
        self.counts = TailCounts()
        self._shm = shm_directory
        self._lock = threading.Lock()
        self._kept: deque[PacketRow] = deque(maxlen=KEPT_MAX)
        self.version = 0
        self._ended = threading.Event()
        self._expected: int | None = None
        self._thread = threading.Thread(target=self._run, name="packets", daemon=True)
        self._thread.start()

    def rows(self) -> list[PacketRow]:
        """Those that are kept, the newest last."""
        with self._lock:
            return list(self._kept)

    def stop(self) -> None:
        """Ends it soon; what is kept stays."""
        self._ended.set()

    def join(self) -> None:
        """Waits until it has ended."""
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                with Ring.open(self.name, self._shm) as ring, ring.reader("latest") as reader:
                    self._say(None)
                    self._expected = None
                    self._follow(ring, reader)
            except RingNotFound:
                self._say(f"ring {self.name} is not there; waiting for it")
            except (CaptureError, StorageError) as error:
                self._say(str(error))
            self._ended.wait(_AGAIN_S)

    def _say(self, words: str | None) -> None:
        self.trouble = words
        self.version += 1

    def _follow(self, ring: Ring, reader: RingReader) -> None:
        flows = FlowTable(ring)
        chooser, lines = BatchFilter(self.query.wanted, flows), LineFormat(flows)
        while not self._ended.is_set():
            self._cycle(reader, chooser, lines)
            if reader.is_replaced():
                self._say(f"ring {self.name} was removed or made anew; waiting for it")
                return
            self._ended.wait(_CYCLE_S)

    def _cycle(self, reader: RingReader, chooser: BatchFilter, lines: LineFormat) -> None:
        shown, looked, read = _SHOWN_MAX, _FRAMES_MAX, 0
        while read < _READ_MAX:  # not so many batches: they are small where few packets wait
            batch = reader.read(_BATCH_ROWS)
            if batch is None:
                return
            shown, looked = self._take(batch, chooser, lines, shown, looked)
            if batch.num_rows <= _CAUGHT_UP_ROWS:
                return
            read += batch.num_rows
        self._skip(reader.newest_seq())
        reader.seek("latest")  # what came between the two is counted with the next packet

    def _skip(self, newest: int) -> None:
        skipped = 0 if self._expected is None else newest + 1 - self._expected
        if skipped > 0:
            self._expected = newest + 1
            self.counts = _more(self.counts, skipped=skipped)
            self.version += 1

    def _take(
        self, batch: pa.RecordBatch, chooser: BatchFilter, lines: LineFormat, shown: int, looked: int
    ) -> tuple[int, int]:
        """Keeps what fits, as far as there may be more; how much more there may be afterwards."""
        sequences = batch.column("ring_seq").to_numpy()
        lost = int(batch.column("lost_before").to_numpy().sum())
        skipped = 0 if self._expected is None else max(0, int(sequences[0]) - self._expected - lost)
        self._expected = int(sequences[-1]) + 1
        mask = chooser.mask(batch)
        among = np.ones(batch.num_rows, np.bool_) if mask is None else mask
        left_out = 0
        if self.query.tcpdump:
            among, left_out = _newest(among, looked)
            looked -= int(among.sum())
            among = self.query.fits(batch, among)
        fitting = int(among.sum())
        among, too_many = _newest(among, shown)
        places = np.flatnonzero(among)
        if len(places):
            self._keep(batch.take(pa.array(places)), lines)
        more = {"read": batch.num_rows, "fitting": fitting, "left_out": left_out + too_many}
        self.counts = _more(self.counts, skipped=skipped, lost=lost, **more)
        self.version += 1
        return shown - len(places), looked

    def _keep(self, chosen: pa.RecordBatch, lines: LineFormat) -> None:
        texts, sequences = lines.texts(chosen), chosen.column("ring_seq").to_pylist()
        rows = [
            PacketRow(seq, text.rstrip("\n"), chosen, at)
            for at, (seq, text) in enumerate(zip(sequences, texts, strict=True))
        ]
        with self._lock:
            self._kept.extend(rows)


def _newest(among: Mask, most: int) -> tuple[Mask, int]:
    """The last that are chosen, so many at most; and how many are not."""
    places = np.flatnonzero(among)
    if len(places) <= most:
        return among, 0
    kept = np.zeros(len(among), np.bool_)
    kept[places[len(places) - max(0, most) :]] = True
    return kept, len(places) - max(0, most)


def _more(counts: TailCounts, **more: int) -> TailCounts:
    named = {name: getattr(counts, name) + more.get(name, 0) for name in TailCounts.__slots__}
    return TailCounts(**named)
