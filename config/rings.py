"""Several rings in one configuration: which line is whose, and each ring as settings of its own.

A line belongs to the ring that it or its channel names, else to the one whose source has its interface.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from nanotape.config.document import Origins
from nanotape.config.errors import ConfigError

if TYPE_CHECKING:  # settings calls this module
    from nanotape.config.channel import Channel, Line, Section
    from nanotape.config.locate import KeyPath
    from nanotape.config.settings import RingSettings, RingTable, Settings

    AnySection = TypeVar("AnySection", bound=Section)

TABLES = ("source", "loop", "recorder")
"""What each of several rings has of its own, and inherits from the tables of the same names at the top."""


def several(settings: Settings) -> tuple[RingTable, ...]:
    """The `[[ring]]`s; none where there is one `[ring]`."""
    found = settings.ring_tables
    return found if isinstance(found, tuple) else ()


def names(settings: Settings) -> tuple[str, ...]:
    """Names of the rings, in their order."""
    found = settings.ring_tables
    return tuple(table.name for table in found) if isinstance(found, tuple) else (found.name,)


def only(settings: Settings) -> RingSettings:
    """The one ring, however it is written.

    Raises:
        ConfigError: There are several.
    """
    found = settings.ring_tables
    if not isinstance(found, tuple):
        return found
    if len(found) > 1:
        raise _choose(settings)
    return found[0]


def of_ring(settings: Settings, name: str | None) -> Settings:
    """One ring as settings of their own; None: the only one.

    Raises:
        ConfigError: There is none of this name, or several to choose from.
    """
    known = names(settings)
    if name is None and len(known) > 1:
        raise _choose(settings)
    if name is not None and name not in known:
        expected = f"one of the rings {', '.join(known)}" if len(known) > 1 else f"the ring {known[0]}"
        raise ConfigError(
            [f"{_file(settings)}: expected {expected}, found {name}; correct the name, or add a [[ring]]"]
        )
    return _view(settings, 0 if name is None else known.index(name)).settings


def inherited(table: RingTable, above: Mapping[str, Any]) -> RingTable:
    """A ring with all that is in force for it; what it sets itself stays known as such."""
    return table.model_copy(update={key: _over(above[key], getattr(table, key)) for key in TABLES})


def takers(settings: Settings, channel: Channel, line: Line) -> tuple[str, ...]:
    """Names of the rings that a line may belong to: one, or it is a mistake (`ring_checks.py`)."""
    known, named = names(settings), line.ring or channel.ring
    if named is not None:
        return tuple(name for name in known if name == named)
    interface = line.interface or settings.source.interface
    tables = several(settings)
    if len(known) == 1:
        return known
    return tuple(table.name for table in tables if interface and table.source.interface == interface)


@dataclass(frozen=True, slots=True)
class RingView:
    """One ring as settings of its own, and where its keys stand in the whole configuration."""

    settings: Settings
    above: Settings
    number: int | None
    """Of its `[[ring]]`; None: it is the whole configuration."""
    channels: tuple[tuple[int, tuple[int, ...]], ...] = ()
    """For each of its channels: its number, and those of its lines, in the whole."""

    def whole(self, path: KeyPath) -> KeyPath:
        """Where the file has, or would have, a key of this view."""
        if self.number is None:
            return path
        table = path[0]
        if table == "ring":
            return ("ring", self.number, *path[1:])
        if table in TABLES:
            return self._own(path, self.number)
        if table == "channel" and len(path) > 1 and isinstance(path[1], int):
            number, lines = self.channels[path[1]]
            if len(path) > 3 and path[2] == "line" and isinstance(path[3], int):
                return ("channel", number, "line", lines[path[3]], *path[4:])
            return ("channel", number, *path[2:])
        return path

    def _own(self, path: KeyPath, number: int) -> KeyPath:
        """In the ring's table, unless only the one above sets it."""
        own, above = (getattr(each, str(path[0])) for each in (self.settings, self.above))
        key = path[1] if len(path) > 1 else None
        is_above = key not in own.model_fields_set and key in above.model_fields_set
        return path if is_above else ("ring", number, *path)

    def origins(self) -> Origins:
        """Where this ring's values come from, by the paths of this view."""
        known = self.above.origins
        channels = {number: index for index, (number, _) in enumerate(self.channels)}
        lines = {(number, line): index for number, found in self.channels for index, line in enumerate(found)}
        places = {}
        for path, place in known.places.items():
            match path:
                case ("ring", int(number), str(table), *rest) if number == self.number and table in TABLES:
                    places[table, *rest] = place
                case ("ring", int(number), *rest) if number == self.number:
                    places["ring", *rest] = place
                case ("channel", int(number), "line", int(line), *rest) if (number, line) in lines:
                    places["channel", channels[number], "line", lines[number, line], *rest] = place
                case ("channel", int(number), *rest) if number in channels and rest[:1] != ["line"]:
                    places["channel", channels[number], *rest] = place
                case ("ring" | "channel", *_):
                    pass
                case _:
                    places.setdefault(path, place)
        return Origins(places, known.files)


def views(settings: Settings) -> Iterator[RingView]:
    """Every ring, without the lines that no ring takes or that two would."""
    tables = several(settings)
    return (_view(settings, number) for number in range(len(tables) or 1))


def _view(settings: Settings, number: int) -> RingView:
    tables = several(settings)
    if not tables:
        return RingView(settings, settings, None)
    table = tables[number]
    kept = []
    for index, channel in enumerate(settings.channel):
        lines = [at for at, line in enumerate(channel.line) if takers(settings, channel, line) == (table.name,)]
        if lines:
            kept.append((index, tuple(lines)))
    channels = tuple(_part(settings.channel[index], lines, table.name) for index, lines in kept)
    own = {key: getattr(table, key) for key in TABLES}
    alone = settings.model_copy(update={"ring_tables": table.alone(), "channel": channels, **own})
    view = RingView(alone, settings, number, tuple(kept))
    alone._origins = view.origins()
    return view


def _part(channel: Channel, lines: tuple[int, ...], ring: str) -> Channel:
    """What one ring takes of a channel; the name of another, from which its lines depart, would mean nothing there."""
    named = channel.ring if channel.ring == ring else None
    return channel.model_copy(update={"ring": named, "line": tuple(channel.line[at] for at in lines)})


def _over(above: AnySection, own: AnySection) -> AnySection:
    values = {key: getattr(own if key in own.model_fields_set else above, key) for key in type(own).model_fields}
    return type(own).model_construct(set(own.model_fields_set), **values)


def _choose(settings: Settings) -> ConfigError:
    known = ", ".join(names(settings))
    return ConfigError([f"{_file(settings)}: expected one ring, found several: {known}; say which: --ring NAME"])


def _file(settings: Settings) -> str:
    return str(settings.files[0]) if settings.files else "configuration"
