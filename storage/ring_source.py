"""What a recorder needs of a ring's reader, so that it can be run, and tested, without native code."""

from typing import Literal, Protocol

import pyarrow as pa

Start = Literal["oldest", "latest"]


class RingSource(Protocol):
    """What is needed of `nanotape.capture.reader.RingReader`."""

    @property
    def lost(self) -> int:
        """Records lost by this reader."""

    @property
    def next_seq(self) -> int | None:
        """Ring sequence expected next."""

    @property
    def gathered_rows(self) -> int:
        """Records that wait for `take`."""

    @property
    def gathered_bytes(self) -> int:
        """Bytes that they take in memory."""

    def gather(self, max_rows: int, max_bytes: int) -> int:
        """Adds what is there now, without waiting, to the batch that `take` will give; how many records that were."""

    def take(self) -> pa.RecordBatch | None:
        """What was gathered since; None without a record."""

    def newest_seq(self) -> int:
        """Newest ring sequence published; 0 before the first."""

    def seek(self, start: int | Start) -> None:
        """Goes to a sequence or an end."""

    def publish_status(
        self,
        recorded: int | None = None,
        write_failures: int | None = None,
        written_bytes: int | None = None,
        settled: bool = False,
    ) -> None:
        """Tells others."""

    def is_replaced(self) -> bool:
        """Whether the ring was removed or made anew."""
