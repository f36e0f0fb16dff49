"""The histogram of a core's jitter, as text and as SVG: one bar for each power of two, logarithmic in its count."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from nanotape.capture.host.jitter import Jitter

_BAR_CHARACTERS = 50
_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 720, 320, 16, 48, 44


@dataclass(frozen=True, slots=True)
class Bar:
    """Looks at the clock that came so long after the one before."""

    from_ns: int
    count: int
    is_gap: bool
    """All of the bucket lies at or beyond the threshold."""


def bars(found: Jitter) -> list[Bar]:
    """From the first bucket that is not empty to the last."""
    used = [bucket for bucket, count in enumerate(found.histogram) if count]
    if not used:
        return []
    return [
        Bar(_from_ns(bucket), found.histogram[bucket], _from_ns(bucket) >= found.threshold_ns)
        for bucket in range(used[0], used[-1] + 1)
    ]


def _from_ns(bucket: int) -> int:
    return 1 << (bucket - 1) if bucket else 0


def duration(ns: float) -> str:
    """With three digits, in the unit that fits."""
    for unit, scale in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if ns >= scale:
            return f"{ns / scale:.3g} {unit}"
    return f"{ns:.0f} ns"


def _share(count: int, shown: Sequence[Bar]) -> float:
    """Of the longest bar, by logarithm: one look is still to be seen beside a thousand million."""
    most = max(bar.count for bar in shown)
    return (math.log10(count) + 1) / (math.log10(most) + 1) if count else 0.0


def text(found: Jitter) -> list[str]:
    """A line for each bar; `#` of gaps, `-` of what the threshold lets pass."""
    shown = bars(found)
    lines = []
    for bar in shown:
        length = math.ceil(_share(bar.count, shown) * _BAR_CHARACTERS)
        lines.append(f"{duration(bar.from_ns):>8}  {bar.count:>15,}  {('#' if bar.is_gap else '-') * length}".rstrip())
    return lines


def svg(found: Jitter) -> str:
    """A picture of its own, for a browser."""
    shown = bars(found)
    step = (_WIDTH - 2 * _LEFT) / max(len(shown), 1)
    room = _HEIGHT - _TOP - _BOTTOM
    base = _HEIGHT - _BOTTOM
    head = (
        f"core {found.core}: {found.gaps:,} gaps of {duration(found.threshold_ns)} and more in {found.seconds:.1f} s, "
        f"longest {duration(found.longest_ns)}, {found.gap_share:.4%} of the time"
    )
    rows = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
        f'<text x="{_LEFT}" y="26" font-size="14">{head}</text>',
    ]
    for place, bar in enumerate(shown):
        left, wide, tall = _LEFT + place * step, step - 2, _share(bar.count, shown) * room
        colour = "#c2410c" if bar.is_gap else "#64748b"
        rows += [
            f'<rect x="{left + 1:.1f}" y="{base - tall:.1f}" width="{wide:.1f}" height="{tall:.1f}" fill="{colour}">'
            f"<title>{bar.count:,} from {duration(bar.from_ns)}</title></rect>",
            f'<text x="{left + step / 2:.1f}" y="{base + 14}" font-size="9" text-anchor="middle">'
            f"{duration(bar.from_ns)}</text>",
        ]
    foot = "time between two looks at the clock; bars by the logarithm of their count; red: beyond the threshold"
    rows += [f'<text x="{_LEFT}" y="{_HEIGHT - 10}" font-size="11" fill="#475569">{foot}</text>', "</svg>"]
    return "\n".join(rows) + "\n"
