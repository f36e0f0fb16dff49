"""From the terminal UI a real service rotates, marks and reloads; what it refuses is shown; strangers may not."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import as_nobody
from deadline import wait_for
from pictures import driven, screen_text
from service_rig import RING, Rig
from synthetic_service import synthetic_service
from textual.pilot import Pilot

from nanotape.tui.app import Top
from nanotape.tui.gather import Gatherer

_AS_STRANGER = """
from pathlib import Path
from nanotape.tui.steering import action, carry_out, target
where = target(Path({run!r}), {ring!r})
print(where.refusal)
print(carry_out(action("rotate"), where).line)
"""


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    """One service for all of these."""
    with synthetic_service(rate=500) as (rig, _):
        wait_for(lambda: segments(rig, ".arrow.part"), "the first segment")
        yield rig


def segments(rig: Rig, suffix: str) -> set[str]:
    folder = rig.folder / "archive" / "segments" / RING
    return {path.name.removesuffix(suffix) for path in folder.glob(f"*{suffix}")}


async def until(app: Top, pilot: Pilot[None], *expected: str) -> None:
    for _ in range(800):
        shown = " ".join(screen_text(app).replace("│", " ").split())
        if all(each in shown for each in expected):
            return
        await pilot.pause(0.025)
    raise AssertionError(f"expected {expected}, found:\n{screen_text(app)}")


def test_a_rotation_gives_a_new_segment_and_the_screen_counts_it(rig: Rig) -> None:
    [first] = segments(rig, ".arrow.part")

    async def play(app: Top, pilot: Pilot[None]) -> None:
        await pilot.press("5")
        await until(app, pilot, f"0 ended since it began; open {first}")
        await pilot.press("R")
        await until(app, pilot, f"Rotate ring {RING}")
        assert segments(rig, ".arrow.part") == {first}
        await pilot.press("enter")
        await until(app, pilot, f"rotate {RING}: its segment is ended")
        assert segments(rig, ".arrow") == {first}
        [second] = wait_for(lambda: segments(rig, ".arrow.part"), "the next segment")
        assert second > first
        await until(app, pilot, f"1 ended since it began; open {second}")

    driven(Gatherer(rig.settings).look, play, (140, 40), refresh_s=0.25)


def test_a_mark_stands_in_the_archive_with_its_words(rig: Rig) -> None:
    async def play(app: Top, pilot: Pilot[None]) -> None:
        await pilot.press("M", *"auction", "enter")
        await until(app, pilot, f'mark {RING}: "auction" stands in the archive')

    driven(Gatherer(rig.settings).look, play, (140, 40), refresh_s=0.25)
    marks = [each for each in rig.archive().rows("events").to_pylist() if each["kind"] == "mark"]
    assert [each["detail"] for each in marks] == ["auction"]


def test_a_reload_of_a_broken_configuration_is_refused_and_the_service_goes_on(rig: Rig) -> None:
    sound = rig.config.read_text(encoding="utf-8")

    async def play(app: Top, pilot: Pilot[None]) -> None:
        rig.config.write_text(sound + '\n[recorder2]\nname = "x"\n', encoding="utf-8")
        await pilot.press("L", "enter")
        await until(app, pilot, f"reload {RING}: REFUSED:", "recorder2")
        rig.config.write_text(sound, encoding="utf-8")
        await pilot.press("L", "enter")
        await until(app, pilot, f"reload {RING}: nothing has changed in its configuration")
        await until(app, pilot, "capturing")

    driven(Gatherer(rig.settings).look, play, (140, 40), refresh_s=0.25)


@pytest.mark.root
def test_a_stranger_is_told_why_not_and_the_service_refuses_it(rig: Rig) -> None:
    before = segments(rig, ".arrow")
    code = _AS_STRANGER.format(run=str(Path(rig.settings.paths.run_dir)), ring=RING)
    with as_nobody() as ((*interpreter, _, _), _):
        told = subprocess.run([*interpreter, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    refusal, asked = told.stdout.splitlines()
    assert "this user is none of them" in refusal
    assert asked.startswith(f"rotate {RING}: REFUSED: ")
    assert "may not steer" in asked
    assert segments(rig, ".arrow") == before
