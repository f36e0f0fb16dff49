"""How a reader passes the time while nothing is published: it spins, or sleeps in steps that grow.

The sleeping function is injected, so that tests neither sleep nor patch.
"""

import time
from collections.abc import Callable
from typing import Literal, Protocol

FIRST_STEP_S = 50e-6
LONGEST_STEP_S = 2e-3


class Waiting(Protocol):
    """What a reader does between two looks at an empty ring."""

    def reset(self) -> None:
        """Called when something was read."""

    def wait(self) -> None:
        """Called when nothing was there."""


class Spinning:
    """Looks again at once: the least delay, for one whole core."""

    def reset(self) -> None:
        """Nothing to forget."""

    def wait(self) -> None:
        """Returns at once."""


class Stepping:
    """Sleeps 50 us, then twice as long each time, up to 2 ms."""

    def __init__(
        self,
        first_s: float = FIRST_STEP_S,
        longest_s: float = LONGEST_STEP_S,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        """`sleep` takes seconds; `threading.Event().wait` makes the waiting end early."""
        self._first_s = first_s
        self._longest_s = longest_s
        self._sleep = sleep
        self._step_s = first_s

    def reset(self) -> None:
        """The next wait is a short one again."""
        self._step_s = self._first_s

    def wait(self) -> None:
        """Sleeps one step."""
        self._sleep(self._step_s)
        self._step_s = min(self._step_s * 2, self._longest_s)


def waiting_of(wait: Literal["sleep", "spin"] | Waiting) -> Waiting:
    """The named way of waiting, or the given one."""
    if wait == "sleep":
        return Stepping()
    if wait == "spin":
        return Spinning()
    if isinstance(wait, str):
        raise ValueError(f'wait: expected "sleep", "spin" or an object that waits, found "{wait}"')
    return wait
