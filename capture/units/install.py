"""Puts units in place below a root, and says whether they are. Each file is written whole or not at all."""

import contextlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from nanotape.capture.errors import PlaceUnusable
from nanotape.capture.units.layout import SHIPPED

Condition = Literal["present", "differs", "missing"]


def install(files: Mapping[Path, str], root: Path) -> list[Path]:
    """Writes what is not there already, word for word.

    Args:
        files: By path below the root.
        root: `/`, or where a package or an image is being made.

    Returns:
        What was written, in order.

    Raises:
        PlaceUnusable: One cannot be written; those before it are.
    """
    written = []
    for place, text in files.items():
        if condition(place, text, root) != "present":
            _write(root / place, text)
            written.append(root / place)
    return written


def condition(place: Path, text: str, root: Path) -> Condition:
    """Whether a file is there as it should be; it may be where a package puts it, and one that says nothing nowhere."""
    found = _read(root / place)
    if found is None and place.parent in SHIPPED:
        found = _read(root / SHIPPED[place.parent] / place.name)
    if found is None:
        return "missing" if _says_something(text) else "present"
    return "present" if found == text else "differs"


def _says_something(text: str) -> bool:
    return any(line and not line.startswith("#") for line in text.splitlines())


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError):
        return ""  # there, and not ours to read


def _write(path: Path, text: str) -> None:
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except OSError as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
        raise PlaceUnusable(
            f"{path}: cannot be written: {error.strerror}; run as root, or name another --root"
        ) from None
