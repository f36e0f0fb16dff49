"""What is known of a clock each second, and what changes about it: as the clock service tells it to everybody.

Samples are rows of the table `clock`; changes become events. None is unknown, never 0.
"""

from dataclasses import dataclass
from typing import Literal

State = Literal["unknown", "free-running", "acquiring", "locked", "holdover"]
What = Literal[
    "state",
    "grandmaster",
    "utc_offset",
    "leap",
    "step",
    "master",
    "domain",
    "timescale",
    "process",
    "hwtstamp",
    "source",
]
Severity = Literal["info", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Sample:
    """One clock in one second; offsets are clock minus master."""

    at_ns: int
    """UTC."""
    clock: str
    """`system`, or a PHC's device."""
    interface: str | None
    state: State
    source: str | None
    """Who disciplines it."""
    offset_ns: int | None
    path_delay_ns: int | None
    phc_sys_ns: int | None
    freq_ppb: float | None
    grandmaster: str | None
    gm_class: int | None
    domain: int | None
    steps_removed: int | None
    utc_offset_s: int | None
    """TAI minus UTC."""
    utc_offset_source: str | None
    error_ns: int | None
    """Bound on the clock's error against UTC."""
    method: str | None
    growth_ppb: int = 0
    """How fast the bound grows after `at_ns`."""


@dataclass(frozen=True, slots=True)
class Change:
    """Something that befell a clock."""

    at_ns: int
    """UTC: when it began."""
    end_ns: int | None
    """UTC; the same as `at_ns`: it has no duration; None: it goes on, and will be told again when it is over."""
    clock: str
    what: What
    severity: Severity
    detail: str
    """One line."""
