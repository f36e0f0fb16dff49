"""What other processes write to their standard error, taken line by line: for a log that is more than text.

A thread of its own reads, so that nobody who writes ever waits for whoever the lines are for.
"""

import os
import threading
from collections.abc import Callable
from typing import IO

_LINE_BYTES = 16_384


class LinePipe:
    """From construction to `close`. Give `writer` to processes as their standard error."""

    def __init__(self, take: Callable[[str], None]) -> None:
        """Begins to read.

        Args:
            take: Called with each line, in the pipe's thread. Must not raise.
        """
        self._take = take
        self._read, write = os.pipe2(os.O_CLOEXEC)
        self.writer: IO[bytes] = os.fdopen(write, "wb", buffering=0)
        """Where they write."""
        self._thread = threading.Thread(target=self._work, name="nanotape-lines", daemon=True)
        self._thread.start()

    def close(self, wait_s: float = 2.0) -> None:
        """Takes what there is, once all who write have ended; a process that stays keeps its end, and the thread."""
        self.writer.close()
        self._thread.join(wait_s)

    def _work(self) -> None:
        waiting = b""
        while came := os.read(self._read, 1 << 16):
            *lines, waiting = (waiting + came).split(b"\n")
            for line in lines:
                self._said(line)
            if len(waiting) >= _LINE_BYTES:
                self._said(waiting)
                waiting = b""
        self._said(waiting)
        os.close(self._read)

    def _said(self, line: bytes) -> None:
        if line.strip():
            self._take(line.decode("utf-8", "replace"))
