"""Rings that go, come back anew or cannot be read, recorders that die, a clock that falls silent: screens say so."""

from __future__ import annotations

from dataclasses import replace

import pytest
from crafted_clock import status
from crafted_looks import RING, later, recorder
from pictures import driven, picture, ring_picture, screen_text
from textual.pilot import Pilot

from nanotape.capture.counters import LoopGaps
from nanotape.capture.listing import RingFacts, UnreadableRing
from nanotape.tui import clock as clock_screen
from nanotape.tui import host as host_screen
from nanotape.tui.app import Top
from nanotape.tui.clock_around import ClockAround
from nanotape.tui.host_rows import HostExamined
from nanotape.tui.picture import Picture

GAPS = LoopGaps(10_000, 2, 70_000, 90_000, (0,) * 15 + (2,))


@pytest.fixture(autouse=True)
def hand_made_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs on the machine of the tests is of no concern."""
    monkeypatch.setattr(clock_screen, "clock_around", lambda: ClockAround(37, "", ()))
    monkeypatch.setattr(host_screen, "examine_host", lambda _: HostExamined(failure="not here"))


def anew(facts: RingFacts) -> RingFacts:
    """Another ring of the same name, that has nothing yet."""
    source = facts.sources[0]
    empty = replace(source.loop, packets=0, bytes=0, delay_histogram=(0, 0), delay_max_ns=0, last_packet_ns=None)
    return replace(facts, ring_id="b" * 32, published_bytes=0, readers=(), sources=(replace(source, loop=empty),))


def moments() -> list[Picture]:
    """What may follow what."""
    dead = replace(recorder(later(), alive=False), writer_alive=False, gaps=GAPS)
    earlier = recorder(later(), current=False, lag_bytes=None, lag_share=None, updated_ns=0)
    unreadable = (UnreadableRing("main", "/dev/shm/nanotape/main.ring", "expected a ring, found garbage"),)
    return [
        picture(clock=status()),
        picture(rings=()),
        picture(rings=(), unreadable=unreadable),
        picture(ring_picture(second=dead), clock=status(findings=("a finding",))),
        picture(ring_picture(second=earlier)),
        picture(ring_picture(anew(RING), anew(RING)), ring_picture(replace(RING, name="second")), clock=status()),
        picture(ring_picture(replace(RING, sources=()), replace(later(), sources=()), space=None)),
    ]


@pytest.mark.parametrize("key", ["3", "4", "5", "8"])
@pytest.mark.parametrize("size", [(20, 5), (80, 24)])
def test_whatever_follows_the_screen_goes_on(key: str, size: tuple[int, int]) -> None:
    async def play(app: Top, pilot: Pilot[None]) -> None:
        await pilot.press(key)
        for each in (*moments(), *moments()):
            app.picture = each
            app.on_looked()
            await pilot.pause()
            assert screen_text(app).strip()
        await pilot.press("down", "up")

    driven(picture(), play, size, refresh_s=60)
