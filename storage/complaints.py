"""Says what goes wrong again and again: at once, then every ten seconds, and when it is over."""

from nanotape.storage.clock import Clock
from nanotape.storage.log import Error, Log

_INTERVAL_NS = 10 * 10**9


class Complaints:
    """Of a recorder that cannot write."""

    def __init__(self, clock: Clock, log: Log) -> None:
        """Nothing is wrong yet."""
        self._clock, self._log = clock, log
        self._said_ns: int | None = None

    @property
    def is_open(self) -> bool:
        """Whether something is wrong, as far as was said."""
        return self._said_ns is not None

    def add(self, what: str, unwritten_rows: int) -> None:
        """Says it, unless something was said just now."""
        now = self._clock.monotonic_ns()
        if self._said_ns is None or now - self._said_ns >= _INTERVAL_NS:
            self._said_ns = now
            self._log(Error(f"{what}; {unwritten_rows} rows could not be written so far, reading on"))

    def end(self, what: str, unwritten_rows: int) -> None:
        """Says that it is over, if something was said."""
        if self._said_ns is not None:
            self._said_ns = None
            self._log(f"{what}; {unwritten_rows} rows could not be written in all")
