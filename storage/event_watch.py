"""As a program, tells what befalls an archive, a JSON object a line, until its standard input ends.

In a process of its own, so that whoever looks on neither needs its memory nor waits for its disk. Objects are
`{"event": ...}`, each event once and once more when it has ended; `{"trouble": ...}`: why there are none, in words;
`{"read_ns": ...}` after each look.
"""

import json
import select
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from nanotape.storage.clock import Clock, SystemClock
from nanotape.storage.errors import StorageError
from nanotape.storage.event_follow import EventFollower
from nanotape.storage.reader import open_archive
from nanotape.storage.selection import Selection

EVENTS_MAX = 20_000
"""So many of the newest are told first."""
_RECENT_NS = 15 * 60 * 10**9
_ALL_EACH = 120  # looks: an event may be found long after it was
_PAUSE_S = 1.0
_PAUSE_OF_LOOK = 10  # a long archive is looked at less often

Tell = Callable[[dict[str, Any]], None]


class EventWatch:
    """Of one archive."""

    def __init__(self, archive: Path, since_ns: int, tell: Tell, clock: Clock) -> None:
        """Tells nothing yet.

        Args:
            archive: Its root; need not be there.
            since_ns: UTC: what was over by then is left out.
            tell: Takes an object at a time.
            clock: For the time of day, and how long looks take.
        """
        self._archive, self._since_ns, self._tell, self._clock = archive, since_ns, tell, clock
        self._given: dict[str, int | None] = {}
        self._looks = 0

    def look(self) -> None:
        """Tells what is new."""
        now_ns = self._clock.utc_ns()
        is_whole = self._looks % _ALL_EACH == 0
        start_ns = self._since_ns if is_whole else max(self._since_ns, now_ns - _RECENT_NS)
        try:
            # A reader for each look: the archive may have been taken away and made anew.
            found = EventFollower(open_archive(self._archive), _selection(start_ns, now_ns)).new()
        except (StorageError, OSError, ValueError) as error:  # the last is Arrow's, of a damaged file
            self._looks = 0
            self._tell({"trouble": str(error) if isinstance(error, StorageError) else f"{self._archive}: {error}"})
            return
        self._looks += 1
        new = [each for each in found if self._given.get(each["id"], -1) != each["ts_end"]]
        for event in new[-EVENTS_MAX:]:
            self._given[event["id"]] = event["ts_end"]
            self._tell({"event": event})
        while len(self._given) > 4 * EVENTS_MAX:
            self._given.pop(next(iter(self._given)))
        self._tell({"read_ns": now_ns})

    def run(self, wait: Callable[[float], bool]) -> None:
        """Looks again and again.

        Args:
            wait: Passes so many seconds, or less; True: somebody wants it to end.
        """
        while True:
            began_ns = self._clock.monotonic_ns()
            self.look()
            took_s = (self._clock.monotonic_ns() - began_ns) / 1e9
            if wait(max(_PAUSE_S, took_s * _PAUSE_OF_LOOK)):
                return


def _selection(start_ns: int, now_ns: int) -> Selection:
    """Files of days that cannot have it are not opened; events of a day may be written the day after."""
    first = datetime.fromtimestamp(start_ns // 10**9, UTC).date()
    days = (datetime.fromtimestamp(now_ns // 10**9, UTC).date() - first).days
    return Selection.of(start=start_ns, date=[f"{first + timedelta(days=day)}" for day in range(max(days, 0) + 2)])


def main(arguments: list[str]) -> int:
    """`event_watch ARCHIVE SINCE_NS`: see the module."""

    def tell(told: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(told) + "\n")
        if "event" not in told:
            sys.stdout.flush()

    def wait(seconds: float) -> bool:
        return bool(select.select([sys.stdin], [], [], seconds)[0])

    try:
        EventWatch(Path(arguments[0]), int(arguments[1]), tell, SystemClock()).run(wait)
    except (BrokenPipeError, KeyboardInterrupt):
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
