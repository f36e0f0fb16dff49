"""`close_once`: of screens above the panes. A key pressed twice closes them once; Textual would end the program."""

from typing import TypeVar

from textual.await_complete import AwaitComplete
from textual.screen import Screen

Result = TypeVar("Result")


def close_once(screen: Screen[Result], result: Result | None) -> AwaitComplete:
    """What `dismiss` of a screen does: closes it, where it is still open."""
    return Screen.dismiss(screen, result) if screen.is_active else AwaitComplete()
