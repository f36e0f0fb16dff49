"""How a service reaches its recorder, which is another user's process: a file of orders that it polls, and its receipt.

`RUN_DIR/RING/orders.json` is written by the service alone, the receipt (receipts.py) by the recorder alone, each whole
or not at all. An order is carried out once, over restarts of either side.
"""

import json
import time
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from nanotape.capture.accounts import Accounts
from nanotape.capture.control.receipts import read_receipt
from nanotape.capture.errors import ControlError
from nanotape.capture.plan import write_owned

ORDERS_NAME = "orders.json"
ORDERS_KEPT = 64
"""In the file; a recorder that is away for more of them misses the oldest."""
_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Order:
    """One thing for a recorder to do."""

    number: int
    """Larger than those before: nanoseconds UTC when it was given, or one more than the last."""
    do: Literal["rotate", "mark"]
    text: str = ""
    """Of a mark."""

    @property
    def given_ns(self) -> int:
        """UTC, as good as."""
        return self.number


def read_orders(path: Path) -> tuple[Order, ...]:
    """Those that a service keeps; none where there is no file, or none that can be read."""
    try:
        told = json.loads(path.read_bytes())
        orders = tuple(Order(int(each["number"]), each["do"], str(each["text"])) for each in told["orders"])
    except (OSError, ValueError, KeyError, TypeError):
        return ()
    return tuple(order for order in orders if order.do in ("rotate", "mark"))


def orders_identity(path: Path) -> tuple[int, int] | None:
    """Another one whenever `read_orders` gives others; next to nothing to ask for."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


class OrderBook:
    """The service's side."""

    def __init__(
        self,
        folder: Path,
        owners: Accounts,
        recorders: Collection[int],
        utc_ns: Callable[[], int] = time.time_ns,
        sleep: Callable[[float], object] = time.sleep,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Reads what an earlier service has ordered.

        Args:
            folder: RUN_DIR/RING.
            owners: Who may read it.
            recorders: Users whose receipt counts.
            utc_ns: For numbers.
            sleep: Between two looks at the receipt.
            monotonic_s: For how long to look.
        """
        self._folder, self._owners, self._recorders = folder, owners, recorders
        self._utc_ns, self._sleep, self._monotonic_s = utc_ns, sleep, monotonic_s

    def give(self, do: Literal["rotate", "mark"], text: str = "") -> Order:
        """Writes an order down. Call it from one thread at a time.

        Raises:
            PlaceUnusable: The file cannot be written.
        """
        path = self._folder / ORDERS_NAME
        before = read_orders(path)
        order = Order(max(self._utc_ns(), *(each.number + 1 for each in before), 0), do, text)
        kept = (*before, order)[-ORDERS_KEPT:]
        content: dict[str, Any] = {"orders": [asdict(each) for each in kept]}
        write_owned(path, json.dumps(content).encode(), self._owners)
        return order

    def wait_done(self, order: Order, reader_name: str, timeout_s: float) -> None:
        """Waits until the recorder says that it has carried an order out.

        Raises:
            ControlError: It failed, or has not by now.
        """
        end = self._monotonic_s() + timeout_s
        while True:
            done, failed = read_receipt(self._folder, reader_name, self._recorders)
            if (why := failed.get(str(order.number))) is not None:
                raise ControlError(f"{order.do}: the recorder could not: {why}")
            if done >= order.number:
                return
            if self._monotonic_s() >= end:
                raise ControlError(
                    f"{order.do}: written down, but recorder {reader_name} has not carried it out within "
                    f"{timeout_s:.0f} s; it will when it runs again (as user.record: no other's word counts)"
                )
            self._sleep(_POLL_S)
