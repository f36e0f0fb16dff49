"""Runs an operator's command for each finished file, with its path as the last argument; or for something else's words.

One at a time, in order, in a thread of its own: who hands a file in never waits. A command that fails, hangs or floods
costs a line of the log and a warning among the events, nothing else. What waits is bounded; the rest is left out.
"""

import json
import os
import queue
import select
import signal
import subprocess
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from nanotape.storage.clock import Clock
from nanotape.storage.events import Event
from nanotape.storage.log import Info, Log

_LOOK_S = 0.05
_TERM_S = 2.0
"""A command that is to end has so long to do it by itself."""
_LINE_CHARACTERS = 500

Failed = Callable[[Path, str], None]
"""Takes the file and what went wrong."""


@dataclass(frozen=True, slots=True)
class HookLimits:
    """What a command may take."""

    run_s: float = 600.0
    """Then it is ended, with all that it started."""
    waiting: int = 1024
    """Files that wait for it; more are left out."""
    output_bytes: int = 4096
    """Of what it writes, for the log; the rest is dropped."""


@dataclass(slots=True)
class _Output:
    """What a command wrote, as far as it is kept."""

    limit: int
    kept: bytearray = field(default_factory=bytearray)
    dropped: int = 0

    def add(self, data: bytes) -> None:
        room = max(0, self.limit - len(self.kept))
        self.kept += data[:room]
        self.dropped += len(data[room:])

    def lines(self) -> list[str]:
        text = [line[:_LINE_CHARACTERS] for line in self.kept.decode("utf-8", "replace").splitlines() if line.strip()]
        return [*text, f"({self.dropped} bytes more)"] if self.dropped else text


class Hook:
    """One command; has no thread before its first file."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        clock: Clock,
        log: Log,
        on_failed: Failed | None = None,
        limits: HookLimits | None = None,
    ) -> None:
        """Runs nothing yet.

        Args:
            name: The key that configures it, such as `post_rotate`.
            command: Program and arguments; empty: none, and files are taken for nothing.
            clock: For the time limit.
            log: Takes one line at a time; called in the hook's own thread too.
            on_failed: Called in that thread for each file whose command failed. Must not raise.
            limits: None: the defaults.
        """
        self._name, self._command, self._clock, self._log = name, tuple(command), clock, log
        self._on_failed = on_failed or (lambda _path, _what: None)
        self._limits = limits or HookLimits()
        self._files: queue.SimpleQueue[Path | str | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._aborted = threading.Event()

    def add(self, path: Path | str) -> None:
        """Has the command run for a file, or with some words, soon. Returns at once, whatever it does."""
        if not self._command:
            return
        if self._files.qsize() >= self._limits.waiting:
            self._log(f"{self._name}: {path}: left out, {self._limits.waiting} files wait already; run it by hand")
            return
        self._files.put(path)
        if self._thread is None:
            thread = threading.Thread(target=self._work, name=f"nanotape-{self._name}", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # it waits for the next; whoever records goes on
                self._log(
                    f"{self._name}: {path}: waits, no thread can be started just now; raise ulimit -u or TasksMax"
                )
            else:
                self._thread = thread

    def close(self, wait_s: float | None = 10.0) -> None:
        """Lets what waits be run, then ends. May be called twice.

        Args:
            wait_s: For so long at the most: then what runs is ended and what waits is left out. None: as long as the
                commands' own limits allow.
        """
        if self._thread is None:
            return
        self._files.put(None)
        self._thread.join(wait_s)
        if self._thread.is_alive():
            self._aborted.set()
            self._thread.join(2 * _TERM_S)
        self._thread = None

    def _work(self) -> None:
        while (path := self._files.get()) is not None:
            if self._aborted.is_set():
                self._log(f"{self._name}: {path}: left out, since we end; run it by hand")
                continue
            if what := self._run(path):
                self._log(f"{self._name}: {path}: {what}")
                self._on_failed(Path(path), what)

    def _run(self, path: Path | str) -> str | None:
        """Runs the command for a file. Returns what went wrong; None: nothing."""
        try:
            process = subprocess.Popen(
                [*self._command, str(path)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            return f"{self._command[0]} cannot be started: {error.strerror}; correct {self._name}, or its file's mode"
        output = _Output(self._limits.output_bytes)
        with process:
            trouble = self._watch(process, output)
        for line in output.lines():
            self._log(Info(f"{self._name}: {line}"))
        return trouble or _verdict(process.returncode)

    def _watch(self, process: subprocess.Popen[bytes], output: _Output) -> str | None:
        """Reads what it writes until it ends, not until all do that it started; ends it when its time is up."""
        assert process.stdout is not None  # noqa: S101 - a pipe was asked for
        os.set_blocking(process.stdout.fileno(), False)
        deadline = self._clock.monotonic_ns() + int(self._limits.run_s * 1e9)
        is_open = True
        while process.poll() is None:
            if self._aborted.is_set() or self._clock.monotonic_ns() >= deadline:
                _end(process)
                if is_open:
                    _drain(process.stdout.fileno(), output)
                return "ended, since we end" if self._aborted.is_set() else f"ended after {self._limits.run_s:g} s"
            if is_open:
                select.select([process.stdout], [], [], _LOOK_S)
                is_open = _drain(process.stdout.fileno(), output)
            else:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_LOOK_S)
        if is_open:
            _drain(process.stdout.fileno(), output)
        return None


def failure_event(name: str, path: Path, what: str, host: str, now_ns: int) -> Event:
    """A command's failure as an event: a `mark` of the hook's, since neither capture nor archive has suffered."""
    detail = json.dumps({"path": str(path), "failure": what})
    return Event("mark", now_ns, now_ns, severity="warning", host=host, stage=name, detail=detail)


def _verdict(status: int) -> str | None:
    if status == 0:
        return None
    if status < 0:
        return f"exit status 0 expected, killed by {signal.Signals(-status).name}"
    return f"exit status 0 expected, found {status}"


def _drain(descriptor: int, output: _Output) -> bool:
    """Takes what is there. Returns whether more may come."""
    while True:
        try:
            data = os.read(descriptor, 1 << 16)
        except BlockingIOError:
            return True
        except OSError:
            return False
        if not data:
            return False
        output.add(data)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends it and all that it started in its session."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_TERM_S)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
