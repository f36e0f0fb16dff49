"""`Top`: the terminal UI. One thread looks, the app draws what it found; nothing here touches a counter.

Ending, crashing or stopping it changes nothing of what is captured and recorded.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import ClassVar

from textual.app import App, ComposeResult, SystemCommand
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.screen import Screen
from textual.theme import ThemeProvider
from textual.widgets import ContentSwitcher

from nanotape.tui.actions import ACTION_BINDINGS, ActionLine
from nanotape.tui.header import Headline, KeyBar, TabBar, headline_text
from nanotape.tui.help import HelpScreen
from nanotape.tui.palette import Palette
from nanotape.tui.pane import Pane
from nanotape.tui.panes import PANES
from nanotape.tui.picture import Picture
from nanotape.tui.style import PLAIN_THEME
from nanotape.tui.terminal_end import end_at_last, end_with_signals, has_terminal
from nanotape.tui.watch import Watch

_TROUBLE_S = 1.0


class Looked(Message):
    """There is a newer picture."""

    def can_replace(self, message: Message) -> bool:
        """One that waits is as good as two."""
        return isinstance(message, Looked)


class Top(App[None]):
    """The app."""

    TITLE = "nanotape top"
    ENABLE_COMMAND_PALETTE = True
    CSS = """
    Screen { layout: vertical; overflow: hidden; }
    ContentSwitcher { height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "Quit"),
        Binding("question_mark", "help", "Help", key_display="?"),
        Binding("p", "pause", "Pause"),
        Binding("s", "screenshot", "Screenshot", show=False),
        *ACTION_BINDINGS,
        *(Binding(entry.key, f"show_pane('{entry.module}')", entry.title, show=False) for entry in PANES),
    ]

    def __init__(
        self,
        look: Callable[[], Picture],
        refresh_s: float = 1.0,
        screenshots: Path | None = None,
        theme: str = PLAIN_THEME,
        first: str = "overview",
    ) -> None:
        """An app that runs with `run`.

        Args:
            look: Makes the newest picture, in a thread of its own.
            refresh_s: Seconds from look to look.
            screenshots: Where screenshots go; None: the working directory.
            theme: See `style.theme_of`.
            first: Module of the pane that is shown first.
        """
        super().__init__()
        self._first, self._screenshots = first, screenshots or Path.cwd()
        self._watch = Watch(look, refresh_s, lambda: self.post_message(Looked()))
        self.theme = theme
        self.entries = PANES
        self.actions = ActionLine(id="answer")
        """Has services do what an operator confirms."""
        self.is_paused = False
        """Panes stand still; the headline never does."""

    def compose(self) -> ComposeResult:
        """Headline, tabs, the shown pane, what was answered, keys."""
        yield Headline(id="headline")
        yield TabBar(self.entries)
        yield ContentSwitcher(id="panes")
        yield self.actions
        yield KeyBar(id="keys")

    async def on_mount(self) -> None:
        """Begins to look."""
        await self.action_show_pane(self._first)
        self._watch.start()
        self.set_interval(_TROUBLE_S, self._look_around)
        if not self.is_headless:
            end_with_signals(self._end_from_outside)

    def on_unmount(self) -> None:
        """Ends looking."""
        self._watch.end()

    @property
    def picture(self) -> Picture | None:
        """The newest; None: there is none yet."""
        return self._watch.picture

    @picture.setter
    def picture(self, picture: Picture) -> None:
        self._watch.picture = picture

    def on_looked(self) -> None:
        """Draws the newest picture."""
        picture = self.picture
        self._draw_headline()
        if picture is None or not self._is_open:
            return
        self.actions.show(picture)
        pane = self.pane
        if pane is not None and pane.is_attached and not self.is_paused:
            pane.show(picture)

    @property
    def _is_open(self) -> bool:
        """Not any more once it closes: its screens go before its messages do."""
        return not (self._watch.is_ended or self._exit) and bool(self.screen_stack)

    def _look_around(self) -> None:
        """Says that a look hangs, which tells nobody of itself; ends when the terminal is gone."""
        self._draw_headline()
        if not self.is_headless and not has_terminal():
            self._end_from_outside()

    def _end_from_outside(self) -> None:
        if not self._exit:
            end_at_last()
        self.exit()

    def _draw_headline(self) -> None:
        if self._is_open:
            for headline in self._below.query(Headline):
                headline.show(headline_text(self.picture, self._watch.trouble))

    @property
    def _below(self) -> Screen[object]:
        """The screen of the panes, also while a dialog or the palette is above it."""
        return self.screen_stack[0]

    @property
    def _is_covered(self) -> bool:
        """Whether a dialog, the palette or the help is above the panes: one is enough, and of many none is drawn."""
        return len(self.screen_stack) > 1

    @property
    def pane(self) -> Pane | None:
        """The one that is shown; None: not yet, or not any more."""
        for switcher in self._below.query(ContentSwitcher):
            if switcher.current is not None and switcher.query_children(f"#{switcher.current}"):
                shown = switcher.visible_content
                return shown if isinstance(shown, Pane) else None
        return None

    async def action_show_pane(self, module: str) -> None:
        """Shows a pane, by its module's name; makes it when it was never shown."""
        entry = next((each for each in self.entries if each.module == module), None)
        if entry is None:
            return
        switcher = self._below.query_one("#panes", ContentSwitcher)
        before = self.pane
        if before is not None and before.id == module:
            return
        if not switcher.query_children(f"#{module}"):
            try:
                made = entry.make()
            except ImportError as error:  # the package was upgraded under us
                self.notify(f"{entry.title} cannot be loaded: {error}; end it, and start it again", severity="error")
                return
            await switcher.add_content(made)
        if before is not None:
            before.hide()
        switcher.current = module
        self._below.query_one(TabBar).mark(module)
        pane = self.pane
        if pane is not None:
            if self.picture is not None:
                pane.show(self.picture)
            pane.take_focus()

    async def on_tab_bar_chosen(self, message: TabBar.Chosen) -> None:
        """A tab was clicked."""
        await self.action_show_pane(message.module)

    def action_pause(self) -> None:
        """Lets panes stand still, or go on."""
        self.is_paused = not self.is_paused
        self.notify("panes stand still, the headline does not: p to go on" if self.is_paused else "going on")

    def action_steer(self, verb: str) -> None:
        """Asks whether a service is to rotate, mark or reload."""
        if not self._is_covered:
            self.actions.begin(verb)

    def action_command_palette(self) -> None:
        """Shows the command palette."""
        if not self._is_covered:
            self.push_screen(Palette(id="--command-palette"))

    def search_themes(self) -> None:
        """Shows the themes to choose from."""
        self.push_screen(Palette(providers=[ThemeProvider], placeholder="Search for themes"))

    def action_help(self) -> None:
        """Shows which keys do what, or leaves that."""
        if isinstance(self.screen, HelpScreen):
            self.screen.dismiss()
        elif not self._is_covered:
            self.push_screen(HelpScreen(self.entries, self.screen.active_bindings.values()))

    def action_screenshot(self, filename: str | None = None, path: str | None = None) -> None:
        """Saves what is seen as an SVG."""
        try:
            saved = self.save_screenshot(filename, path or str(self._screenshots))
        except OSError as error:
            self.notify(f"{self._screenshots}: no screenshot: {error.strerror}", severity="error", markup=False)
        else:
            self.notify(f"saved {saved}", markup=False)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """What the command palette offers."""
        for entry in self.entries:
            yield SystemCommand(f"Show {entry.title}", f"Key {entry.key}", self._shows(entry.module))
        yield from self.actions.commands()
        yield SystemCommand("Pause", "Let panes stand still, or go on", self.action_pause)
        yield SystemCommand("Screenshot", "Save what is seen as an SVG", self.action_screenshot)
        yield SystemCommand("Help", "Keys, and what is seen", self.action_help)
        yield SystemCommand("Theme", "Choose the colours", self.action_change_theme)
        yield SystemCommand("Quit", "End; nothing else does", self.action_quit)

    def _shows(self, module: str) -> Callable[[], object]:
        return lambda: self.run_worker(self.action_show_pane(module))
