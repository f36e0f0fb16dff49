"""One picture for programs and for a terminal that is none: `top --json`, `top --once`. Unknown is null, or `-`."""

from dataclasses import asdict
from typing import Any

from nanotape.capture.finding import Severity
from nanotape.capture.recorded_feeds import RecordedFeeds
from nanotape.tui import words
from nanotape.tui.overview_lines import overview_lines
from nanotape.tui.picture import Picture, RingPicture
from nanotape.tui.ring_rates import ring_rates
from nanotape.tui.verdicts import verdicts

ONCE_COLUMNS = 80


def once_lines(picture: Picture, columns: int = ONCE_COLUMNS) -> list[str]:
    """The overview as text: the headline, as long as it is, and lines of at most so many columns."""
    lines = [picture.headline, *(line.plain.rstrip() for line in overview_lines(picture, columns))]
    return [words.printable(line) for line in lines]


def as_json(picture: Picture) -> dict[str, Any]:
    """All that the panes are drawn from, but for what they ask for themselves."""
    return {
        "at_ns": picture.at_ns,
        "fine": picture.severity is not Severity.ERROR,
        "headline": picture.headline,
        "verdicts": {each.name.lower(): _verdict(each.severity, each.said) for each in verdicts(picture)},
        "rings": [_ring(each) for each in picture.rings],
        "unreadable": [asdict(each) for each in picture.unreadable],
        "absent": list(picture.absent),
        "clock": _clock(picture),
        "findings": [asdict(each) for each in picture.findings],
        "troubles": list(picture.troubles),
        "look_s": picture.look_s,
    }


def _verdict(severity: Severity | None, said: str) -> dict[str, str | None]:
    return {"severity": None if severity is None else severity.value, "said": said}


def _ring(ring: RingPicture) -> dict[str, Any]:
    return {
        "name": ring.name,
        "health": asdict(ring.health),
        "rates": asdict(ring_rates(ring)),
        "fill": ring.fill,
        "busy": ring.busy,
        "loads": [asdict(each) for each in ring.loads],
        "lost_minute": ring.lost_minute,
        "lost_minute_s": ring.lost_minute_s,
        "sources": [asdict(each) for each in ring.look.facts.sources],
        "gaps": None if ring.look.facts.gaps is None else asdict(ring.look.facts.gaps),
        "lines": None if ring.feeds is None else _lines(ring.feeds),
        "segments": {name: asdict(each) for name, each in ring.segments},
    }


def _lines(feeds: RecordedFeeds) -> list[dict[str, Any]]:
    return [{"channel": channel, "line": line, **asdict(each)} for (channel, line), each in feeds.lines.items()]


def _clock(picture: Picture) -> dict[str, Any] | None:
    clock = picture.clock
    return None if clock is None else {**asdict(clock), "fine": clock.is_fine}
