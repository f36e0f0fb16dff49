"""Tells of events that need somebody, severity `warning` and `error`: runs an operator's command, writes to syslog.

Never waits and never raises: what cannot be told is a line of the log, and stands in the archive all the same.
"""

import json
import os
import socket
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from nanotape.storage.clock import Clock
from nanotape.storage.hooks import Hook, HookLimits
from nanotape.storage.log import Log

SYSLOG_SOCKET = "/dev/log"
_FACILITY_DAEMON = 3 << 3
_PRIORITIES = {"warning": _FACILITY_DAEMON | 4, "error": _FACILITY_DAEMON | 3}
_LIMITS = HookLimits(run_s=60.0, waiting=256)
_TIMES = ("ts_start", "ts_end")


class EventNotices:
    """Of one recorder."""

    def __init__(
        self,
        command: Sequence[str],
        is_for_syslog: bool,
        clock: Clock,
        log: Log,
        syslog: str = SYSLOG_SOCKET,
    ) -> None:
        """Tells nobody yet.

        Args:
            command: Program and arguments; empty: none.
            is_for_syslog: Whether syslog is told.
            clock: For the command's time.
            log: Takes one line at a time; from a thread of the command's too.
            syslog: Where syslog listens.
        """
        self._hook = Hook("on_event", command, clock, log, limits=_LIMITS)
        self._log, self._path = log, syslog
        self._socket = (
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) if is_for_syslog else None
        )
        self._is_deaf = False

    def tell(self, events: pa.RecordBatch) -> None:
        """Tells of those rows of `events` that need somebody. Returns at once."""
        severities = events.column("severity").to_pylist()
        for at, severity in enumerate(severities):
            if severity in _PRIORITIES:
                told = event_object(events.slice(at, 1))
                self._hook.add(json.dumps(told))
                self._tell_syslog(_PRIORITIES[severity], told)

    def close(self) -> None:
        """Lets commands that wait be run, in bounded time."""
        self._hook.close()
        if self._socket:
            self._socket.close()
            self._socket = None

    def _tell_syslog(self, priority: int, told: dict[str, Any]) -> None:
        if self._socket is None:
            return
        shown = " ".join(f"{name}={value}" for name, value in told.items() if name not in ("detail", "kind"))
        text = f"<{priority}>nanotape[{os.getpid()}]: {told['kind']}: {told.get('detail', '')} {shown}"
        try:
            self._socket.sendto(text.replace("\n", " ").encode("utf-8", "replace"), self._path)
            self._is_deaf = False
        except OSError as error:
            if not self._is_deaf:
                self._log(f"{self._path}: syslog cannot be told: {error.strerror}; events stand in the archive")
            self._is_deaf = True


def event_object(row: pa.RecordBatch) -> dict[str, Any]:
    """One row of `events` for programs: what is null is left out, times are nanoseconds UTC."""
    told: dict[str, Any] = {}
    for name in row.schema.names:
        column = row.column(name)
        value = column.cast(pa.int64())[0].as_py() if pa.types.is_timestamp(column.type) else column[0].as_py()
        if value is not None:
            told[f"{name}_ns" if name in _TIMES else name] = value
    return told
