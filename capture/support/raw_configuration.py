"""A configuration that does not load, as it stands on disk, and what can be guessed from it all the same.

What follows the key of a command is left out, wherever it ends: there may be a password in it.
"""

import re
import tomllib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from nanotape.capture.support.bundle import PART_BYTES, Part
from nanotape.config.settings import Paths

_COMMAND = re.compile(r"""(?P<key>\b(?:post_\w+|on_event)\b["']?\s*=).*""")
_NEXT = re.compile(r"""\s*(?:\[{1,2}\s*[\w."'-]+(?:\s*\.\s*[\w."'-]+)*\s*\]{1,2}\s*(?:#.*)?$|[\w.-]+\s*=)""")
_LEFT_OUT = " (left out: there may be a password in it)"


def raw_parts(file: Path) -> Iterator[Part]:
    """The file and those of `conf.d` beside it."""
    yield Part(f"configuration/{file.name}", partial(_raw, file))
    try:
        drop_ins = sorted((file.parent / "conf.d").glob("*.toml"))
    except OSError:
        return
    for each in drop_ins:
        yield Part(f"configuration/conf.d/{each.name}", partial(_raw, each))


def guessed_paths(file: Path) -> Paths:
    """Where things lie, as far as the file says so in a way that can be understood; else where they lie by default."""
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8")).get("paths", {})
    except (OSError, ValueError, RecursionError):
        table = {}
    known: dict[str, Any] = {}
    for key in Paths.model_fields:
        value = table.get(key) if isinstance(table, dict) else None
        if isinstance(value, str) and value.startswith("/"):
            known[key] = value
    return Paths.model_construct(**known)


def without_commands(text: str) -> str:
    """The text without the values of commands, for each as far as the next line that begins a key or a table."""
    kept, is_left_out = [], False
    for line in text.splitlines():
        is_left_out = is_left_out and not _NEXT.match(line)
        if is_left_out:
            continue
        shortened = _COMMAND.sub(rf"\g<key>{_LEFT_OUT}", line)
        is_left_out = shortened != line
        kept.append(shortened)
    return "".join(f"{line}\n" for line in kept)


def _raw(file: Path) -> bytes:
    with file.open("rb") as opened:
        content = opened.read(PART_BYTES + 1)
    return without_commands(content.decode("utf-8", "backslashreplace")).encode()
