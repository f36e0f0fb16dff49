"""`Pane`: one tab of the terminal UI. It draws pictures and finds nothing out; what it needs besides, it starts itself.

Calls come in the app's thread: `show` at each refresh while it is seen and `hide` when another pane takes its place.
"""

from textual.containers import Container

from nanotape.tui.picture import Picture


class Pane(Container):
    """What is seen of one tab. Its widgets, its keys and its CSS are its own."""

    DEFAULT_CSS = """
    Pane { height: 1fr; width: 1fr; padding: 0; }
    """

    TITLE = ""
    """On the tab."""
    KEY = ""
    """That shows it, a digit."""

    def show(self, picture: Picture) -> None:
        """Draws a moment. Cheap: it comes up to ten times a second, also when nothing has changed.

        Args:
            picture: The newest; the first comes after the pane is mounted.
        """
        raise NotImplementedError

    def hide(self) -> None:
        """Another pane is seen from now on. Workers of a pane that are of no use unseen end here."""

    def take_focus(self) -> None:
        """Gives the keyboard to the widget that is worked with first; by default to the first that takes it."""
        for widget in self.query("*"):
            if widget.focusable:
                widget.focus()
                return
