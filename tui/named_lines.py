"""What is said of a thing beside its name, wrapped to a width: lines for `tui.lines.Lines` and for text. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from rich.text import Text

from nanotape.tui.style import QUIET
from nanotape.tui.words import printable

Named = tuple[str, str, str]
"""What it is about, what there is to say, its style."""
_SAID_LEAST = 8


def named_lines(named: Iterable[Named], width: int, names_width: int) -> list[Text]:
    """Names to the left, what is said beside them, under itself where it takes several lines.

    Args:
        named: In their order.
        width: Cells of a line.
        names_width: Of these, those for the names.
    """
    lines: list[Text] = []
    for name, said, style in named:
        for number, part in enumerate(wrapped(said, width - names_width)):
            lines.append(Text.assemble((f"{'' if number else printable(name):<{names_width}}", QUIET), (part, style)))
    return lines


def wrapped(said: str, width: int) -> list[str]:
    """In lines of so many cells, broken between words; at least one."""
    return textwrap.wrap(printable(said), max(_SAID_LEAST, width), break_on_hyphens=False) or [""]
