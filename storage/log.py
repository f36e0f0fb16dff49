"""Lines to whoever operates a recorder. Never raises: what is said is worth less than what is recorded."""

import contextlib
import os
import sys
from collections.abc import Callable

Log = Callable[[str], None]
"""Takes one line, without its end."""


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
