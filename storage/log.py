"""Lines to whoever operates a recorder. Never raises: what is said is worth less than what is recorded."""

import contextlib
import os
import sys
from collections.abc import Callable
from typing import Literal

Log = Callable[[str], None]
"""Takes one line, without its end; a plain text is a warning, `Info` and `Error` say of themselves what they are."""

Level = Literal["info", "warning", "error"]


class Info(str):
    """As it should be. nanotape.capture.severity has the same for what knows nothing of this package."""

    __slots__ = ()
    level: Literal["info"] = "info"


class Error(str):
    """Costs rows, or keeps something from being done, until somebody mends it."""

    __slots__ = ()
    level: Literal["error"] = "error"


def level_of(line: str) -> Level:
    """How grave a line is."""
    level: Level = getattr(line, "level", "warning")
    return level


def like(line: str, text: str) -> str:
    """Another text, as grave as a line."""
    return type(line)(text)


def log_to_stderr(line: str) -> None:
    """One line to stderr; lost when nobody can take it: closed, a full disk, a pipe without a reader."""
    write_to_stderr(f"nanotape: {line}")


def write_to_stderr(line: str) -> None:
    """The same, as it is."""
    text = f"{line}\n"
    try:
        descriptor = sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):  # closed, or a stand-in without a file
        with contextlib.suppress(AttributeError, OSError, ValueError):
            sys.stderr.write(text)
            sys.stderr.flush()
        return
    # Past Python's buffer: what could not be written must not come again with every later line, nor at the exit.
    with contextlib.suppress(OSError):
        os.write(descriptor, text.encode("utf-8", "replace"))
