"""Tells lines that are silent since the start, or have gone stale, while their channel trades."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nanotape.storage.events import Event
from nanotape.storage.feed_events import FeedEvents
from nanotape.storage.feed_options import FeedOptions, Quiet


@dataclass(frozen=True, slots=True)
class _Silence:
    kind: str
    start_ns: int


class FeedPresence:
    """Of one recorder."""

    def __init__(self, options: FeedOptions, events: FeedEvents, now_ns: int) -> None:
        """Begins at a moment, UTC: whoever is silent is so since then."""
        self._quiet, self._events = options.quiet, events
        self._begin_ns = now_ns
        self._open_since: dict[str, int] = {}
        self._silences: dict[int, _Silence] = {}

    def look(self, lines: Sequence[Any], now_ns: int) -> list[Event]:
        """What has begun or ended since the last look.

        Args:
            lines: Facts of each flow.
            now_ns: UTC.
        """
        told = []
        for line in lines:
            quiet = self._quiet.get(line.channel)
            if quiet is None or quiet.after_ns is None:
                continue
            since = self._since(line, quiet, now_ns)
            is_silent = since is not None and now_ns - since >= quiet.after_ns
            silence = self._silences.get(line.flow_id)
            if is_silent and silence is None and since is not None:
                told.append(self._begin(line, since))
            elif silence and not is_silent:
                told.append(self._end(line, silence, now_ns))
        return told

    def _since(self, line: Any, quiet: Quiet, now_ns: int) -> int | None:
        """From when on a packet was to be expected; None: none is now."""
        if quiet.hours and not quiet.hours.is_open(now_ns):
            self._open_since.pop(line.channel, None)
            return None
        opened = self._open_since.setdefault(line.channel, now_ns if quiet.hours else self._begin_ns)
        return max(line.last_ts_ns or self._begin_ns, min(opened, now_ns))

    def _begin(self, line: Any, since_ns: int) -> Event:
        kind = "stale" if line.last_ts_ns is not None else "silent"
        self._silences[line.flow_id] = _Silence(kind, since_ns)
        what = "no packet since" if kind == "stale" else "no packet since the recorder began"
        advice = "" if kind == "stale" else ": look at the join, VLAN, source filter, steering and the NIC's filters"
        return self._events.silence(line.flow_id, kind, since_ns, None, what + advice)

    def _end(self, line: Any, silence: _Silence, now_ns: int) -> Event:
        del self._silences[line.flow_id]
        is_back = line.last_ts_ns is not None and line.last_ts_ns > silence.start_ns
        end_ns = line.last_ts_ns if is_back else now_ns
        what = "packets come again" if is_back else "the session has ended"
        return self._events.silence(line.flow_id, silence.kind, silence.start_ns, end_ns, what)
