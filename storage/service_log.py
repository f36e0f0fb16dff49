"""The log of a service: lines of text, JSON by structlog, or a journal's fields; the same line only so often a minute.

Never raises, as storage/log.py promises. Lines are the same that differ in nothing but numbers.
"""

import contextlib
import os
import re
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from nanotape.storage.clock import Clock
from nanotape.storage.log import log_to_stderr, write_to_stderr

JOURNAL_SOCKET = "/run/systemd/journal/socket"
_MINUTE_NS = 60 * 10**9
_KINDS_KEPT = 1024
_NUMBERS = re.compile(r"\d+")
_INFO = 6  # syslog's


@dataclass(slots=True)
class _Kind:
    """Lines that differ in nothing but numbers."""

    since_ns: int
    said: int = 0
    held: int = 0
    last: str = ""


class RepeatLimit:
    """Lets a line through only so often a minute, and says afterwards how often it was held back."""

    def __init__(self, a_minute: int, clock: Clock) -> None:
        """Knows no line yet."""
        self._a_minute, self._clock = a_minute, clock
        self._kinds: dict[str, _Kind] = {}

    def admit(self, line: str) -> list[str]:
        """What to say instead of a line: counts of what was held back and is due, and the line, unless it is held."""
        now = self._clock.monotonic_ns()
        said = self._due(now)
        key = _NUMBERS.sub("#", line)
        if key not in self._kinds and len(self._kinds) >= _KINDS_KEPT:
            said += _told(self._kinds.pop(next(iter(self._kinds))))
        kind = self._kinds.setdefault(key, _Kind(now))
        if kind.said < self._a_minute:
            kind.said += 1
            return [*said, line]
        kind.held, kind.last = kind.held + 1, line
        return said

    def finish(self) -> list[str]:
        """Counts of all that was held back, and not told."""
        kinds, self._kinds = self._kinds, {}
        return [told for kind in kinds.values() for told in _told(kind)]

    def _due(self, now: int) -> list[str]:
        over = [key for key, kind in self._kinds.items() if now - kind.since_ns >= _MINUTE_NS]
        return [told for key in over for told in _told(self._kinds.pop(key))]


def _told(kind: _Kind) -> list[str]:
    return [f"{kind.last} (and {kind.held} like it held back)"] if kind.held else []


class ServiceLog:
    """Takes one line at a time, from several threads."""

    def __init__(self, limit: RepeatLimit, write: Callable[[str], None]) -> None:
        """Says nothing yet.

        Args:
            limit: What is let through.
            write: Takes a line that is. Must not raise.
        """
        self._limit, self._write, self._lock = limit, write, threading.Lock()

    def __call__(self, line: str) -> None:
        """Says a line, or counts it."""
        with self._lock:
            for each in self._limit.admit(line):
                self._write(each)

    def close(self) -> None:
        """Says what was held back. May be called twice, and more may be said afterwards."""
        with self._lock:
            for each in self._limit.finish():
                self._write(each)


def service_log(
    form: Literal["text", "json"],
    a_minute: int,
    fields: Mapping[str, str],
    clock: Clock,
    environment: Mapping[str, str] = os.environ,
) -> ServiceLog:
    """The log that a process of a service writes.

    Args:
        form: As configured; with `text` under systemd lines go to the journal with their fields.
        a_minute: How often a minute the same line is said.
        fields: Of all lines: `process`, `ring`.
        clock: For the limit, and for the stamps of JSON.
        environment: Says whether stderr is the journal's.
    """
    write: Callable[[str], None] = log_to_stderr
    if form == "json":
        write = _json_writer(fields, clock)
    elif is_journal(environment):
        write = journal_writer(fields)
    return ServiceLog(RepeatLimit(a_minute, clock), write)


def _json_writer(fields: Mapping[str, str], clock: Clock) -> Callable[[str], None]:
    from datetime import UTC, datetime

    from structlog.processors import JSONRenderer

    render = JSONRenderer(ensure_ascii=False)

    def write(line: str) -> None:
        now_ns = clock.utc_ns()
        moment = datetime.fromtimestamp(now_ns // 10**9, UTC)
        stamp = f"{moment:%Y-%m-%dT%H:%M:%S}.{now_ns % 10**9:09d}Z"
        said = render(None, "info", {"timestamp": stamp, **fields, "event": line})
        write_to_stderr(said if isinstance(said, str) else said.decode())

    return write


def is_journal(environment: Mapping[str, str]) -> bool:
    """Whether stderr goes to systemd's journal (systemd.exec(5), JOURNAL_STREAM)."""
    device, _, inode = environment.get("JOURNAL_STREAM", "").partition(":")
    try:
        found = os.fstat(sys.stderr.fileno())
    except (AttributeError, OSError, ValueError):
        return False
    return (device, inode) == (str(found.st_dev), str(found.st_ino))


def journal_writer(fields: Mapping[str, str], path: str = JOURNAL_SOCKET) -> Callable[[str], None]:
    """Writes lines with fields: `NANOTAPE_PROCESS`, `NANOTAPE_RING`; what the journal does not take goes to stderr.

    Source: systemd.io, "Native Journal Protocol".
    """
    lines = [f"SYSLOG_IDENTIFIER=nanotape\nPRIORITY={_INFO}"]
    lines += [f"NANOTAPE_{name.upper()}={_one_line(value)}" for name, value in fields.items()]
    head = "\n".join(lines)

    def write(line: str) -> None:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender:
                sender.sendto(f"{head}\nMESSAGE={_one_line(line)}\n".encode("utf-8", "replace"), path)
        except OSError:
            with contextlib.suppress(Exception):
                log_to_stderr(line)

    return write


def _one_line(text: str) -> str:
    return text.replace("\n", " ")
