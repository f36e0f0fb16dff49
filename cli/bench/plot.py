"""Plots as SVG text: bars and lines, readable on light and on dark ground, the same bytes for the same figures."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH = 760
_LEFT, _RIGHT, _TOP = 110, 70, 58
_LETTER = 6.6  # of an ordinary font of this size, on average
_BAR, _GAP = 13, 12
_PLOT_LEFT, _PLOT_RIGHT, _PLOT_HEIGHT, _FOOT = 84, WIDTH - 24, 240, 46
_LEGEND_ROW = 18
_TICKS = 5
_COLOURS = ("#2f7ed8", "#e07b39", "#3aa655", "#b85cc9", "#d64550", "#7d8590")
_STYLE = (
    # Without a media query to go by, a grey that can be read on both grounds.
    "text{font:12px system-ui,sans-serif;fill:#7a828c}.t{font-weight:600;font-size:14px}"
    ".g{stroke:#8c959f;stroke-opacity:.35}.w{stroke:#7a828c}.l{fill:none}"
    + "".join(f".f{at}{{fill:{colour}}}.s{at}{{stroke:{colour}}}" for at, colour in enumerate(_COLOURS))
    + "@media(prefers-color-scheme:light){text{fill:#24292f}.q{fill:#57606a}}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.q{fill:#9da7b3}}"
)


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar; None: not measured, and no bar."""

    value: float | None
    least: float | None = None
    most: float | None = None


@dataclass(frozen=True, slots=True)
class Axis:
    """What an axis says."""

    title: str
    logarithmic: bool = False
    labels: Sequence[str] = ()
    """Of the places 0, 1, ...; empty: numbers."""


Point = tuple[float, float]


def number(value: float) -> str:
    """Three digits that matter, and no more."""
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def bars(title: str, unit: str, series: Sequence[str], groups: Sequence[tuple[str, Sequence[Bar]]]) -> str:
    """Lying bars in groups, with a whisker from the least to the most measured.

    Args:
        title: Above the plot.
        unit: Of all values.
        series: Names of the bars of a group, for the legend.
        groups: Label and bars of each, in the order of `series`.
    """
    step = _BAR * len(series) + _GAP
    height = _TOP + step * len(groups) + 14
    left = max([_LEFT, *(24 + _LETTER * len(label) for label, _ in groups)])
    most = max((bar.most or bar.value or 0 for _, group in groups for bar in group), default=0) or 1
    scale = (WIDTH - left - _RIGHT) / most
    body = []
    for row, (label, group) in enumerate(groups):
        top = _TOP + row * step
        body.append(_text(left - 8, top + _BAR * len(series) / 2 + 4, label, "end"))
        for at, bar in enumerate(group):
            body += _bar(bar, at, (left, top + at * _BAR), scale)
    body.append(_text(WIDTH - 16, height - 2, "bar and number: median; line: least to most", "end", "q"))
    return _svg(height, f"{title}, {unit}", series if len(series) > 1 else (), body)


def _bar(bar: Bar, at: int, place: Point, scale: float) -> list[str]:
    if bar.value is None:
        return []
    (left, top), middle = place, place[1] + (_BAR - 2) / 2
    end, colour = left + bar.value * scale, at % len(_COLOURS)
    parts = [f'<rect class="f{colour}" x="{left:.1f}" y="{top:.1f}" width="{end - left:.1f}" height="{_BAR - 2}"/>']
    if bar.least is not None and bar.most is not None and bar.most > bar.least:
        low, high = left + bar.least * scale, left + bar.most * scale
        parts.append(f'<path class="w" d="M{low:.1f} {middle:.1f}H{high:.1f}M{high:.1f} {middle - 3:.1f}v6"/>')
        end = max(end, high)
    return [*parts, _text(end + 5, top + 10, number(bar.value))]


def lines(title: str, x: Axis, y: Axis, series: Sequence[tuple[str, Sequence[Point]]]) -> str:
    """Lines through points, each marked.

    Args:
        title: Above the plot.
        x: Of the first of each point.
        y: Of the second; where it is logarithmic, what is not above 0 is drawn at its foot.
        series: Name and points of each, the points in the order of x.
    """
    height = _TOP + _PLOT_HEIGHT + _FOOT
    points = [point for _, line in series for point in line]
    across, x_marks = _scale(x, [point[0] for point in points], _PLOT_LEFT, _PLOT_RIGHT)
    up, y_marks = _scale(y, [point[1] for point in points], _TOP + _PLOT_HEIGHT, _TOP)
    body = []
    for value, label in y_marks:
        body.append(f'<path class="g" d="M{_PLOT_LEFT} {up(value):.1f}H{_PLOT_RIGHT}"/>')
        body.append(_text(_PLOT_LEFT - 6, up(value) + 4, label, "end", "q"))
    body += [_text(across(value), _TOP + _PLOT_HEIGHT + 18, label, "middle", "q") for value, label in x_marks]
    body.append(_text((_PLOT_LEFT + _PLOT_RIGHT) / 2, height - 8, f"{x.title}; upwards: {y.title}", "middle", "q"))
    for at, (_, line) in enumerate(series):
        body += _line([(across(point[0]), up(point[1])) for point in line], at)
    return _svg(height, title, [name for name, _ in series], body)


def _line(places: Sequence[Point], at: int) -> list[str]:
    """The first are the thickest, so that one that lies below others is seen nevertheless."""
    colour, thick = at % len(_COLOURS), max(1.5, 4.5 - at)
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    dots = [f'<circle class="f{colour}" cx="{x:.1f}" cy="{y:.1f}" r="{thick + 1.5}"/>' for x, y in places]
    return [f'<path class="l s{colour}" stroke-width="{thick}" d="M{path}"/>', *dots] if places else []


def _scale(
    axis: Axis, values: Sequence[float], begin: float, end: float
) -> tuple[Callable[[float], float], list[tuple[float, str]]]:
    """Where a value lies on the page, and the marks of the axis."""
    if axis.labels:
        room = (end - begin) / len(axis.labels)
        return lambda value: begin + (value + 0.5) * room, list(enumerate(axis.labels))
    if axis.logarithmic:
        known = [value for value in values if value > 0] or [1.0]
        low, high = math.floor(math.log10(min(known))), math.ceil(math.log10(max(known)))
        high = max(high, low + 1)
        marks = [(10.0**power, number(10.0**power)) for power in range(low, high + 1)]
        return lambda value: begin + (end - begin) * (math.log10(max(value, 10.0**low)) - low) / (high - low), marks
    step = _step(max(values, default=0) or 1)
    top = math.ceil((max(values, default=0) or 1) / step) * step
    count = round(top / step)
    return lambda value: begin + (end - begin) * value / top, [
        (at * step, number(at * step)) for at in range(count + 1)
    ]


def _step(most: float) -> float:
    """1, 2 or 5 times a power of ten, so that it goes into `most` about _TICKS times."""
    power = 10.0 ** math.floor(math.log10(most / _TICKS))
    return next(power * times for times in (1, 2, 5, 10) if power * times * _TICKS >= most)


def _text(x: float, y: float, text: str, anchor: str = "start", kind: str = "") -> str:
    style = f' class="{kind}"' if kind else ""
    return f'<text{style} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(height: float, title: str, legend: Sequence[str], body: Sequence[str]) -> str:
    named, rows = _legend(legend)
    height += rows * _LEGEND_ROW
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" '
        f'height="{height:.0f}" role="img" aria-label="{escape(title)}">'
    )
    parts = [head, f"<style>{_STYLE}</style>", _text(16, 22, title, kind="t"), *named]
    return "\n".join([*parts, f'<g transform="translate(0 {rows * _LEGEND_ROW})">', *body, "</g>", "</svg>"]) + "\n"


def _legend(names: Sequence[str]) -> tuple[list[str], int]:
    """The names with their colours, and how many rows they need beyond the first."""
    parts, x, row = [], 16.0, 0
    for at, name in enumerate(names):
        width = 34 + _LETTER * len(name)
        if x > 16 and x + width > WIDTH:
            x, row = 16.0, row + 1
        y = 34 + row * _LEGEND_ROW
        parts.append(f'<rect class="f{at % len(_COLOURS)}" x="{x:.1f}" y="{y}" width="11" height="11"/>')
        parts.append(_text(x + 16, y + 10, name))
        x += width
    return parts, row
