"""How figures are written on a screen: short, with their unit, `-` for what is unknown, so that they fit a column.

Pure, and alone in it: every pane and `top --once` write their figures with these.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

UNKNOWN = "-"
_STEPS = ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k"))
_BYTES = ((1 << 40, "Ti"), (1 << 30, "Gi"), (1 << 20, "Mi"), (1 << 10, "Ki"))
_BARS = " ▁▂▃▄▅▆▇█"
_FULL, _EMPTY = "█", "░"


def count(number: int | None) -> str:
    """All digits: `1,234,567`."""
    return UNKNOWN if number is None else f"{number:,}"


def short(number: float | None) -> str:
    """At most six characters: `987`, `12.3k`, `4.57M`."""
    return _scaled(number, _STEPS, "", "")


def rate(per_second: float | None) -> str:
    """Packets, or what else is counted, in a second: `12.3k/s`."""
    return UNKNOWN if per_second is None else f"{short(per_second)}/s"


def bits(bits_s: float | None) -> str:
    """`942 Mbit/s`."""
    return _scaled(bits_s, _STEPS, " ", "bit/s")


def size(number_bytes: float | None) -> str:
    """`1.50 GiB`."""
    return _scaled(number_bytes, _BYTES, " ", "B")


def _scaled(number: float | None, steps: Sequence[tuple[int, str]], gap: str, unit: str) -> str:
    """In the largest step that it reaches, with its letters before the unit."""
    if number is None:
        return UNKNOWN
    for step, letters in steps:
        if abs(number) >= step:
            return f"{_three_digits(number / step)}{gap}{letters}{unit}"
    return f"{number:.0f}{gap}{unit}"


def share(part: float | None) -> str:
    """Of a whole, 1 being all of it: `12.3%`."""
    return UNKNOWN if part is None else f"{part:.1%}"


def seconds(length_s: float | None) -> str:
    """A length of time in its two largest units: `4.2 s`, `3 min 20 s`, `2 d 4 h`."""
    if length_s is None:
        return UNKNOWN
    if length_s < 60:
        return f"{length_s:.1f} s"
    minutes = int(length_s) // 60
    if minutes < 60:
        return f"{minutes} min {int(length_s) % 60} s"
    hours = minutes // 60
    return f"{hours} h {minutes % 60} min" if hours < 48 else f"{hours // 24:,} d {hours % 24} h"


def brief(length_s: float | None) -> str:
    """A length of time in one unit, at most seven characters: `0.25 s`, `42 s`, `3.4 min`, `5.2 h`, `12 d`."""
    if length_s is None:
        return UNKNOWN
    for step, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if length_s >= step:
            number = length_s / step
            return f"{number:.1f} {unit}" if number < 9.95 else f"{short(round(number))} {unit}"
    return f"{length_s:.2f} s" if length_s < 9.995 else f"{length_s:.0f} s"


def nanoseconds(length_ns: float | None, *, signed: bool = False) -> str:
    """A length of time in the unit that it is best read in: `+1.250 us`."""
    if length_ns is None:
        return UNKNOWN
    sign = "+" if signed else ""
    for step, unit in ((1e9, "s"), (1e6, "ms"), (1e3, "us")):
        if abs(length_ns) >= step:
            return f"{length_ns / step:{sign}.3f} {unit}"
    return f"{length_ns:{sign}.0f} ns"


def clock_time(at_ns: int | None) -> str:
    """A moment's time of day in UTC: `09:29:50.123`."""
    if at_ns is None:
        return UNKNOWN
    return f"{datetime.fromtimestamp(at_ns // 10**9, UTC):%H:%M:%S}.{at_ns // 10**6 % 1000:03d}"


def date_time(at_ns: int | None) -> str:
    """A moment in UTC: `2026-11-28 09:29:50`."""
    return UNKNOWN if at_ns is None else f"{datetime.fromtimestamp(at_ns // 10**9, UTC):%Y-%m-%d %H:%M:%S}"


def bar(part: float | None, width: int) -> str:
    """A bar of so many cells, filled to a share; empty cells where it is unknown."""
    if part is None:
        return " " * width
    filled = round(min(max(part, 0.0), 1.0) * width)
    return _FULL * filled + _EMPTY * (width - filled)


def sparkline(values: Sequence[float], width: int) -> str:
    """The last values as bars, the newest to the right, as high as they are beside the largest; padded to the left."""
    shown = values[-width:] if width > 0 else ()
    top = max(shown, default=0.0)
    if top <= 0:
        return ("▁" * len(shown)).rjust(width)
    steps = len(_BARS) - 1
    return "".join(_BARS[max(1, round(value / top * steps))] for value in shown).rjust(width)


def chart(values: Sequence[float], width: int, height: int) -> list[str]:
    """The same, in so many lines: the topmost first, the newest value to the right."""
    shown = values[-width:] if width > 0 else ()
    top = max(shown, default=0.0)
    steps = len(_BARS) - 1
    levels = [round(value / top * height * steps) if top > 0 else 0 for value in shown]
    rows = []
    for row in range(height - 1, -1, -1):
        cells = (_BARS[min(max(level - row * steps, 0), steps)] for level in levels)
        rows.append("".join(cells).rjust(width))
    return rows


def printable(said: str) -> str:
    """A line from somewhere else, without what would be an order to the terminal: names and words of other programs.

    Neither Textual nor rich takes escape sequences out of what they draw.
    """
    return said if said.isprintable() else "".join(each if each.isprintable() else "?" for each in said)


def clipped(line: str, width: int) -> str:
    """A line that is not longer than so many characters; one that was ends with an ellipsis."""
    return line if len(line) <= width else f"{line[: max(0, width - 1)]}…"[:width]


def _three_digits(number: float) -> str:
    """As it is read at a glance: 4.57, 45.7, 457."""
    return f"{number:.2f}" if abs(number) < 9.995 else f"{number:.1f}" if abs(number) < 99.95 else f"{number:.0f}"
