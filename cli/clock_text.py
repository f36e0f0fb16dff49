"""How the clocks of a host are shown to people."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from nanotape.capture.clock.status import ClockStatus
from nanotape.tui.words import UNKNOWN, nanoseconds

_HEAD = ("CLOCK", "STATE", "BY", "OFFSET", "ERROR AT MOST", "PATH DELAY", "MASTER", "TAI-UTC")
_TERMS = {
    "offset": "offset", "offset_spread": "its spread", "delay_spread": "spread of the path delay",
    "phc_sys": "PHC to system", "grandmaster": "the grandmaster's own", "asymmetry": "asymmetry",
    "source": "the source's own bound", "holdover": "drift in holdover",
}  # fmt: skip


def clock_page(found: ClockStatus) -> list[str]:
    """All there is to say, in lines."""
    rows = [_HEAD, *(_row(each) for each in found.clocks)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    page = []
    for row, clock in zip(rows, (None, *found.clocks), strict=True):
        page.append("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        page += _below(clock) if clock else []
    page += [_interface(each) for each in found.interfaces]
    page += [_process(each) for each in found.processes]
    page += [f"look at: {each}" for each in found.findings]
    who = "told by the clock service" if found.is_told else "no clock service: looked at just now"
    verdict = "every clock is locked" if found.is_fine else _not_fine(found)
    return [*page, "", f"{verdict} ({who}, mode {found.mode})"]


def clock_line(found: ClockStatus, clock: Mapping[str, Any]) -> str:
    """One clock in one second."""
    moment = f"{datetime.fromtimestamp(found.at_ns // 10**9, UTC):%H:%M:%S}"
    cells = dict(zip(_HEAD, _row(clock), strict=True))
    told = f"offset {cells['OFFSET']}, error at most {cells['ERROR AT MOST']}, master {cells['MASTER']}"
    return f"{moment}  {clock['clock']}: {clock['state']}, by {cells['BY']}: {told}"


def _row(clock: Mapping[str, Any]) -> tuple[str, ...]:
    name = clock["clock"] if not clock["interface"] else f"{clock['clock']} ({clock['interface']})"
    utc = UNKNOWN if clock["utc_offset_s"] is None else f"{clock['utc_offset_s']} s by {clock['utc_offset_source']}"
    return (
        name,
        clock["state"],
        clock["source"] or UNKNOWN,
        nanoseconds(clock["offset_ns"], signed=True),
        nanoseconds(clock["error_ns"]),
        nanoseconds(clock["path_delay_ns"]),
        clock["grandmaster"] or UNKNOWN,
        utc,
    )


def _below(clock: Mapping[str, Any]) -> Iterator[str]:
    yield f"    {clock['why']}"
    if clock["budget"]:
        terms = [f"{name} {nanoseconds(clock['budget'][key])}" for key, name in _TERMS.items() if clock["budget"][key]]
        yield f"    bound: {' + '.join(terms) or '0 ns'}"


def _interface(each: Mapping[str, Any]) -> str:
    return f"{each['interface']}: {each['words']}"


def _process(each: Mapping[str, Any]) -> str:
    state = f"process {each['pid']}" if each["pid"] else "not running"
    return f"{each['name']}: {state}, restarted {each['restarts']} times"


def _not_fine(found: ClockStatus) -> str:
    bad = [f"{each['clock']} is {each['state']}" for each in found.clocks if each["state"] != "locked"]
    return ", ".join(bad).upper() if bad else "every clock is locked, but see above"
