"""While a look hangs, or is a defect, the screen says that it is old, and what it was; nobody waits for the thread."""

from __future__ import annotations

import threading

from deadline import wait_for
from pictures import driven, picture, screen_text
from textual.pilot import Pilot

from nanotape.tui.app import Top
from nanotape.tui.header import headline_text
from nanotape.tui.picture import Picture
from nanotape.tui.watch import Watch


def test_a_look_that_is_a_defect_is_said_and_the_next_goes_on() -> None:
    answers: list[Picture | Exception] = [picture()]

    def look() -> Picture:
        if isinstance(answers[0], Exception):
            raise answers[0]
        return answers[0]

    async def play(app: Top, pilot: Pilot[None]) -> None:
        answers[0] = KeyError("cl\x1b[2Jocks")
        while "a defect, report it: KeyError" not in " ".join(screen_text(app).split()):
            await pilot.pause(0.01)
        assert "\x1b" not in screen_text(app)
        assert "capturing 500 packets/s" in " ".join(screen_text(app).split())
        answers[0] = picture(rings=())
        while "nothing is captured" not in screen_text(app):
            await pilot.pause(0.01)

    driven(look, play)


def test_a_look_that_hangs_is_said_and_is_not_waited_for_at_the_end() -> None:
    now_ns, hangs, ended, told = [0], threading.Event(), threading.Event(), []
    seen = picture()

    def look() -> Picture:
        if told:
            hangs.set()
            assert ended.wait(30)
        return seen

    watch = Watch(look, 0.0, lambda: told.append(1), lambda: now_ns[0])
    watch.start()
    try:
        wait_for(hangs.is_set, "the look that hangs")
        assert watch.trouble == ""
        now_ns[0] = 90 * 10**9
        assert watch.trouble.startswith("NOT LOOKED AT for 1 min 30 s: a look hangs")
        assert watch.picture is seen
        assert seen.headline in headline_text(watch.picture, watch.trouble).plain
        watch.end()  # at once
    finally:
        ended.set()


def test_before_the_first_picture_it_says_that_it_looks() -> None:
    assert headline_text(None).plain == "looking ..."


def test_the_second_picture_comes_after_a_second_however_seldom_is_looked() -> None:
    looked = []
    watch = Watch(picture, 60.0, lambda: looked.append(1))
    watch.start()
    try:
        wait_for(lambda: len(looked) == 2, "the second look", 10)
    finally:
        watch.end()
