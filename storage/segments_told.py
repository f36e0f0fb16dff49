"""What a recorder tells others of its segments: which grows, how many have ended, how small packets become in them.

That others see it is worth less than that it is recorded: what cannot be told is left out.
"""

import json
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from nanotape.storage.clock import Clock
from nanotape.storage.rotation import OpenSegment
from nanotape.storage.told_file import tell_file

_TELL_NS = 900_000_000


class SegmentsTold:
    """Of one recorder. Nothing is told as long as `path` is None."""

    def __init__(self, clock: Clock) -> None:
        """Writes nothing yet.

        Args:
            clock: For when a segment ended, and how long it is since something was told.
        """
        self.path: Path | None = None
        """RUN_DIR/RING/readers/RECORDER.segments.json."""
        self._clock = clock
        self._told_ns: int | None = None
        self._ended = self._frame_bytes = self._written_bytes = 0
        self._ended_name: str | None = None
        self._ended_ns: int | None = None

    def wrote(self, rows: pa.RecordBatch, written_bytes: int) -> None:
        """Counts rows of packets that became so many bytes of a segment."""
        self._frame_bytes += pc.sum(rows.column("wire_len")).as_py() or 0
        self._written_bytes += written_bytes

    def ended(self, path: Path) -> None:
        """Counts a segment that got its footer."""
        self._ended += 1
        self._ended_name, self._ended_ns = path.name, self._clock.utc_ns()

    def tell(self, grows: OpenSegment | None, *, now: bool = False) -> None:
        """Tells once a second, however often it is called.

        Args:
            grows: The open segment, if there is one.
            now: However short a time ago the last was told.
        """
        at = self._clock.monotonic_ns()
        is_due = self._told_ns is None or at - self._told_ns >= _TELL_NS
        if self.path is None or not (is_due or now):
            return
        self._told_ns = at
        facts = {
            "at_ns": self._clock.utc_ns(),
            "open_name": grows.name if grows else None,
            "open_bytes": grows.size_bytes if grows else None,
            "open_rows": grows.rows if grows else None,
            "opened_ns": grows.opened_ns if grows else None,
            "ended": self._ended,
            "ended_name": self._ended_name,
            "ended_ns": self._ended_ns,
            "frame_bytes": self._frame_bytes,
            "written_bytes": self._written_bytes,
        }
        with suppress(OSError):
            tell_file(self.path, json.dumps(facts))
