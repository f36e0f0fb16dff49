"""What doctor finds of this host, as rows and as the lines on a chosen one. Pure but for `examine_host`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nanotape.capture.host.check import WORST_FIRST, Result, Status, worst_first
from nanotape.config import Settings
from nanotape.tui.style import ACCENT, ERROR, OK, QUIET, WARNING

STATUS_STYLES: dict[Status, str] = {"fail": ERROR, "warn": WARNING, "unknown": WARNING, "info": "", "ok": OK}


@dataclass(frozen=True, slots=True)
class HostExamined:
    """What one round of doctor's found."""

    results: tuple[Result, ...] = ()
    """Worst first."""
    failure: str | None = None
    """Why there are none; None: they are there."""


def examine_host(settings: Settings) -> HostExamined:
    """Asks the kernel, drivers and /proc, for up to some seconds: not for the thread that draws. Changes nothing.

    Args:
        settings: In whose terms the host is judged.
    """
    try:
        from nanotape.capture.host.live import this_host
        from nanotape.capture.host.table import examine

        return HostExamined(tuple(worst_first(examine(this_host(settings, 0.0)))))
    except Exception as error:  # whatever it is, the screen says so and goes on
        return HostExamined(failure=f"{type(error).__name__}: {error}")


def shown_results(found: HostExamined, *, everything: bool) -> tuple[Result, ...]:
    """Those that are shown: all, or what is not as it should be."""
    return tuple(each for each in found.results if everything or each.status != "ok")


def summary(found: HostExamined) -> str:
    """How many of each."""
    counts = Counter(result.status for result in found.results)
    return ", ".join(f"{counts[status]} {status}" for status in WORST_FIRST)


def result_lines(result: Result) -> Iterator[tuple[str, str, str]]:
    """What there is to say of one: what it is about, the words, their style."""
    yield "found", result.found, STATUS_STYLES[result.status]
    yield "wanted", result.wanted, ""
    yield "why", result.why, QUIET
    if result.fix:
        yield "do", result.fix, ACCENT
    elif result.status != "ok":
        yield "do", "nothing is to be done, or nobody knows what", QUIET


def chosen_result(results: Sequence[Result], name: str | None) -> Result | None:
    """The one of that id."""
    return next((each for each in results if each.id == name), None)
