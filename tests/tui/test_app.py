"""The app: headline always, tabs by key, nothing raises however small the terminal is."""

from __future__ import annotations

import crafted_looks
import pytest
from pictures import driven, picture, ring_picture, screen_text
from textual.pilot import Pilot

from nanotape.tui.app import Top


def test_the_headline_of_status_is_the_first_line() -> None:
    seen = picture()

    async def play(app: Top, pilot: Pilot[None]) -> None:
        assert seen.headline in screen_text(app).splitlines()[0]

    driven(seen, play, (160, 50))


@pytest.mark.parametrize("size", [(20, 5), (80, 24), (160, 50)])
def test_every_pane_is_shown_by_its_key_in_every_size(size: tuple[int, int]) -> None:
    async def play(app: Top, pilot: Pilot[None]) -> None:
        for entry in app.entries:
            await pilot.press(entry.key)
            await pilot.pause()
            assert app.pane is not None
            assert app.pane.id == entry.module

    driven(picture(ring_picture(crafted_looks.RING)), play, size)


def test_a_pause_lets_the_pane_stand_still_and_not_the_headline() -> None:
    seen = [picture(), picture(rings=())]

    async def play(app: Top, pilot: Pilot[None]) -> None:
        await pilot.press("p")
        seen.pop(0)
        while app.picture is not seen[0]:
            await pilot.pause(0.01)
        await pilot.pause()
        text = screen_text(app)
        assert "nothing is captured" in text.splitlines()[0]
        assert "main  capturing" in text

    driven(lambda: seen[0], play)
