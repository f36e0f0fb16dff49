"""How grave a line to an operator is, carried by the line itself: `Info` and `Error` are texts; any other is a warning.

nanotape.storage.log has the same two for what runs without this package; a service's log reads the attribute.
"""

from typing import Literal


class Info(str):
    """As it should be."""

    __slots__ = ()
    level: Literal["info"] = "info"


class Error(str):
    """Costs packets, or keeps something from being done, until somebody mends it."""

    __slots__ = ()
    level: Literal["error"] = "error"


def like(line: str, text: str) -> str:
    """Another text, as grave as a line."""
    return type(line)(text)
