"""The rows of the clock screen, and what is said below of a chosen clock and of all. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nanotape.capture.clock.status import ClockStatus
from nanotape.tui.clock_around import ClockAround
from nanotape.tui.clock_history import ClockPoint, in_columns, plot
from nanotape.tui.named_lines import Named
from nanotape.tui.style import ERROR, OK, QUIET, WARNING
from nanotape.tui.words import UNKNOWN, nanoseconds, seconds

STATE_STYLES = {"locked": OK, "holdover": WARNING, "acquiring": WARNING, "free-running": ERROR, "unknown": ERROR}
_TERMS = {
    "offset": "offset", "offset_spread": "its spread", "delay_spread": "spread of the path delay",
    "phc_sys": "PHC to system", "grandmaster": "the grandmaster's own", "asymmetry": "asymmetry",
    "source": "the source's own bound", "holdover": "drift in holdover",
}  # fmt: skip
_WINDOWS_S = (60, 120, 300, 600)
"""Of the plot: the shortest that shows all that is known."""
_AXIS = 11


@dataclass(frozen=True, slots=True)
class ClockRow:
    """One clock."""

    name: str
    """`system`, or a device and its interface."""
    clock: str
    """Its name in samples."""
    state: str
    source: str | None
    """Who disciplines it; None: nobody is known to."""
    offset_ns: float | None
    error_ns: float | None
    """Bound on its error against UTC; None: there is none."""
    path_delay_ns: float | None
    utc_offset_s: int | None
    """TAI minus UTC."""


def clock_rows(status: ClockStatus) -> tuple[ClockRow, ...]:
    """The system clock first."""
    return tuple(_row(each) for each in status.clocks)


def _row(told: Mapping[str, Any]) -> ClockRow:
    clock, interface = str(told["clock"]), told.get("interface")
    return ClockRow(
        name=f"{clock} ({interface})" if interface else clock,
        clock=clock,
        state=str(told["state"]),
        source=told.get("source"),
        offset_ns=told.get("offset_ns"),
        error_ns=told.get("error_ns"),
        path_delay_ns=told.get("path_delay_ns"),
        utc_offset_s=told.get("utc_offset_s"),
    )


def clock_lines(told: Mapping[str, Any]) -> Iterator[Named]:
    """Of one clock: what its state rests on, its master, what its bound is made of."""
    yield "why", str(told.get("why") or UNKNOWN), ""
    master = [str(told["grandmaster"])] if told.get("grandmaster") else []
    for name, words in (("gm_class", "class"), ("domain", "domain"), ("steps_removed", "steps away")):
        if master and told.get(name) is not None:
            master.append(f"{words} {told[name]}")
    yield "master", ", ".join(master) or f"{UNKNOWN} (none is heard)", ""
    budget = told.get("budget")
    if budget:
        terms = [f"{words} {nanoseconds(budget[key])}" for key, words in _TERMS.items() if budget.get(key)]
        yield "error bound", f"{nanoseconds(told.get('error_ns'))}: {' + '.join(terms) or '0 ns'}", ""
    else:
        yield "error bound", f"{UNKNOWN} (nobody says how far it is from UTC)", ""
    utc = told.get("utc_offset_s")
    if utc is not None:
        yield "TAI-UTC", f"{utc} s by {told.get('utc_offset_source') or UNKNOWN}", ""
    for note in told.get("notes") or ():
        yield "note", str(note), ""


def host_lines(status: ClockStatus | None, around: ClockAround | None) -> Iterator[Named]:
    """Of the host: the kernel's word, who steers, NICs, programs of ours, what is wrong.

    Args:
        status: What the clock service tells; None: none does.
        around: What else there is to find out; None: it was not looked at yet.
    """
    yield "kernel", around.kernel if around else UNKNOWN, ""
    owners = around.owners if around else (UNKNOWN,)
    for line in owners or ("nobody: no program that steers clocks runs here",):
        yield "who steers", line, ""
    if status is None:
        return
    for each in status.interfaces:
        yield str(each.get("interface")), str(each.get("words")), ""
    for each in status.processes:
        is_up, times = bool(each.get("pid")), each.get("restarts")
        up = f"process {each['pid']}" if is_up else "DOES NOT RUN"
        yield str(each.get("name")), f"{up}, restarted {times} times", OK if is_up else ERROR
    for finding in status.findings:
        yield "look at", str(finding), WARNING


def silence(status: ClockStatus | None, is_current: bool, now_ns: int, run_directory: str) -> str | None:
    """What to say where no clock service tells; None: one does.

    Args:
        status: The last that was told, however long ago; None: nothing ever was.
        is_current: Whether that is of now.
        now_ns: UTC.
        run_directory: Where it would tell.
    """
    if status is not None and is_current:
        return None
    do = (
        "It comes with nanotape run and nanotape capture of an interface, unless clock.mode is none, and alone with "
        "nanotape clock run; until then the error of stamps is unknown. nanotape clock looks for itself."
    )
    if status is None:
        return f"No clock service tells of this host's clocks in {run_directory}/clock. {do}"
    ago = seconds(float(max(0, now_ns - status.at_ns) // 10**9))
    return f"The clock service has told nothing for {ago}: it has ended, or hangs. Below is its last word. {do}"


def plot_lines(points: Sequence[ClockPoint], now_ns: int, width: int, height: int) -> list[str]:
    """The offset of the last minutes, as far back as it is known and ten at most; the newest to the right.

    Args:
        points: Of one clock.
        now_ns: UTC: the right edge.
        width: Of a line.
        height: Rows; odd.
    """
    columns = max(1, width - _AXIS)
    age_s = (now_ns - points[0].at_ns) / 1e9 if points else 0.0
    window_s = next((each for each in _WINDOWS_S if each >= age_s), _WINDOWS_S[-1])
    values = in_columns(points, now_ns, window_s * 10**9, columns)
    known = [value for value in values if value is not None]
    if not known:
        return ["offset: unknown in the last 10 minutes"]
    most = max(map(abs, known))
    marks = {0: nanoseconds(most, signed=True), height // 2: "0", 2 * (height // 2): nanoseconds(-most, signed=True)}
    rows = plot(values, height)
    lines = [f"{marks.get(number, ''):>{_AXIS - 1}} {row}".rstrip() for number, row in enumerate(rows)]
    foot = f"{'':>{_AXIS}}{f'-{window_s // 60} min':<{max(0, columns - 3)}}now"
    return [*lines, foot[: max(width, _AXIS + 8)]]


def quiet_when_old(style: str, is_current: bool) -> str:
    """What was told long ago is not to be taken for what is."""
    return style if is_current else QUIET
