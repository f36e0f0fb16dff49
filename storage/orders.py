"""What a recorder is told to do while it records, and its receipt; the files are those of capture/control/orders.py.

A mark is carried out once however often the recorder is restarted; a rotation that it slept through is not: its own
start began a segment.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from nanotape.storage.clock import Clock
from nanotape.storage.errors import StorageError
from nanotape.storage.log import Log
from nanotape.storage.told_file import tell_file

_LOOK_NS = 200_000_000
_FAILURES_KEPT = 64


class Order(Protocol):
    """See `nanotape.capture.control.orders.Order`."""

    @property
    def number(self) -> int:
        """Larger than those before."""

    @property
    def do(self) -> str:
        """`rotate` or `mark`."""

    @property
    def text(self) -> str:
        """Of a mark."""

    @property
    def given_ns(self) -> int:
        """UTC."""


@dataclass(slots=True)
class Orders:
    """Of one recorder, over all its rings of one name."""

    read: Callable[[], Sequence[Order]]
    """Gives those that are written down, in order."""
    receipt: Callable[[], Path]
    """Where it says what it has done; asked each time, for somebody may have taken a name meanwhile."""
    done: int
    """Number of the last that was carried out, by this recorder or those before it."""
    clock: Clock
    log: Log
    seen: Callable[[], object]
    """Changes when `read` would give something else: a look must cost next to nothing."""
    slept_through: int = 0
    """Number of the newest that was there before this recorder: a rotation up to it is left out."""
    failed: dict[str, str] = field(default_factory=dict)
    """What went wrong, by number."""
    _due_ns: int = 0
    _last_seen: object = None

    def obey(self, rotate: Callable[[], None], mark: Callable[[Order], None]) -> None:
        """Carries out what was ordered since, when it is time to look. Never raises for an order that fails."""
        now = self.clock.monotonic_ns()
        if now < self._due_ns:
            return
        self._due_ns = now + _LOOK_NS
        seen = self.seen()
        if seen == self._last_seen:
            return
        self._last_seen = seen
        new = [order for order in self.read() if order.number > self.done]
        for order in new:
            try:
                if order.do == "mark":
                    mark(order)
                elif order.number > self.slept_through:
                    rotate()
            except StorageError as error:
                self.failed[str(order.number)] = str(error)
                self.log(f"{order.do}: {error}")
            self.done = order.number
        if new:
            self._tell()

    def _tell(self) -> None:
        kept, receipt = dict(list(self.failed.items())[-_FAILURES_KEPT:]), self.receipt()
        try:
            tell_file(receipt, json.dumps({"done": self.done, "failed": kept}), durable=True)
        except OSError as error:  # who ordered it is not told; it is done all the same
            self.log(f"{receipt}: cannot be written: {error.strerror}")
