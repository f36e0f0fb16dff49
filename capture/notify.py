"""What systemd is told of a service: that it is ready, goes on, stops (sd_notify(3)), by datagrams of its own making.

Without a NOTIFY_SOCKET it says nothing. Never fails, and waits for nobody but a moment to say that it is ready: no
capture ends because nobody listens.
"""

import contextlib
import os
import socket
import time
from collections.abc import Callable, MutableMapping

_FEEDS_AN_INTERVAL = 4
_READY_PATIENCE_S = 1.0  # a start of which nobody heard is taken for one that hangs


class Notifier:
    """Tells the service manager that started this process."""

    def __init__(
        self, path: str | None, watchdog_us: int | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Says nothing yet.

        Args:
            path: Of the manager's socket, `@` for an abstract one; None: there is none.
            watchdog_us: How long silence is taken for a hang, in microseconds; None: for ever.
            clock: Seconds.
        """
        self._address = None if not path else f"\0{path[1:]}" if path.startswith("@") else path
        self._interval_s = None if watchdog_us is None else watchdog_us / 1e6
        self._clock, self._due = clock, clock()
        self._state = ""
        self._path, self._watchdog_us = path, watchdog_us

    @property
    def environment(self) -> dict[str, str]:
        """For a program that this process executes: as it was told to us."""
        told = {"NOTIFY_SOCKET": self._path, "WATCHDOG_USEC": self._watchdog_us, "WATCHDOG_PID": os.getpid()}
        if self._watchdog_us is None:
            told = {"NOTIFY_SOCKET": self._path}
        return {name: str(value) for name, value in told.items() if value is not None}

    @classmethod
    def of_environment(cls, environment: MutableMapping[str, str] = os.environ) -> "Notifier":
        """That of the process which systemd started; what it says of us is taken out, since it is no child's."""
        path = environment.pop("NOTIFY_SOCKET", None)
        microseconds = environment.pop("WATCHDOG_USEC", "")
        pid = environment.pop("WATCHDOG_PID", "")
        is_ours = not pid or pid == str(os.getpid())
        known = microseconds.isdecimal() and int(microseconds) > 0 and is_ours
        return cls(path, int(microseconds) if known else None)

    @property
    def interval_s(self) -> float | None:
        """Seconds between two feeds of the watchdog; None: it wants none."""
        if self._address is None or self._interval_s is None:
            return None
        return self._interval_s / _FEEDS_AN_INTERVAL

    def ready(self, state: str = "") -> None:
        """Says that all works, with a line for people; said once, it begins the watchdog's count."""
        self._state = state
        self._tell("READY=1", *self._lines(state), patience_s=_READY_PATIENCE_S)
        self._due = self._clock()

    def say(self, state: str) -> None:
        """Has a line shown to people, if it is another than the last."""
        if state != self._state:
            self._state = state
            self._tell(*self._lines(state))

    def reloading(self) -> None:
        """Says that another program takes over, which will say that it is ready."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """Says that the end has begun."""
        self._tell("STOPPING=1")

    def is_due(self) -> bool:
        """Whether the watchdog is to be fed, if there is progress."""
        return self.interval_s is not None and self._clock() >= self._due

    def feed(self) -> None:
        """Says that there was progress."""
        self._due = self._clock() + (self.interval_s or 0.0)
        self._tell("WATCHDOG=1")

    def feed_if_due(self) -> None:
        """Says that there is progress, as often as the watchdog needs; for what is called with each step."""
        if self.is_due():
            self.feed()

    def _lines(self, state: str) -> list[str]:
        return [f"STATUS={' '.join(state.split())}"] if state else []

    def _tell(self, *lines: str, patience_s: float = 0.0) -> None:
        if self._address is None:
            return
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
            end.settimeout(patience_s)
            end.sendto("\n".join(lines).encode(), self._address)
