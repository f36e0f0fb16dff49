"""One thing to correct in a configuration: what the checks find, and `explain.py` words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nanotape.config.locate import KeyPath


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to correct."""

    path: KeyPath
    expected: str
    found: str
    advice: str
    first: KeyPath | None = None
    """The place that `path` repeats; None: it repeats none."""
