"""What the parts of the benchmark agree on."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

Tell = Callable[[str], None]
"""Takes one line of progress."""


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for."""

    quick: bool = False
    """For correctness, not for speed: each part in a few seconds."""
    repetitions: int = 5
    """Interleaved: each contender once, then each once again."""
    folder: Path | None = None
    """On the disk that is to be measured; None: below /var/tmp."""
    source: str = "wire"
    """Of the part `path`: `wire`, or the dummy `memory`."""
    sink: str = "disk"
    """Of the part `path`: `disk`, `tmpfs`, or the dummy `null`."""


@dataclass(frozen=True, slots=True)
class Target:
    """One promise, and what came of it."""

    name: str
    value: float | None
    """None: not measured; `why` says why."""
    unit: str
    target: float
    met: bool | None
    """None as long as `value` is."""
    why: str = ""
    """What stands in the way; empty where nothing does."""


@dataclass(frozen=True, slots=True)
class PartResult:
    """What one part measured."""

    name: str
    title: str
    repetitions: list[dict[str, Any]]
    """In the order in which they were run, each with its contender, its figures and its `steal` share."""
    summary: dict[str, Any]
    """Medians and spread, by contender."""
    targets: list[Target] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What a reader of the figures must know; what could not be run, and why."""


class Part(Protocol):
    """A module of a part."""

    NAME: str
    TITLE: str

    @staticmethod
    def measure(options: Options, tell: Tell) -> PartResult:
        """Measures."""
