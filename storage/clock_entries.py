"""A line of the clock service's journal as a fact: a sample of a clock, or a change.

Believes what is written of the clock, and nothing of its form: what could not be recorded as it is makes no entry.
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, get_args

from nanotape.storage.events import Severity

SYSTEM = "system"
"""Name of CLOCK_REALTIME; a PHC has the name of its device."""
STATES = ("unknown", "free-running", "acquiring", "locked", "holdover")

_INT64_MAX = 2**63 - 1
_ERROR_MAX_NS = 2**61
_GROWTH_MAX_PPB = 10**9  # what drifts by more is no clock

_Check = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class ClockSample:
    """One clock at one moment: the columns of table `clock`, and `growth_ppb`. None is unknown."""

    at_ns: int
    """UTC."""
    clock: str
    """`system`, or a PHC's device."""
    state: str
    """One of STATES."""
    interface: str | None = None
    source: str | None = None
    offset_ns: int | None = None
    path_delay_ns: int | None = None
    phc_sys_ns: int | None = None
    freq_ppb: float | None = None
    grandmaster: str | None = None
    gm_class: int | None = None
    domain: int | None = None
    steps_removed: int | None = None
    utc_offset_s: int | None = None
    utc_offset_source: str | None = None
    error_ns: int | None = None
    """Bound on its error at that moment."""
    method: str | None = None
    growth_ppb: int | None = None
    """How fast the bound grows after that."""


@dataclass(frozen=True, slots=True)
class ClockChange:
    """Something that befell a clock, or was over then."""

    at_ns: int
    """UTC: when it began."""
    clock: str
    what: str
    """state, grandmaster, utc_offset, leap, step, master, domain, timescale, process, hwtstamp or source."""
    severity: Severity
    detail: str
    """One line."""
    end_ns: int | None = None
    """UTC; None: it goes on, and is told again when it is over."""


def parse_line(line: bytes) -> ClockSample | ClockChange | None:
    """One line of the journal; None: it is neither a sample nor a change."""
    try:
        told = json.loads(line)
        if not isinstance(told, dict):
            return None
        get = told.get
        if get("type") == "sample":
            return ClockSample(*[check(get(name)) for name, check in _OF_SAMPLE])
        return ClockChange(*[check(get(name)) for name, check in _OF_CHANGE]) if get("type") == "change" else None
    except (ValueError, OverflowError, RecursionError):
        return None


# Each check gives a value as it can be recorded, or raises a ValueError. A recorder that begins reads hours of samples
# while its ring goes on, so that each must be quick.


def _text(value: Any) -> str:
    if type(value) is not str or not value:
        raise ValueError(value)
    if not value.isascii():
        value.encode()  # half a surrogate pair cannot be recorded
    return value


def _one_of(choices: tuple[str, ...]) -> _Check:
    def check(value: Any) -> str:
        if value not in choices:
            raise ValueError(value)
        return str(value)

    return check


def _number(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ValueError(value)
    return float(value)


def _whole(lowest: int, highest: int, rounded: Callable[[float], int] | None = None) -> _Check:
    """`rounded`: makes a whole number of one that is not; None: there must not be any."""

    def check(value: Any) -> int:
        whole: int = value if type(value) is int else _rounded(value, rounded)
        if not lowest <= whole <= highest:
            raise ValueError(value)
        return whole

    return check


def _rounded(value: Any, rounded: Callable[[float], int] | None) -> int:
    if rounded is None:
        raise ValueError(value)
    return rounded(_number(value))


def _optional(check: _Check) -> _Check:
    return lambda value: None if value is None or value == "" else check(value)


_STAMP = _whole(0, _INT64_MAX)
_NANOSECONDS = _optional(_whole(-_INT64_MAX, _INT64_MAX, round))
_INT32 = _optional(_whole(-(2**31), 2**31 - 1))
_CHECKS: dict[str, _Check] = {
    "at_ns": _STAMP, "end_ns": _optional(_STAMP), "clock": _text, "what": _text, "detail": _text,
    "state": _one_of(STATES), "severity": _one_of(get_args(Severity)), "freq_ppb": _optional(_number),
    "offset_ns": _NANOSECONDS, "path_delay_ns": _NANOSECONDS, "phc_sys_ns": _NANOSECONDS,
    "gm_class": _INT32, "domain": _INT32, "steps_removed": _INT32, "utc_offset_s": _INT32,
    "error_ns": _optional(_whole(0, _ERROR_MAX_NS, math.ceil)),  # a bound must not be rounded down
    "growth_ppb": _optional(_whole(0, _GROWTH_MAX_PPB, math.ceil)),
}  # fmt: skip
_OPTIONAL_TEXT = _optional(_text)
_OF_SAMPLE = [(field.name, _CHECKS.get(field.name, _OPTIONAL_TEXT)) for field in fields(ClockSample)]
_OF_CHANGE = [(field.name, _CHECKS[field.name]) for field in fields(ClockChange)]
