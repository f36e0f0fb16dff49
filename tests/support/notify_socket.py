"""A service manager's end of sd_notify: a socket that keeps what it is told."""

from __future__ import annotations

import contextlib
import os
import pathlib
import socket
import threading
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
        self._said: list[str] = []
        self._lock = threading.Lock()
        self._is_closed = threading.Event()
        self._emptying = threading.Thread(target=self._empty, name="notify socket")
        self._emptying.start()

    def _empty(self) -> None:
        """Again and again: the kernel keeps ten datagrams, a sender that does not wait loses what is beyond."""
        while not self._is_closed.wait(0.05):
            self.heard()

    def heard(self) -> list[str]:
        """All lines up to now."""
        with self._lock:
            with contextlib.suppress(BlockingIOError):
                while True:
                    self._said += self._end.recv(4096).decode().split("\n")
            return list(self._said)

    def forget(self) -> None:
        """Begins anew."""
        self.heard()
        with self._lock:
            self._said.clear()

    def environment(self, watchdog_s: float | None = None) -> dict[str, str]:
        """For a service that is to tell here."""
        watchdog = {} if watchdog_s is None else {"WATCHDOG_USEC": str(int(watchdog_s * 1e6))}
        return {**os.environ, "NOTIFY_SOCKET": str(self.path), **watchdog}

    def close(self) -> None:
        """Listens no more."""
        self._is_closed.set()
        self._emptying.join()
        self._end.close()


@contextmanager
def notify_socket(folder: pathlib.Path) -> Iterator[NotifySocket]:
    """Listens in a folder while it lasts."""
    made = NotifySocket(folder / "notify")
    try:
        yield made
    finally:
        made.close()
