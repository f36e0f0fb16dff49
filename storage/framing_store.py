"""ARCHIVE/framings.json: the framings of an archive's channels that are not built in, so that it explains itself."""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from nanotape.config.framing import BUILT_IN, Framing

FRAMINGS_NAME = "framings.json"


def keep_framings(root: Path, framings: Mapping[str, Framing]) -> None:
    """Adds framings to those that an archive knows; one that has changed replaces the one of its name.

    Raises:
        OSError: It cannot be written.
    """
    own = {name: each for name, each in framings.items() if name not in BUILT_IN}
    known = _read(root)
    if all(known.get(name) == each for name, each in own.items()):
        return
    path = root / FRAMINGS_NAME
    draft = root / f".{FRAMINGS_NAME}.{os.getpid()}.new"
    told = {name: each.model_dump(mode="json", exclude_none=True) for name, each in {**known, **own}.items()}
    try:
        draft.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def known_framings(root: Path) -> dict[str, Framing]:
    """All that an archive's channels may name: those that are built in, and its own."""
    return {**_read(root), **BUILT_IN}


def _read(root: Path) -> dict[str, Framing]:
    with suppress(OSError, ValueError):  # pydantic's is a ValueError
        told = json.loads((root / FRAMINGS_NAME).read_text(encoding="utf-8"))
        return {name: Framing.model_validate(table) for name, table in told.items()}
    return {}
