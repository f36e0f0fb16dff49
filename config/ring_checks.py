"""What several rings get wrong between them: names, lines that no ring takes or two would, what two cannot share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from nanotape.config.flows import interfaces
from nanotape.config.problem import Problem
from nanotape.config.rings import RingView, names, several, takers, views
from nanotape.config.rules import quoted

if TYPE_CHECKING:  # settings calls this module
    from nanotape.config.locate import KeyPath
    from nanotape.config.settings import Settings

_LIVE = ("afxdp", "packet", "socket")


def ring_names(settings: Settings) -> Iterator[Problem]:
    """Each of several rings has a name of its own."""
    tables = several(settings)
    seen: dict[str, KeyPath] = {}
    for number, table in enumerate(tables):
        path: KeyPath = ("ring", number, "name")
        if "name" not in table.model_fields_set and len(tables) > 1:
            yield Problem(path, "a name, which each of several rings needs", "none", 'add name = "..."')
            continue
        first = seen.setdefault(table.name, path)
        if first is not path:
            found = f"{quoted(table.name)} again"
            yield Problem(path, "a ring name used once", found, "rename one of the two", first)


def lines_of_rings(settings: Settings) -> Iterator[Problem]:
    """Each line belongs to one ring."""
    known = names(settings)
    for number, channel in enumerate(settings.channel):
        if channel.ring is not None and channel.ring not in known:
            yield _unknown(("channel", number, "ring"), channel.ring, known)
        for index, line in enumerate(channel.line):
            path: KeyPath = ("channel", number, "line", index)
            if line.ring is not None and line.ring not in known:
                yield _unknown((*path, "ring"), line.ring, known)
            elif line.ring is None and channel.ring is None and len(found := takers(settings, channel, line)) != 1:
                if len(set(known)) == len(known):  # else what is to be said has been said
                    yield _homeless(settings, path, line.interface or settings.source.interface, found)


def shared(settings: Settings) -> Iterator[Problem]:
    """Two holders would fight over an interface, two loops over a core."""
    cores: dict[int, RingView] = {}
    holders: dict[str, RingView] = {}
    for view in views(settings) if several(settings) else ():
        core, name = view.settings.loop.core, view.settings.ring.name
        if core is not None and (other := cores.setdefault(core, view)) is not view:
            found = f"{core} for {other.settings.ring.name} and {name}"
            advice = "give each ring a core of its own in its [ring.loop]"
            yield _twice(view, other, ("loop", "core"), "a core for one loop", found, advice)
        if view.settings.source.effective_kind not in _LIVE:
            continue
        for interface in interfaces(view.settings):
            if interface and (other := holders.setdefault(interface, view)) is not view:
                found = f"{quoted(interface)} for {other.settings.ring.name} and {name}"
                advice = "let one ring take all of it, or give each an interface of its own"
                yield _twice(view, other, ("source", "interface"), "an interface captured by one ring", found, advice)


def _twice(view: RingView, other: RingView, path: KeyPath, expected: str, found: str, advice: str) -> Problem:
    here, first = view.whole(path), other.whole(path)
    return Problem(here, expected, found, advice, first if first != here else None)


def _unknown(path: KeyPath, name: str, known: tuple[str, ...]) -> Problem:
    expected = f"one of the rings {', '.join(map(quoted, known))}" if len(known) > 1 else f"the ring {quoted(known[0])}"
    return Problem(path, expected, quoted(name), "correct the name, or add a [[ring]] of it")


def _homeless(settings: Settings, path: KeyPath, interface: str | None, found: tuple[str, ...]) -> Problem:
    known = ", ".join(names(settings))
    advice = 'say which: ring = "NAME"'
    if found:
        return Problem(
            path, "a line that one ring takes", f"{quoted(interface)}, which {' and '.join(found)} have", advice
        )
    what = "no interface" if interface is None else f"{quoted(interface)}, which is no ring's source.interface"
    return Problem(path, f"a line that one of the rings {known} takes", what, advice)
