"""Names and words of other programs are drawn, and never obeyed by the terminal."""

from __future__ import annotations

from dataclasses import replace

import pytest
from crafted_clock import SYSTEM, status
from crafted_looks import RECORDER, later
from crafted_segments import TOLD
from pictures import driven, picture, ring_picture, screen_text
from textual.pilot import Pilot

from nanotape.capture.host.check import Result
from nanotape.config import Settings
from nanotape.tui import host as host_screen
from nanotape.tui.app import Top
from nanotape.tui.host_rows import HostExamined
from nanotape.tui.words import printable

ORDER = "x\x1b]0;owned\x07\x1b[2J\n"


def examine(_: Settings) -> HostExamined:
    return HostExamined((Result("a.b", "fail", ORDER, ORDER, ORDER, ORDER),))


@pytest.mark.parametrize("key", ["3", "4", "5", "8"])
def test_no_escape_sequence_of_others_reaches_the_terminal(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_screen, "examine_host", examine)
    facts = replace(later(), readers=(replace(RECORDER, name=ORDER),))
    ring = ring_picture(second=facts, segments=((ORDER, replace(TOLD, open_name=ORDER)),))
    clock = status({**SYSTEM, "why": ORDER, "source": ORDER}, findings=(ORDER,))

    async def play(app: Top, pilot: Pilot[None]) -> None:
        await pilot.press(key)
        await pilot.pause(0.2)
        strips = app.screen._compositor.render_strips()
        for line in list(strips)[2:]:  # what is above belongs to every pane
            assert "\x1b]0;owned" not in line.text
            assert "\x1b[2J" not in line.text
        if key != "3":
            assert "x?]0;owned" in screen_text(app)

    driven(picture(ring, clock=clock), play, (160, 50), refresh_s=60)


def test_what_is_printable_stays_as_it_is() -> None:
    assert printable("größer │ █ 1") == "größer │ █ 1"
    assert printable("a\x1bb\tc") == "a?b?c"
