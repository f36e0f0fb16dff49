"""The command palette, also on a terminal so small that its list has no line: Textual's own ends the program there."""

from textual.command import CommandList, CommandPalette


class Palette(CommandPalette):
    """Moves in its list only where one is seen."""

    def _action_command_list(self, action: str) -> None:
        """Does something in the list; before it is laid out Textual knows no line of it."""
        if self.query_one(CommandList).size.area:
            super()._action_command_list(action)
