"""What goes on beside recording, in threads of its own: commands for segments and events, syslog, and retention.

Whatever happens here is a line of the log. It never delays a recorder and never ends one.
"""

import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from nanotape.storage.archive import Archive
from nanotape.storage.clock import Clock
from nanotape.storage.deletion import Doomed
from nanotape.storage.errors import StorageError
from nanotape.storage.event_log import append_events
from nanotape.storage.event_notices import EventNotices
from nanotape.storage.hooks import Hook, failure_event
from nanotape.storage.log import Log
from nanotape.storage.retention import Retention, RetentionPolicy

_SAID_AGAIN_NS = 600 * 10**9
_END_S = 5.0


@dataclass(frozen=True, slots=True)
class UpkeepOptions:
    """What is done beside recording."""

    post_rotate: tuple[str, ...] = ()
    """Program and arguments that are run for each complete segment; empty: none."""
    retention: RetentionPolicy | None = None
    """None: nothing is deleted."""
    interval_s: float = 10.0
    """Between two looks at the room that there is."""
    host: str = ""
    """For the events of a command that failed."""
    on_event: tuple[str, ...] = ()
    """Program and arguments that are run for each event that needs somebody; empty: none."""
    syslog: bool = False
    """Whether syslog is told of these."""


class Upkeep:
    """Of one archive, from `start` to `stop`."""

    def __init__(self, archive: Path, options: UpkeepOptions, clock: Clock, log: Log) -> None:
        """Does nothing yet; the archive need not be there."""
        self._path, self._options, self._clock, self._log = archive, options, clock, log
        self._hook = Hook("post_rotate", options.post_rotate, clock, log, self._failed)
        self._notices = EventNotices(options.on_event, options.syslog, clock, log)
        self._ended, self._due = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._retention: Retention | None = None
        self._said: dict[str, int] = {}

    def start(self) -> None:
        """Begins to look after the room; called again, it looks at once."""
        self._due.set()
        if self._options.retention is not None and self._thread is None:
            self._thread = threading.Thread(target=self._work, name="nanotape-retention", daemon=True)
            self._thread.start()

    def finished(self, segment: Path) -> None:
        """A segment is complete. Returns at once."""
        self._hook.add(segment)

    def told(self, events: pa.RecordBatch) -> None:
        """Rows of `events` are told. Returns at once."""
        self._notices.tell(events)

    def stop(self) -> None:
        """Ends, in bounded time; what is cut off is ended by the next who looks."""
        self._ended.set()
        self._due.set()
        if self._thread:
            self._thread.join(_END_S)
        self._hook.close()
        self._notices.close()

    def _work(self) -> None:
        while True:
            self._due.clear()
            if self._ended.is_set():
                return
            self.look()
            self._due.wait(self._options.interval_s)

    def look(self) -> list[Doomed]:
        """Looks after the room once. Returns what was deleted."""
        try:
            retention = self._made()
            if retention is None:
                return []
            deleted = retention.enforce()
        except Exception as error:  # a defect too: what is recorded is worth more than what is deleted
            self._say(f"{self._path}: retention: {error}", type(error).__name__)
            return []
        if deleted:
            size = sum(each.bytes for each in deleted)
            self._say(f"{self._path}: {len(deleted)} files deleted, {size / 2**20:,.1f} MiB: {deleted[0].reason}", "")
        if retention.is_exhausted:
            self._say(
                f"{self._path}: too little room, and nothing is left to delete but the newest of each ring; make room "
                "beside the archive, or lower recorder.rotate_bytes",
                "exhausted",
            )
        return deleted

    def _made(self) -> Retention | None:
        policy = self._options.retention
        if self._retention is None and policy is not None and self._path.is_dir():
            self._retention = Retention(Archive(self._path), policy, self._clock, self._log)
        return self._retention

    def _say(self, line: str, kind: str) -> None:
        """Not again and again."""
        now = self._clock.monotonic_ns()
        if kind not in self._said or now - self._said[kind] >= _SAID_AGAIN_NS:
            self._said[kind] = now
            self._log(line)

    def _failed(self, segment: Path, what: str) -> None:
        now = self._clock.utc_ns()
        with suppress(StorageError):  # it stands in the log
            append_events(self._path, [failure_event("post_rotate", segment, what, self._options.host, now)], now)
