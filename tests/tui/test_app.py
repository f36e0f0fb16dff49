"""The app: headline always, tabs by key, nothing raises however small the terminal is."""

from __future__ import annotations

from pathlib import Path

import crafted_looks
import pytest
from pictures import driven, picture, ring_picture, screen_text
from textual.command import CommandList
from textual.pilot import Pilot

from nanotape.tui.app import Top
from nanotape.tui.pane import Pane
from nanotape.tui.panes import PaneEntry
from nanotape.tui.style import PLAIN_THEME, RICH_THEME, theme_of


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


def test_the_help_names_the_panes_and_the_keys_of_the_one_that_is_shown() -> None:
    async def play(app: Top, pilot: Pilot[None]) -> None:
        await pilot.press("2", "?")
        await pilot.pause()
        seen = screen_text(app)
        assert "Overview: is data lost" in seen
        assert "Filter" in seen
        await pilot.press("end")
        await pilot.pause()
        assert "- is unknown, which is never 0" in screen_text(app)
        await pilot.press("escape")
        await pilot.pause()
        assert app.pane is not None
        assert app.pane.id == "channels"

    driven(picture(), play)


def test_a_tab_is_shown_by_a_click() -> None:
    async def play(app: Top, pilot: Pilot[None]) -> None:
        await pilot.click("#tabs", offset=(25, 0))
        await pilot.pause()
        assert app.pane is not None
        assert app.pane.id == "latency"

    driven(picture(), play)


def test_a_screenshot_is_saved_where_it_is_to_be_and_a_place_that_is_none_is_said(tmp_path: Path) -> None:
    async def play(app: Top, pilot: Pilot[None]) -> None:
        await pilot.press("s")
        await pilot.pause()
        [saved] = tmp_path.glob("*.svg")
        assert "Overview" in saved.read_text(encoding="utf-8")
        app._screenshots = tmp_path / "none"
        await pilot.press("s")
        while not any("no screenshot" in each.message for each in app._notifications):
            await pilot.pause(0.01)

    driven(picture(), play, screenshots=tmp_path)


def test_pictures_come_while_a_dialog_or_the_palette_is_above(tmp_path: Path) -> None:
    seen = [picture(), picture(rings=())]

    async def play(app: Top, pilot: Pilot[None]) -> None:
        for key in ("ctrl+p", "?"):
            await pilot.press(key)
            await pilot.pause(0.2)
            assert len(app.screen_stack) == 2
            await pilot.press("escape")
            await pilot.pause(0.1)
        seen.pop(0)
        while app.picture is not seen[0]:
            await pilot.pause(0.01)
        await pilot.pause()
        assert "nothing is captured" in screen_text(app)

    driven(lambda: seen[0], play)


@pytest.mark.parametrize(
    ("environ", "theme"),
    [({}, PLAIN_THEME), ({"COLORTERM": "truecolor"}, RICH_THEME), ({"COLORTERM": "yes"}, PLAIN_THEME)],
)
def test_only_a_terminal_that_says_so_gets_all_colours(environ: dict[str, str], theme: str) -> None:
    assert theme_of(environ) == theme


def test_a_pane_that_cannot_be_loaded_any_more_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when the package is upgraded while the app runs."""

    def refused(_self: PaneEntry) -> Pane:
        raise ImportError("cannot import name 'x'")

    async def play(app: Top, pilot: Pilot[None]) -> None:
        monkeypatch.setattr(PaneEntry, "make", refused)
        await pilot.press("3")
        while not any("Latency cannot be loaded" in each.message for each in app._notifications):
            await pilot.pause(0.01)
        assert app.pane is not None
        assert app.pane.id == "overview"

    driven(picture(), play)


@pytest.mark.parametrize("size", [(20, 5), (10, 2), (80, 24)])
def test_the_palette_bears_any_key_on_any_screen(size: tuple[int, int]) -> None:
    async def play(app: Top, pilot: Pilot[None]) -> None:
        for typed in ("", "sh", "no such command"):
            await pilot.press("ctrl+p", *typed)
            await pilot.pause(0.3)
            await pilot.press("pageup", "pagedown", "ctrl+home", "ctrl+end", "up", "down", "pageup", "escape", "escape")
        app.search_themes()
        await pilot.pause(0.3)
        await pilot.press("pageup", "pagedown", "up", "escape", "escape")
        await pilot.pause()
        assert app.is_running

    driven(picture(), play, size)


def test_a_palette_that_is_closed_before_it_has_looked_for_commands_ends_nothing() -> None:
    async def play(app: Top, pilot: Pilot[None]) -> None:
        await pilot.press("ctrl+p")
        await pilot.pause(0.3)
        for commands in app.screen.query(CommandList):
            await commands.remove()  # as closing does
        await pilot.press("a", "pageup", "down", "up")
        await pilot.pause(0.3)
        await pilot.press("escape")
        await pilot.pause()
        assert app.is_running

    driven(picture(), play)


@pytest.mark.parametrize(("opened", "close"), [("?", "x"), ("M", "escape"), ("L", "escape"), ("ctrl+p", "escape")])
def test_a_key_pressed_twice_closes_what_is_above_the_panes_once(opened: str, close: str) -> None:
    async def play(app: Top, pilot: Pilot[None]) -> None:
        await pilot.press(opened)
        await pilot.pause(0.3)
        shown = app.screen
        assert shown is not app.screen_stack[0]
        for _ in range(2):  # the second comes before the first has been followed
            shown.dismiss(None)
        await pilot.press(close)
        await pilot.pause()
        assert app.screen is app.screen_stack[0]
        assert app.is_running

    driven(picture(), play)


def test_dialogs_help_and_palette_are_never_above_one_another() -> None:
    """Each one more draws all below it once more: twenty, and no key is answered for minutes."""

    async def play(app: Top, pilot: Pilot[None]) -> None:
        for opened in ("question_mark", "R", "L", "ctrl+p"):
            await pilot.press(opened)
            await pilot.pause(0.2)
            assert len(app.screen_stack) == 2, opened
            for key in ("R", "L", "M", "ctrl+p"):
                await pilot.press(key)
                await pilot.pause()
                assert len(app.screen_stack) <= 2, (opened, key)
            await pilot.press("escape")
            await pilot.pause()
            await pilot.press("escape")
            await pilot.pause()
            assert len(app.screen_stack) == 1, opened
        for _ in range(3):
            await pilot.press("question_mark")
            await pilot.pause()
        assert len(app.screen_stack) == 2
        await pilot.press("question_mark")
        await pilot.pause()
        assert len(app.screen_stack) == 1

    driven(picture(), play)
