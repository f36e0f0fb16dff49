"""Bytes to a descriptor behind which somebody looks on: a pipe whose reader dawdles or goes, a terminal, a file.

A stop ends the wait for a slow reader; a reader that has gone is noticed even while nothing is written.
"""

import os
import select
import stat
import time
from collections.abc import Callable
from typing import Protocol

from nanotape.capture.errors import OutputFailed

_GRACE_S = 1.0
"""After a stop, how long a reader may take for what was begun: it should not be left with half a line or block."""


class OutputClosed(Exception):
    """Raised when nobody reads any more."""


class OutputStopped(Exception):
    """Raised when a stop came while the reader kept us waiting."""


class Stop(Protocol):
    """What is needed of `nanotape.capture.stop_signals.StopSignals`."""

    def fileno(self) -> int:
        """Readable once a stop is wanted."""


class LiveOutput:
    """Writes to a descriptor, which stays open."""

    def __init__(self, descriptor: int, stop: Stop, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        """Writes nothing yet.

        Args:
            descriptor: Where to write.
            stop: Ends waiting.
            name: What the descriptor is, for errors.
            clock: Seconds.
        """
        self._descriptor, self._stop, self._name, self._clock = descriptor, stop, name, clock
        # Only a pipe with a free page is sure to take so much without waiting; a file never waits.
        self._piece = 1 << 20 if stat.S_ISREG(os.fstat(descriptor).st_mode) else select.PIPE_BUF

    def write(self, data: bytes) -> None:
        """Writes all of it.

        Raises:
            OutputClosed: Nobody reads any more.
            OutputStopped: A stop came, and the reader did not take all within a second.
            OutputFailed: It cannot be written, as on a full disk.
        """
        rest = memoryview(data)
        while rest:
            self._wait_writable()
            try:
                rest = rest[os.write(self._descriptor, rest[: self._piece]) :]
            except BrokenPipeError:
                raise OutputClosed from None
            except OSError as error:
                raise OutputFailed(
                    f"{self._name}: cannot be written: {error.strerror}; make room or write elsewhere"
                ) from None

    def nap(self, seconds: float) -> None:
        """Passes the time until a stop.

        Raises:
            OutputClosed: Nobody reads any more.
        """
        watched = select.poll()
        watched.register(self._stop.fileno(), select.POLLIN)
        watched.register(self._descriptor, 0)  # errors are reported unasked
        happened = dict(watched.poll(seconds * 1000))
        if happened.get(self._descriptor):
            raise OutputClosed

    def _wait_writable(self) -> None:
        watched = select.poll()
        watched.register(self._descriptor, select.POLLOUT)
        watched.register(self._stop.fileno(), select.POLLIN)
        if dict(watched.poll()).get(self._descriptor):
            return
        watched.unregister(self._stop.fileno())
        if not watched.poll(_GRACE_S * 1000):
            raise OutputStopped
