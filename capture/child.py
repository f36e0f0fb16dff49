"""One process of a service: started, waited for until it says `ready`, seen to end at once (pidfd), ended by signal.

Never touches a process that it did not start.
"""

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Sequence
from typing import IO, Any

from nanotape.capture.errors import ServiceError

READY = b"ready\n"
READY_TIMEOUT_S = 60.0  # prefaulting a large ring takes its time
STOP_TIMEOUT_S = 15.0
_TOLD = (1, 2, 3)  # statuses with which our processes end after a line that says why


class Child:
    """A running process."""

    def __init__(self, name: str, command: Sequence[str], talk: IO[Any] | None = None) -> None:
        """Starts it.

        Args:
            name: What it is to the service: `holder`, `capture`, `recorder`.
            command: Program and arguments.
            talk: Where its standard error goes; None: to ours.

        Raises:
            ServiceError: It cannot be started.
        """
        self.name = name
        self.started = time.monotonic()
        try:
            # A session of its own: Ctrl-C reaches the supervisor alone, which ends its children in order.
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=talk, start_new_session=True
            )
        except OSError as error:
            raise ServiceError(f"{name}: {command[0]} cannot be started: {error.strerror}") from None
        self.pidfd = os.pidfd_open(self._process.pid)
        self._said = b""

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """Exit status, negative the signal that killed it; None while it runs."""
        return self._process.poll()

    def wait_ready(self, timeout_s: float = READY_TIMEOUT_S) -> None:
        """Waits until it says `ready`.

        Raises:
            ServiceError: It ended first, or took too long; it is ended then.
        """
        assert self._process.stdout is not None  # noqa: S101 - a pipe was asked for
        deadline = time.monotonic() + timeout_s
        while READY not in self._said:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._process.stdout], [], [], left)[0]:
                self.stop()
                raise ServiceError(
                    f"{self.name}: expected it to be ready within {timeout_s:.0f} s, it is not; see its messages"
                )
            said = os.read(self._process.stdout.fileno(), 4096)
            if not said:
                status = self._process.wait()
                self.close()
                told = status in _TOLD
                text = f"{self.name}: ended before it was ready ({ending(status)})"
                raise ServiceError(text, 2 if status == 2 else 1, told=told)
            self._said += said

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal, if it still runs."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, number)

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """Asks it to end, and kills it when it does not.

        Returns:
            Its exit status.
        """
        if self.status is None:
            self.signal(signal.SIGTERM)
            try:
                self._process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self.signal(signal.SIGKILL)
        status = self._process.wait()
        self.close()
        return status

    def close(self) -> None:
        """Gives back what belongs to an ended process. May be called twice."""
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1
        if self._process.stdout is not None:
            self._process.stdout.close()


def ending(status: int) -> str:
    """An exit status in words."""
    if status < 0:
        return f"killed by {signal.Signals(-status).name}"
    return f"exit status {status}"
