"""`nanotape events`: what befell the captures of an archive, and what befalls them now."""

import json
import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from nanotape.storage.clock import SystemClock

_AGO = re.compile(r"(\d+)(s|min|h|d)")
_UNITS_S = {"s": 1, "min": 60, "h": 3600, "d": 86_400}
_POLL_S = 1.0


def events(
    archives: Annotated[list[Path], typer.Argument(metavar="ARCHIVE...", help="Archives, or globs of them.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with those that come, until Ctrl-C.")] = False,
    since: Annotated[
        str | None, typer.Option(metavar="AGO|TIME", help="Begun since then: 30s, 1h, 7d ago, or 2026-11-20 09:30.")
    ] = None,
    tz: Annotated[
        str | None, typer.Option(metavar="ZONE", help="Zone of a TIME that names none. Default: UTC.")
    ] = None,
    kind: Annotated[list[str] | None, typer.Option(help="Only of this kind; may be repeated, as the next two.")] = None,
    severity: Annotated[list[str] | None, typer.Option(help="Only info, warning or error.")] = None,
    channel: Annotated[list[str] | None, typer.Option(help="Only of this channel.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object an event.")] = False,
) -> None:
    """Print events: losses, gaps, faults of disk and clock, restarts, deletions, marks."""
    from nanotape.storage.event_follow import EventFollower, event_json, event_line
    from nanotape.storage.reader import open_archive
    from nanotape.storage.selection import Selection

    clock = SystemClock()
    names = {"kind": kind or None, "severity": severity or None}
    selection = Selection.of(channel=channel or None, names=names, start=_since(since, clock.utc_ns()), tz=tz)
    follower = EventFollower(open_archive(archives), selection)
    try:
        while True:
            for event in follower.new():
                line = json.dumps(event_json(event)) if as_json else event_line(event)
                sys.stdout.write(line + "\n")
            sys.stdout.flush()
            if not follow:
                return
            clock.sleep(_POLL_S)
    except KeyboardInterrupt:
        return


def _since(text: str | None, now_ns: int) -> int | str | None:
    match = _AGO.fullmatch(text or "")
    if match is None:
        return text
    return now_ns - int(match[1]) * _UNITS_S[match[2]] * 10**9
