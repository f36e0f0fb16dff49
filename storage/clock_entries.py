"""A line of the clock service's journal as a fact: a sample of a clock, or a change.

Believes what is written of the clock, and nothing of its form: what could not be recorded as it is makes no entry.
"""

import json
import math
from dataclasses import dataclass, fields
from typing import Any, get_args

from nanotape.storage.events import Severity

SYSTEM = "system"
"""Name of CLOCK_REALTIME; a PHC has the name of its device."""
STATES = ("unknown", "free-running", "acquiring", "locked", "holdover")

_STAMP_MAX_NS = 2**63 - 1
_ERROR_MAX_NS = 2**61
_GROWTH_MAX_PPB = 10**9  # what drifts by more is no clock
_INT32 = ("gm_class", "domain", "steps_removed", "utc_offset_s")
_BOUNDS = {"error_ns": _ERROR_MAX_NS, "growth_ppb": _GROWTH_MAX_PPB}


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
        if told.get("type") == "sample":
            return ClockSample(
                **{field.name: _checked(field.name, told.get(field.name)) for field in fields(ClockSample)}
            )
        return _change(told) if told.get("type") == "change" else None
    except (ValueError, OverflowError, RecursionError):
        return None


def _change(told: dict[str, Any]) -> ClockChange:
    return ClockChange(
        _stamp(told.get("at_ns")),
        _text(told.get("clock")),
        _text(told.get("what")),
        _text(told.get("severity"), get_args(Severity)),
        _text(told.get("detail")),
        None if told.get("end_ns") is None else _stamp(told["end_ns"]),
    )


def _checked(name: str, value: Any) -> Any:
    """A value of a sample.

    Raises:
        ValueError: It cannot be recorded.
    """
    if name == "at_ns":
        return _stamp(value)
    if name in ("clock", "state"):
        return _text(value, STATES if name == "state" else ())
    if value is None or value == "":
        return None
    if name == "freq_ppb":
        return float(_number(value))
    if name in _BOUNDS:  # a bound must not be rounded down
        return _within(math.ceil(_number(value)), 0, _BOUNDS[name])
    if name in _INT32:
        return _within(_number(value), -(2**31), 2**31 - 1)
    return _within(round(_number(value)), -_STAMP_MAX_NS, _STAMP_MAX_NS) if name.endswith("_ns") else _text(value)


def _stamp(value: Any) -> int:
    return _within(_number(value), 0, _STAMP_MAX_NS)


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(value)
    return value


def _within(value: Any, lowest: int, highest: int) -> int:
    if not isinstance(value, int) or not lowest <= value <= highest:
        raise ValueError(value)
    return value


def _text(value: Any, choices: tuple[str, ...] = ()) -> Any:
    if not isinstance(value, str) or not value or (choices and value not in choices):
        raise ValueError(value)
    value.encode()  # half a surrogate pair cannot be recorded
    return value
