"""The watch over who else on this host listens to what an AF_XDP capture takes: such a program receives nothing.

The holder's executable looks, every two seconds, in a process of its own that nobody waits for. Each listener is told
once, as long as it stays.
"""

import contextlib
import ipaddress
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import IO

from nanotape.capture.child import ending
from nanotape.capture.counters import Flow

INTERVAL_S = 2.0
_PATIENCE_S = 10.0
_LAST_WORDS_S = 2.0


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket of this host, as one line of `nanotape-holder --listeners`."""

    interface: str
    pid: int
    """0: not to be learned."""
    process: str
    """Empty: not to be learned."""
    uid: int
    address: str
    """That it is bound to; `0.0.0.0` or `::`: any."""
    port: int
    flow_id: int
    """A flow that it shares; 0: what `select` adds."""

    def told(self, flow: Flow | None) -> str:
        """One line for the operator.

        Args:
            flow: That of `flow_id`; None: it is not known, or what `select` adds.
        """
        who = f"{self.process or 'a process'} (pid {self.pid})" if self.pid else f"a process of user {self.uid}"
        address, port = (flow.group, flow.port) if flow else (self.address, self.port)
        what = f"{f'[{address}]' if ':' in address else address}:{port}, which"
        if ipaddress.ip_address(address).is_unspecified:
            what = f"UDP port {port}, some of which"
        return (
            f"{self.interface}: {who} listens to {what} is captured: it receives nothing of that "
            'while this service runs; stop one of the two, or set delivery = "sniff" to capture copies'
        )


def parse(text: str) -> list[Listener]:
    """What `nanotape-holder --listeners` printed; lines of another form are left out: strangers name processes."""
    found = []
    for line in text.split("\n"):
        with contextlib.suppress(ValueError):
            interface, pid, process, uid, address, port, flow_id = line.split("\t")
            name = "".join(each if each.isprintable() else "?" for each in process)
            address = str(ipaddress.ip_address(address))
            found.append(Listener(interface, int(pid), name, int(uid), address, int(port), int(flow_id)))
    return found


class ListenerWatch:
    """Looks again and again, for as long as `look` is called."""

    def __init__(self, command: Sequence[str], log: Callable[[str], None], interval_s: float = INTERVAL_S) -> None:
        """Starts nothing yet.

        Args:
            command: Prints the listeners once.
            log: Takes a line when that fails, the first time.
            interval_s: Between two looks.
        """
        self._command, self._log, self._interval_s = command, log, interval_s
        self._known: frozenset[Listener] = frozenset()
        self._process: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] | None = None
        self._due = time.monotonic()
        self._has_failed = False

    @property
    def known(self) -> frozenset[Listener]:
        """All whom the last look found."""
        return self._known

    @property
    def wait_s(self) -> float:
        """How long there is nothing to do."""
        return 0.05 if self._process else max(self._due - time.monotonic(), 0.0)

    def look(self) -> list[Listener]:
        """Starts the next look when it is due, and returns whom the last one found that were not there before it."""
        if self._process is None:
            if time.monotonic() >= self._due:
                self._begin()
            return []
        status = self._process.poll()
        if status is None:
            if time.monotonic() > self._due + _PATIENCE_S:
                self._process.kill()
            return []
        return self._end(status)

    def _begin(self) -> None:
        self._due = time.monotonic() + self._interval_s
        try:
            self._output = os.fdopen(os.memfd_create("nanotape-listeners"), "w+b")  # a pipe would fill: nobody reads it
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            self._fail(f"{self._command[0]} cannot be started: {error.strerror}")
            if self._output is not None:
                self._output.close()
                self._output = None

    def _end(self, status: int) -> list[Listener]:
        assert self._output is not None  # noqa: S101 - it was made with the process
        with self._output:
            self._output.seek(0)
            text = self._output.read().decode("utf-8", "replace")
        self._process = self._output = None
        if status:
            self._fail(f"{text.strip().rpartition(chr(10))[2] or 'it said nothing'} ({ending(status)})")
            return []
        found = parse(text)
        new = [listener for listener in found if listener not in self._known]
        self._known = frozenset(found)
        return new

    def _fail(self, reason: str) -> None:
        if not self._has_failed:
            self._has_failed = True
            self._log(f"listeners: cannot see who else listens to what is captured: {reason}")

    def close(self) -> None:
        """Ends the look in hand. May be called twice."""
        if self._process is not None:
            self._process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):  # stuck in the kernel: that must not keep us
                self._process.wait(_LAST_WORDS_S)
            self._process = None
        if self._output is not None:
            self._output.close()
            self._output = None
