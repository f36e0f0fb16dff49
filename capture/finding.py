"""One thing that is wrong with a ring or a host, how badly, and what to do."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to know."""

    severity: Severity
    ring: str | None
    """None: it is of the host."""
    what: str
    do: str
    """Empty: nothing."""


Rule = Iterator[tuple[Severity, str, str]]
"""What a rule finds: how bad, what, what to do."""
