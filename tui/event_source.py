"""The events of an archive, as another process tells them: bounded, newest last, whatever becomes of the archive.

`poll` never waits and never raises; what keeps events from being known is a line of words.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from nanotape.config import Settings

EVENTS_MAX = 20_000
SINCE_NS = 24 * 3600 * 10**9
"""So far back."""
_AGAIN_S = 5.0
_STOP_S = 2.0
UNSEEN_S = 60.0
"""So long it goes on when nothing shows events any more."""
Event = dict[str, Any]
"""A row of `events`; stamps in nanoseconds."""
Command = Callable[[Path, int], list[str]]


def _command(archive: Path, since_ns: int) -> list[str]:
    return [sys.executable, "-P", "-m", "nanotape.storage.event_watch", str(archive), str(since_ns)]


def _begin(event: Event) -> int:
    return int(event["ts_start"])


class EventSource:
    """Of one archive; threads of its own read what the process tells."""

    def __init__(self, archive: Path, now_ns: int, command: Command = _command) -> None:
        """Begins to look.

        Args:
            archive: Its root; need not be there.
            now_ns: UTC.
            command: What to run, for tests.
        """
        self.archive = archive
        self._arguments = command(archive, now_ns - SINCE_NS)
        self._lock = threading.Lock()
        self._events: dict[str, Event] = {}
        self._version = 0
        self._trouble: str | None = "reading the archive"
        self._ended = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._follow, name="events", daemon=True)
        self._thread.start()

    @property
    def version(self) -> int:
        """Another one whenever there is something new."""
        return self._version

    @property
    def trouble(self) -> str | None:
        """Why nothing is known, or nothing more; None: all is well."""
        return self._trouble

    def events(self) -> list[Event]:
        """All that are kept, by when they began."""
        with self._lock:
            return sorted(self._events.values(), key=_begin)[-EVENTS_MAX:]

    def stop(self, wait_s: float = _STOP_S) -> None:
        """Ends the process, and waits for its end, so long at most: a disk may hang."""
        self._ended.set()
        self._end_process()
        self._thread.join(wait_s)

    def _end_process(self) -> None:
        process = self._process
        if process is not None and process.stdin is not None:
            with suppress(OSError):
                process.stdin.close()  # it ends then; if it waits for a disk that hangs, it need not be waited for
            with suppress(OSError):
                process.terminate()

    def _follow(self) -> None:
        while not self._ended.is_set():
            try:
                self._run()
            except OSError as error:
                self._tell_trouble(f"events: the process that reads them cannot be started: {error.strerror}")
            self._ended.wait(_AGAIN_S)

    def _run(self) -> None:
        process = self._process = subprocess.Popen(
            self._arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        if self._ended.is_set():
            self._end_process()
        assert process.stdout is not None  # noqa: S101  (piped)
        with process.stdout:
            for line in process.stdout:
                self._take(line)
        self._end_process()
        code = process.wait()
        if not self._ended.is_set():
            self._tell_trouble(
                f"events: the process that reads {self.archive} ended with status {code}; once more soon"
            )

    def _take(self, line: bytes) -> None:
        try:
            told = json.loads(line)
            event, trouble = told.get("event"), told.get("trouble")
        except (ValueError, AttributeError):
            return
        if event is None:
            if trouble != self._trouble:
                self._tell_trouble(trouble)
            return
        with self._lock:
            self._events[event["id"]] = event
            if len(self._events) > EVENTS_MAX * 5 // 4:  # seldom: it takes sorting
                newest = sorted(self._events.values(), key=_begin)[-EVENTS_MAX:]
                self._events = {each["id"]: each for each in newest}
            self._version += 1

    def _tell_trouble(self, words: str | None) -> None:
        self._trouble = words
        self._version += 1


class SharedEvents:
    """The one source that several panes look at, made when the first of them asks."""

    def __init__(
        self, make: Callable[[Path, int], EventSource] = EventSource, ticks: Callable[[], float] = time.monotonic
    ) -> None:
        """Makes nothing yet; `ticks` gives seconds."""
        self._make, self._ticks = make, ticks
        self._asked_s = 0.0
        self._source: EventSource | None = None

    def of(self, settings: Settings, now_ns: int) -> EventSource:
        """Of the configured archive."""
        archive, self._asked_s = Path(settings.paths.archive), self._ticks()
        if self._source is None or self._source.archive != archive:
            self.stop()
            self._source = self._make(archive, now_ns)
        return self._source

    def stop(self) -> None:
        """Ends it; asked again, another is made."""
        if self._source is not None:
            self._source.stop()
            self._source = None

    def stop_unseen(self) -> None:
        """Ends it, unless somebody asked lately; waits for nothing."""
        if self._source is not None and self._ticks() - self._asked_s > UNSEEN_S / 2:
            self._source.stop(0)
            self._source = None


SHARED = SharedEvents()
