"""The command palette, for quick fingers and tiny terminals: Textual's own ends the program over either.

Closed before it is laid out, or with a list of no lines, it looks for widgets that are not there.
"""

import inspect

from textual.await_complete import AwaitComplete
from textual.command import CommandList, CommandPalette
from textual.worker import Worker

from nanotape.tui.closes_once import close_once


class Palette(CommandPalette):
    """Bears any key at any moment."""

    def _gather_commands(self, search_value: str) -> Worker[None]:
        """Looks for commands; closed meanwhile, it finds none, and that is all."""
        gather = inspect.unwrap(CommandPalette._gather_commands)(self, search_value)
        return self.run_worker(gather, exclusive=True, group=self._GATHER_COMMANDS_GROUP, exit_on_error=False)

    def dismiss(self, result: None = None) -> AwaitComplete:
        """Closes it once."""
        return close_once(self, result)

    def _action_escape(self) -> None:
        """Closes it, once it is open."""
        if self._calling_screen is not None:
            super()._action_escape()

    def _action_cursor_down(self) -> None:
        if self.query(CommandList):
            super()._action_cursor_down()

    def _action_command_list(self, action: str) -> None:
        """Does something in the list; before it is laid out Textual knows no line of it."""
        for commands in self.query(CommandList):
            if commands.size.area:
                super()._action_command_list(action)
