"""A service manager's end of sd_notify: a socket that keeps what it is told."""

from __future__ import annotations

import os
import pathlib
import socket
from collections.abc import Iterator
from contextlib import contextmanager


class NotifySocket:
    """What a service told, a datagram each."""

    def __init__(self, path: pathlib.Path) -> None:
        """Listens."""
        self.path = path
        self._end = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._end.bind(str(path))
        path.chmod(0o777)  # whoever a test's service runs as
        self._end.setblocking(False)
        self.said: list[str] = []

    def heard(self) -> list[str]:
        """All lines up to now."""
        while True:
            try:
                self.said += self._end.recv(4096).decode().split("\n")
            except BlockingIOError:
                return self.said

    def forget(self) -> None:
        """Begins anew."""
        self.heard()
        self.said.clear()

    def environment(self, watchdog_s: float | None = None) -> dict[str, str]:
        """For a service that is to tell here."""
        watchdog = {} if watchdog_s is None else {"WATCHDOG_USEC": str(int(watchdog_s * 1e6))}
        return {**os.environ, "NOTIFY_SOCKET": str(self.path), **watchdog}

    def close(self) -> None:
        """Listens no more."""
        self._end.close()


@contextmanager
def notify_socket(folder: pathlib.Path) -> Iterator[NotifySocket]:
    """Listens in a folder while it lasts."""
    made = NotifySocket(folder / "notify")
    try:
        yield made
    finally:
        made.close()
