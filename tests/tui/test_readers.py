"""The screen of recorder and readers says who falls behind, what is written, and when the disk is full."""

from __future__ import annotations

from dataclasses import replace

from crafted_looks import GIB, MIB, NOW_NS, RECORDER, RING, SECOND_NS, SPACE, later, recorder
from crafted_segments import TOLD
from pictures import driven, picture, ring_picture, screen_text
from textual.pilot import Pilot

from nanotape.capture.health import Space
from nanotape.capture.listing import RingFacts
from nanotape.tui.app import Top
from nanotape.tui.picture import Picture


def shown(pictured: Picture, *expected: str, size: tuple[int, int] = (80, 24)) -> str:
    """The screen, which has to have these."""
    screens: list[str] = []

    async def play(app: Top, pilot: Pilot[None]) -> None:
        await pilot.press("5")
        await pilot.pause()
        screens.append(screen_text(app))

    driven(pictured, play, size, refresh_s=60)
    words = " ".join(screens[0].split())
    for each in expected:
        assert each in words, screens[0]
    return screens[0]


def lagging(**changes: object) -> RingFacts:
    published = RING.published_bytes + 16 * MIB
    return replace(recorder(later(), lag_bytes=8 * MIB, lag_share=1 / 8, **changes), published_bytes=published)


def test_a_readers_lag_and_what_is_recorded_are_on_the_screen() -> None:
    told = {"segments": (("recorder", TOLD),)}
    screen = shown(
        picture(ring_picture(second=lagging(), **told)),
        "recorder records 8.00 MiB 12.5% 0.50 s 3.50 s 8.00 s 0",
        "900 packets recorded",
        "4 ended since it began; open 20261128T100000.000000000Z-000000000001, 5.00 MiB, 900 rows, 1.0 min old",
        "1 min 1 s ago",
        "4.00 : 1",
        "50.0 GiB of 100 GiB free (50.0%) at /archive",
    )
    assert "DIED" not in screen


def test_a_recorder_of_an_older_version_leaves_a_dash_not_a_zero() -> None:
    shown(picture(), "segments - (it does not tell", "last rotation - writes", "compression -")


def test_a_dead_recorder_and_one_that_cannot_write_are_said_so() -> None:
    shown(picture(ring_picture(second=recorder(later(), alive=False))), "recorder died", "DIED; it is started anew")
    failing = recorder(later(), write_failures=7)
    shown(picture(ring_picture(second=failing)), "7 packets could NOT BE WRITTEN")


def test_a_disk_that_fills_says_when_and_one_that_makes_room_never() -> None:
    shown(picture(ring_picture(space=Space("/archive", 100 * GIB, 90_000 * 3600))), "full in 1 h 48 min at this rate")
    kept = replace(SPACE, kept_bytes=10 * GIB)
    shown(picture(ring_picture(space=kept)), "never full: 10.0 GiB are kept free")
    shown(picture(ring_picture(space=None)), "its file system cannot be asked")


def test_lag_and_what_is_written_are_drawn_for_the_seconds_that_were_watched() -> None:
    screen = shown(
        picture(ring_picture(second=lagging())), "lag of recorder", "at most 12.5% of the ring", size=(120, 30)
    )
    assert next(line for line in screen.splitlines() if "lag of recorder" in line).count("█") == 1


def test_two_rings_are_told_apart_and_nobody_is_said_so() -> None:
    second = replace(later(), name="second", readers=(replace(RECORDER, name="tail", recorded=None),))
    shown(picture(ring_picture(), ring_picture(replace(RING, name="second"), second)), "main/recorder", "second/tail")
    shown(picture(ring_picture(replace(RING, readers=()), replace(later(), readers=()))), "Nobody reads")
    shown(picture(rings=()), "No ring can be read")


def test_at_the_first_look_no_rate_is_known_and_none_is_shown() -> None:
    first = replace(ring_picture(second=RING), earlier=None)
    screen = shown(picture(first), "records 1.00 MiB 1.6% - - - 0", "writes -")
    assert "full in" not in screen


def test_a_tiny_and_a_wide_screen_break_nothing() -> None:
    assert shown(picture(), size=(20, 5))
    assert "recorder" in shown(picture(), size=(160, 50))


def test_the_write_rate_is_counted_from_what_the_recorder_tells() -> None:
    """Not from its average so far: a recorder that wrote gigabytes at night writes at the rate of now."""
    seconds = [0]

    def look() -> Picture:
        facts = recorder(later(), written_bytes=GIB + seconds[0] * 3 * MIB, updated_ns=NOW_NS + seconds[0] * SECOND_NS)
        return picture(ring_picture(second=facts))

    async def play(app: Top, pilot: Pilot[None]) -> None:
        await pilot.press("5")
        await pilot.pause()
        for second in (1, 2, 3):
            seconds[0] = second
            await pilot.pause(0.2)
        assert "3.00 MiB/s" in screen_text(app)
        assert "full in 4 h 44 min" in screen_text(app)

    driven(look, play)
