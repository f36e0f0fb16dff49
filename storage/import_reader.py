"""The recorder's view of an import's ring.

It passes over what the archive has already, and notes the stamps of each file's first and last packet.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from nanotape.storage.ring_source import RingSource, Start

_ROWS_AT_ONCE = 65_536


@dataclass(slots=True)
class FileSpan:
    """Where the packets of one file stand in the ring."""

    first_seq: int
    last_seq: int | None = None
    """None: the file is not read to its end yet."""
    first_ts_ns: int | None = None
    """Stamp of its first packet that was taken from the ring; None: none was."""
    last_ts_ns: int | None = None


class ImportReader:
    """A `RingSource` on another, which the recorder must be told to read from the latest."""

    def __init__(self, inner: RingSource, position: Callable[[], int], wait: Callable[[], None]) -> None:
        """Reads nothing yet.

        Args:
            inner: Reads the ring.
            position: Called once the recorder has the archive to itself: how many records to pass over.
            wait: Called while none of those is there yet.
        """
        self._inner, self._position, self._wait = inner, position, wait
        self._spans: list[FileSpan] = []
        self.is_given_up = False
        """What comes from now on is not to be recorded."""

    def follow(self, span: FileSpan) -> None:
        """Notes the stamps of a file's packets as they pass; several files follow each other."""
        self._spans.append(span)

    @property
    def lost(self) -> int:
        """Records lost by this reader."""
        return self._inner.lost

    @property
    def next_seq(self) -> int | None:
        """Ring sequence expected next."""
        return self._inner.next_seq

    @property
    def gathered_rows(self) -> int:
        """Records that wait for `take`."""
        return self._inner.gathered_rows

    @property
    def gathered_bytes(self) -> int:
        """Bytes that they take in memory."""
        return self._inner.gathered_bytes

    def gather(self, max_rows: int, max_bytes: int) -> int:
        """Adds what is there now to the batch that `take` will give."""
        return 0 if self.is_given_up else self._inner.gather(max_rows, max_bytes)

    def take(self) -> pa.RecordBatch | None:
        """What was gathered since; None without a record, or when it is not wanted any more."""
        batch = self._inner.take()
        if batch is None or self.is_given_up:
            return None
        self._note(batch)
        return batch

    def _note(self, batch: pa.RecordBatch) -> None:
        stamps = batch.column("ts").cast(pa.int64())
        begin = batch.column("ring_seq")[0].as_py()
        end = begin + batch.num_rows - 1  # nothing is lost: the capture waits for us
        for span in self._spans:
            last = end if span.last_seq is None else min(end, span.last_seq)
            if max(begin, span.first_seq) > last:
                continue
            if span.first_ts_ns is None:
                span.first_ts_ns = stamps[max(begin, span.first_seq) - begin].as_py()
            span.last_ts_ns = stamps[last - begin].as_py()
        self._spans = [span for span in self._spans if span.last_seq is None or span.last_seq > end]

    def newest_seq(self) -> int:
        """Newest ring sequence published; 0 before the first."""
        return self._inner.newest_seq()

    def seek(self, start: int | Start) -> None:
        """Goes to the first record, and past those that the archive has, whatever is asked for."""
        self._inner.seek(1)
        left = self._position()
        while left > 0:
            self._inner.gather(min(left, _ROWS_AT_ONCE), 16 << 20)
            batch = self._inner.take()
            left -= batch.num_rows if batch else 0
            self._inner.publish_status(settled=True)
            if batch is None:
                self._wait()

    def publish_status(
        self,
        recorded: int | None = None,
        write_failures: int | None = None,
        written_bytes: int | None = None,
        settled: bool = False,
    ) -> None:
        """Tells the capture how far it may go."""
        self._inner.publish_status(recorded, write_failures, written_bytes, settled)

    def is_replaced(self) -> bool:
        """Never: the ring is our own."""
        return False
