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

from nanotape.capture.adopted import AdoptedProcess
from nanotape.capture.errors import ServiceError

READY = b"ready\n"
PREPARED = b"prepared\n"
STOP_TIMEOUT_S = 15.0
INTERRUPTED = 130
"""Exit status of a command that a signal ended before its work had begun."""
_TOLD = (1, 2, 3)  # statuses with which our processes end after a line that says why


class Child:
    """A running process."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        talk: IO[Any] | None = None,
        stdin: int | None = None,
        pass_fds: Sequence[int] = (),
    ) -> None:
        """Starts it.

        Args:
            name: What it is to the service: `holder`, `capture`, `recorder`.
            command: Program and arguments.
            talk: Where its standard error goes; None: to ours.
            stdin: Its standard input, which stays the caller's; None: nothing.
            pass_fds: Further descriptors of the caller's that it has by the same numbers.

        Raises:
            ServiceError: It cannot be started.
        """
        self.name = name
        self.started = time.monotonic()
        try:
            # A session of its own: Ctrl-C reaches the supervisor alone, which ends its children in order.
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL if stdin is None else stdin,
                stdout=subprocess.PIPE,
                stderr=talk,
                start_new_session=True,
                pass_fds=tuple(pass_fds),
            )
        except OSError as error:
            raise ServiceError(f"{name}: {command[0]} cannot be started: {error.strerror}") from None
        self._take(process)

    def _take(self, process: subprocess.Popen[bytes] | AdoptedProcess) -> None:
        assert process.stdout is not None  # noqa: S101 - a pipe was asked for
        self._process, self._stdout = process, process.stdout
        self.pidfd = os.pidfd_open(process.pid)
        self._said = b""
        self.last_words = ""
        """The last line that it said after `ready`, once it has ended; empty without one."""

    @classmethod
    def adopted(cls, name: str, pid: int, stdout: int) -> "Child":
        """One that was ready before this program was executed.

        Args:
            name: As in the constructor.
            pid: A child of this process.
            stdout: The pipe that its standard output goes to; it is this object's now.
        """
        made = cls.__new__(cls)
        made.name, made.started = name, 0.0
        made._take(AdoptedProcess(pid, stdout))
        made._said = READY
        return made

    @property
    def stdout(self) -> int:
        """The pipe that its standard output goes to."""
        return self._stdout.fileno()

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """Exit status, negative the signal that killed it; None while it runs."""
        return self._process.poll()

    def wait_ready(self, timeout_s: float, wake: int | None = None, word: bytes = READY) -> None:
        """Waits until it says `ready`.

        Args:
            timeout_s: The longest to wait.
            wake: A file descriptor that ends the wait when it becomes readable.
            word: What else to wait for.

        Raises:
            ServiceError: It ended first, took too long, or the wait was ended; it is ended then.
        """
        deadline = time.monotonic() + timeout_s
        watched: list[Any] = [self._stdout] if wake is None else [self._stdout, wake]
        while word not in self._said:
            left = max(deadline - time.monotonic(), 0.0)
            readable = select.select(watched, [], [], left)[0]
            if wake in readable:
                self.stop()
                raise ServiceError(f"{self.name}: told to stop before it was ready; all was ended", INTERRUPTED)
            if not readable:
                self.stop()
                raise ServiceError(
                    f"{self.name}: expected it to be ready within {timeout_s:.0f} s, it is not; see its messages"
                )
            if not self._listen():
                status = self._process.wait()
                self.close()
                text = f"{self.name}: ended before it was ready ({ending(status)})"
                raise ServiceError(text, 2 if status == 2 else 1, told=status in _TOLD)

    @property
    def said_ready(self) -> bool:
        """Whether it has said `ready` by now."""
        while READY not in self._said and select.select([self._stdout], [], [], 0)[0]:
            if not self._listen():
                break
        return READY in self._said

    def _listen(self) -> bool:
        said = os.read(self._stdout.fileno(), 65_536)
        self._said += said
        return bool(said)

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
        if not self._stdout.closed:
            self.last_words = _last_line(self._said + self._stdout.read())
            self._stdout.close()


def _last_line(said: bytes) -> str:
    lines = said.partition(READY)[2].decode("utf-8", "replace").split("\n")
    return next((line for line in reversed(lines) if line.strip()), "")


def ending(status: int) -> str:
    """An exit status in words."""
    if status < 0:
        named = {number.value: number.name for number in signal.Signals}
        return f"killed by {named.get(-status, f'signal {-status}')}"
    return f"exit status {status}"
