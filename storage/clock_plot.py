"""A report on clocks as a picture: SVG, a panel a clock, readable on light and on dark ground.

In each panel the bound on the error and the offset over time, on a logarithmic scale, over a band of states. Where no
bound is known there is no line: a gap is never bridged. The same report gives the same bytes.
"""

import math
from collections.abc import Iterator, Sequence
from html import escape

from nanotape.storage.answer import stamp_text
from nanotape.storage.clock_days import LIMITS_NS, ClockCurve, ClockReport
from nanotape.storage.clock_report_text import length

WIDTH = 960
_LEFT, _RIGHT, _TOP = 76, WIDTH - 20, 64
_HEAD, _PLOT, _BAND, _PANEL = 24, 190, 12, 284  # heights: of a panel's title, lines and states, and of all of it
_LETTER = 6.6  # of an ordinary font of this size, on average
_DECADE_MAX = 18
STATE_COLOURS = {
    "locked": "#3aa655", "holdover": "#e0a030", "acquiring": "#b85cc9", "free-running": "#d64550", "unknown": "#7d8590",
}  # fmt: skip
_STYLE = (
    # Without a media query to go by, a grey that can be read on both grounds.
    "text{font:12px system-ui,sans-serif;fill:#7a828c}.t{font-weight:600;font-size:14px}"
    ".g{stroke:#8c959f;stroke-opacity:.35}.m{stroke:#8c959f;stroke-dasharray:4 3}.l{fill:none;stroke-width:1.6}"
    ".e{stroke:#e07b39}.o{stroke:#2f7ed8}.fe{fill:#e07b39}.fo{fill:#2f7ed8}"
    "@media(prefers-color-scheme:light){text{fill:#24292f}.q{fill:#57606a}}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.q{fill:#9da7b3}}"
)
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86_400
_STEPS_S = (
    1, 10, 30, _MINUTE_S, 5 * _MINUTE_S, 15 * _MINUTE_S, 30 * _MINUTE_S, _HOUR_S, 3 * _HOUR_S, 6 * _HOUR_S,
    12 * _HOUR_S, _DAY_S, 2 * _DAY_S, 7 * _DAY_S, 14 * _DAY_S, 28 * _DAY_S, 56 * _DAY_S,
)  # fmt: skip
_MARKS_MAX = 9

Points = Sequence[tuple[float, float]]


def clock_plot(report: ClockReport) -> str:
    """The whole file."""
    title = f"Clocks from {stamp_text(report.begin_ns)[:19]}Z to {stamp_text(report.end_ns)[:19]}Z"
    height = _TOP + _PANEL * max(1, len(report.curves))
    body = [_text(16, 22, title, kind="t"), *_legend()]
    for number, curve in enumerate(report.curves):
        body.append(f'<g transform="translate(0 {_TOP + number * _PANEL})">')
        body += _panel(curve, report)
        body.append("</g>")
    if not report.curves:
        body.append(_text(WIDTH / 2, _TOP + _PANEL / 2, "no clock was recorded in this time", "middle"))
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" aria-label="{escape(title)}">'
    )
    return "\n".join([head, f"<style>{_STYLE}</style>", *body, "</svg>"]) + "\n"


def _panel(curve: ClockCurve, report: ClockReport) -> Iterator[str]:
    known = [value for value in (*curve.errors_ns, *curve.offsets_ns) if value]
    # The limits are always in it, so that a look tells on which side of them a clock is.
    low = min([2, *(math.floor(math.log10(value)) for value in known)])
    high = min(_DECADE_MAX, max([5, *(math.ceil(math.log10(value)) for value in known)]))
    yield _text(16, 6, f"{curve.host}, {curve.clock}", kind="t")
    for power in range(low, high + 1):
        y = _up(10.0**power, low, high)
        kind = "m" if 10**power in LIMITS_NS else "g"
        yield f'<path class="{kind}" d="M{_LEFT} {y:.1f}H{_RIGHT}"/>'
        yield _text(_LEFT - 6, y + 4, length(10**power), "end", "q")
    for name, values in (("o", curve.offsets_ns), ("e", curve.errors_ns)):
        for points in _runs(values, low, high):
            yield f'<path class="l {name}" d="M{"L".join(f"{x:.1f} {y:.1f}" for x, y in points)}"/>'
    yield from _bands(curve)
    yield from _times(report.begin_ns, report.end_ns)


def _runs(values: Sequence[int | None], low: int, high: int) -> Iterator[Points]:
    """Lines through what is known; each value is a level over its part, so that one alone is seen too."""
    width = (_RIGHT - _LEFT) / len(values)
    run: list[tuple[float, float]] = []
    for at, value in enumerate(values):
        if value is None:
            if run:
                yield run
            run = []
            continue
        y = _up(value, low, high)
        run += [(_LEFT + at * width, y), (_LEFT + (at + 1) * width, y)]
    if run:
        yield run


def _bands(curve: ClockCurve) -> Iterator[str]:
    """The worst state of each part below the lines; nothing where there is no row."""
    width, begin = (_RIGHT - _LEFT) / len(curve.states), 0
    for at in range(1, len(curve.states) + 1):
        state = curve.states[begin]
        if at < len(curve.states) and curve.states[at] == state:
            continue
        if state is not None:
            yield (
                f'<rect x="{_LEFT + begin * width:.1f}" y="{_HEAD + _PLOT + 6}" width="{(at - begin) * width:.1f}" '
                f'height="{_BAND}" fill="{STATE_COLOURS[state]}"><title>{state}</title></rect>'
            )
        begin = at


def _times(begin_ns: int, end_ns: int) -> Iterator[str]:
    seconds = (end_ns - begin_ns) / 1e9
    step = next((each for each in _STEPS_S if seconds / each <= _MARKS_MAX), _STEPS_S[-1])
    foot = _HEAD + _PLOT + 6 + _BAND
    first = -(-begin_ns // (step * 10**9))
    for number in range(first, end_ns // (step * 10**9) + 1):
        at_ns = number * step * 10**9
        x = _LEFT + (at_ns - begin_ns) / (end_ns - begin_ns) * (_RIGHT - _LEFT)
        stamp = stamp_text(at_ns)
        label = stamp[:10] if step >= _DAY_S or stamp[11:19] == "00:00:00" else stamp[11 : 16 if step >= 60 else 19]
        yield f'<path class="g" d="M{x:.1f} {_HEAD}V{foot + 3}"/>'
        yield _text(x, foot + 16, label, "middle", "q")


def _up(value: float, low: int, high: int) -> float:
    share = (math.log10(max(value, 10.0**low)) - low) / (high - low)
    return _HEAD + _PLOT * (1 - min(1.0, share))


def _legend() -> Iterator[str]:
    x = 16.0
    entries = [("fe", "", "bound on the error"), ("fo", "", "offset, without its sign")]
    entries += [("", colour, state) for state, colour in STATE_COLOURS.items()]
    for kind, colour, name in entries:
        paint = f'class="{kind}"' if kind else f'fill="{colour}"'
        yield f'<rect {paint} x="{x:.1f}" y="34" width="11" height="11"/>'
        yield _text(x + 16, 44, name)
        x += 34 + _LETTER * len(name)
    yield _text(_RIGHT, 22, "of each part the largest, and the worst state", "end", "q")


def _text(x: float, y: float, text: str, anchor: str = "start", kind: str = "") -> str:
    style = f' class="{kind}"' if kind else ""
    return f'<text{style} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
