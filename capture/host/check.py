"""One check of the host: what it is called, what is wanted and why, and the function that judges the facts.

A check reads through its Host only, changes nothing, and says `unknown` where a fact cannot be read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from nanotape.capture.host.facts import Host
from nanotape.capture.host.root import Unreadable

Status = Literal["ok", "info", "warn", "fail", "unknown"]

WORST_FIRST: tuple[Status, ...] = ("fail", "warn", "unknown", "info", "ok")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check finds."""

    status: Status
    found: str
    fix: str | None = None
    """A command or what to do; None: nothing."""
    wanted: str | None = None
    """For this host; None: what the check wants of any."""


def ok(found: str, wanted: str | None = None) -> Verdict:
    """As it should be."""
    return Verdict("ok", found, None, wanted)


def info(found: str, fix: str | None = None, wanted: str | None = None) -> Verdict:
    """To be known, and no fault."""
    return Verdict("info", found, fix, wanted)


def warn(found: str, fix: str, wanted: str | None = None) -> Verdict:
    """Costs time or packets now and then."""
    return Verdict("warn", found, fix, wanted)


def fail(found: str, fix: str, wanted: str | None = None) -> Verdict:
    """Costs packets, or the truth of stamps."""
    return Verdict("fail", found, fix, wanted)


@dataclass(frozen=True, slots=True)
class Result:
    """One line of the report."""

    id: str
    """Theme and name; of an interface with its name behind a colon: `nic.rings:eth1`."""
    status: Status
    found: str
    wanted: str
    why: str
    fix: str | None


@dataclass(frozen=True, slots=True)
class Check:
    """Of the whole host."""

    id: str
    wanted: str
    why: str
    judge: Callable[[Host], Verdict]

    def run(self, host: Host) -> Iterator[Result]:
        """Its one result."""
        yield _result(self.id, self.wanted, self.why, lambda: self.judge(host))


@dataclass(frozen=True, slots=True)
class NicCheck:
    """Of each interface that the configuration captures from."""

    id: str
    wanted: str
    why: str
    judge: Callable[[Host, str], Verdict]

    def run(self, host: Host) -> Iterator[Result]:
        """One result for each interface."""
        for interface in host.needs.interfaces:
            yield _result(f"{self.id}:{interface}", self.wanted, self.why, lambda: self.judge(host, interface))  # noqa: B023 - called at once


def run_checks(table: Iterable[Check | NicCheck], host: Host) -> tuple[Result, ...]:
    """All results, in the table's order."""
    return tuple(result for check in table for result in check.run(host))


def worst_first(results: Iterable[Result]) -> list[Result]:
    """The same, those that matter most in front."""
    return sorted(results, key=lambda result: WORST_FIRST.index(result.status))


def _result(name: str, wanted: str, why: str, judge: Callable[[], Verdict]) -> Result:
    try:
        found = judge()
    except Unreadable as error:
        return Result(name, "unknown", str(error), wanted, why, None)
    return Result(name, found.status, found.found, found.wanted or wanted, why, found.fix)
