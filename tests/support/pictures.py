"""Pictures of rings that never were, for panes: all is well with them, until a test changes something."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import crafted_looks
from crafted_looks import NOW_NS, RING, SECOND_NS
from textual.pilot import Pilot

from nanotape.capture.findings import headline, nothing_there, ring_findings
from nanotape.capture.health import Space, ring_health
from nanotape.capture.listing import RingFacts
from nanotape.config import Settings
from nanotape.tui.app import Top
from nanotape.tui.picture import Picture, RateHistory, RingPicture


def ring_picture(
    first: RingFacts = RING, second: RingFacts | None = None, space: Space | None = crafted_looks.SPACE, **changes: Any
) -> RingPicture:
    """One ring: two looks, a second apart; `changes` are of the picture's other fields."""
    second = crafted_looks.later(first) if second is None else second
    earlier = crafted_looks.look(first, space)
    newest = crafted_looks.look(second, space, NOW_NS + SECOND_NS)
    health = ring_health(earlier, newest)
    rates = RateHistory((health.packets_s,), (health.bits_s,), (0.0,), health.packets_s, health.bits_s)
    return replace(RingPicture(health.name, health, newest, earlier, rates), **changes)


def picture(*rings: RingPicture, settings: Settings | None = None, **changes: Any) -> Picture:
    """One host; without a ring named, of one that is well. `rings=()` for none; `changes` are of other fields."""
    shown = tuple(changes.pop("rings", rings or (ring_picture(),)))
    settings = settings or Settings(host="host-1")
    findings = tuple(each for ring in shown for each in ring_findings(ring.health))
    findings = findings or (nothing_there(None, settings.paths.shm_dir),)
    said = headline([ring.health for ring in shown], findings)
    now_ns = NOW_NS + SECOND_NS
    return replace(Picture(now_ns, now_ns, settings, said, shown, findings=findings), **changes)


def driven(
    look: Callable[[], Picture] | Picture,
    play: Callable[[Top, Pilot[None]], Awaitable[None]],
    size: tuple[int, int] = (80, 24),
    **options: Any,
) -> None:
    """Runs the app with scripted pictures in a terminal that is none, and plays with it.

    Args:
        look: Makes the pictures, or is the only one.
        play: Gets the app and its pilot, once the first picture is drawn.
        size: Columns and lines.
        **options: Of `Top`.
    """

    async def run() -> None:
        app = Top((lambda: look) if isinstance(look, Picture) else look, **{"refresh_s": 0.05, **options})
        async with app.run_test(size=size) as pilot:
            while app.picture is None:
                await pilot.pause(0.01)
            await pilot.pause()
            await play(app, pilot)

    asyncio.run(run())


def screen_text(app: Top) -> str:
    """What is on the screen now, in lines."""
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips)
