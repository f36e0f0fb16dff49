"""The log of a service: lines of text, JSON by structlog, or a journal's fields; the same line only so often a minute.

Never raises, as storage/log.py promises. Lines are the same that differ in nothing but numbers. Each has a level, which
the journal gets as a priority: as a field, or before the line (sd-daemon(3)) where stderr is the journal's.
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
from nanotape.storage.log import Error, Info, level_of, like, log_to_stderr, write_to_stderr

JOURNAL_SOCKET = "/run/systemd/journal/socket"
_MINUTE_NS = 60 * 10**9
_KINDS_KEPT = 1024
_NUMBERS = re.compile(r"\d+")
_PRIORITIES = {"error": 3, "warning": 4, "info": 6}  # syslog's
_PREFIX = re.compile(r"<([0-7])>")
_JSON_LEVEL = re.compile(r'"level": ?"(\w+)"')


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
    return [like(kind.last, f"{kind.last} (and {kind.held} like it held back)")] if kind.held else []


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
        write = _json_writer(fields, clock, is_journal(environment))
    elif is_journal(environment):
        write = journal_writer(fields, JOURNAL_SOCKET)
    return ServiceLog(RepeatLimit(a_minute, clock), write)


def _json_writer(fields: Mapping[str, str], clock: Clock, is_prefixed: bool) -> Callable[[str], None]:
    from datetime import UTC, datetime

    from structlog.processors import JSONRenderer

    render = JSONRenderer(ensure_ascii=False)

    def write(line: str) -> None:
        now_ns = clock.utc_ns()
        moment = datetime.fromtimestamp(now_ns // 10**9, UTC)
        stamp = f"{moment:%Y-%m-%dT%H:%M:%S}.{now_ns % 10**9:09d}Z"
        level = level_of(line)
        said = render(None, level, {"timestamp": stamp, "level": level, **fields, "event": str(line)})
        text = said if isinstance(said, str) else said.decode()
        write_to_stderr(f"<{_PRIORITIES[level]}>{text}" if is_prefixed else text)

    return write


def passed_on(line: str, log: Callable[[str], None], environment: Mapping[str, str] = os.environ) -> None:
    """Says a line that another process of the service wrote: JSON as it is, anything else as our own.

    Args:
        line: As it came; a priority before it (sd-daemon(3)) is taken for its level.
        log: Of this process.
        environment: Says whether stderr is the journal's.
    """
    prefix = _PREFIX.match(line)
    text = line[prefix.end() :] if prefix else line
    if text.startswith("{"):
        level = _JSON_LEVEL.search(text)
        priority = _PRIORITIES.get(level[1], 4) if level else 4
        write_to_stderr(f"<{priority}>{text}" if is_journal(environment) else text)
        return
    priority = int(prefix[1]) if prefix else 4
    log(Error(text) if priority <= 3 else text if priority == 4 else Info(text))


def before_line(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """A line for stderr with its priority before it where that is the journal's; else as it is."""
    return f"<{_PRIORITIES[level_of(text)]}>{text}" if is_journal(environment) else text


def is_journal(environment: Mapping[str, str]) -> bool:
    """Whether stderr goes to systemd's journal (systemd.exec(5), JOURNAL_STREAM)."""
    device, _, inode = environment.get("JOURNAL_STREAM", "").partition(":")
    try:
        found = os.fstat(sys.stderr.fileno())
    except (AttributeError, OSError, ValueError):
        return False
    return (device, inode) == (str(found.st_dev), str(found.st_ino))


def journal_writer(fields: Mapping[str, str], path: str) -> Callable[[str], None]:
    """Writes lines with fields: `NANOTAPE_PROCESS`, `NANOTAPE_RING`; what the journal does not take goes to stderr.

    Source: systemd.io, "Native Journal Protocol".
    """
    lines = ["SYSLOG_IDENTIFIER=nanotape"]
    lines += [f"NANOTAPE_{name.upper()}={_one_line(value)}" for name, value in fields.items()]
    head = "\n".join(lines)

    def write(line: str) -> None:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender:
                said = f"{head}\nPRIORITY={_PRIORITIES[level_of(line)]}\nMESSAGE={_one_line(line)}\n"
                sender.sendto(said.encode("utf-8", "replace"), path)
        except OSError:
            with contextlib.suppress(Exception):
                write_to_stderr(before_line(like(line, f"nanotape: {line}")))

    return write


def _one_line(text: str) -> str:
    return text.replace("\n", " ")
