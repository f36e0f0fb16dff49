"""What two configurations of a running service differ in, and what has to be started anew for it. Pure.

Channels, recorder settings and the loop may change while a service runs; each other key needs a restart, and is named.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from nanotape.config.flows import flows, interfaces
from nanotape.config.settings import Settings

Part = Literal["holder", "capture", "recorder"]

_PARTS: Mapping[str, tuple[Part, ...]] = {
    "recorder": ("recorder",),
    "feeds": ("recorder",),
    "archive": ("recorder",),
    "events": ("recorder",),
    "session": ("recorder",),
    "framing": ("recorder",),
    "loop": ("capture",),
    "channel": ("capture", "recorder"),
    # Channels that came of these are compared as channels.
    "channels_from": (),
    "channel_defaults": (),
}
"""By table: what is started anew when it changes; a table that is not here needs a restart of all."""
_FIXED_KEYS = frozenset({"recorder.name"})
"""Of those tables, what needs a restart all the same: others find the recorder by it."""
_HELD_KINDS = ("afxdp", "packet")


@dataclass(frozen=True, slots=True)
class ReloadDiff:
    """What changes for one ring."""

    changed: tuple[str, ...] = ()
    """Keys with other values, channels by their names: `recorder.compression`, `channel itch-1`."""
    refused: tuple[str, ...] = ()
    """Of these, those that need a restart."""
    added: tuple[str, ...] = ()
    """Channels that were not there."""
    removed: tuple[str, ...] = ()
    """Channels that are no more."""
    altered: tuple[str, ...] = ()
    """Channels that are something else now: a line, a framing, a role."""
    parts: frozenset[Part] = frozenset()
    """What is started anew."""
    hands_over: bool = False
    """Whether the holder can be succeeded by another without a gap."""
    interrupts: bool = False
    """Whether packets of channels that stay are lost meanwhile: their way in is closed and opened again."""


def reload_diff(old: Settings, new: Settings) -> ReloadDiff:
    """What it takes to go over from one configuration of a ring to another.

    Args:
        old: In force, of one ring alone.
        new: The wanted one, of the same ring.
    """
    before, after = (each.model_dump(mode="json", by_alias=True) for each in (old, new))
    tables = [name for name in after if name != "channel" and before.get(name) != after[name]]
    keys = [key for name in tables for key in _keys(name, before.get(name), after[name])]
    added, removed, altered = _channels(old, new)
    refused = [key for key in keys if key.partition(".")[0] not in _PARTS or key in _FIXED_KEYS]
    refused += _refused_lines(old, new)
    parts = {part for key in keys for part in _PARTS.get(key.partition(".")[0], ())}
    if added or removed or altered:
        parts |= {*_PARTS["channel"]}
    if "capture" in parts and _needs_holder(old, new):
        parts.add("holder")
    kind = new.source.effective_kind
    hands_over = (
        "holder" in parts and kind == "afxdp"
    )  # its program can be replaced; filters of packet sockets are locked
    # Sockets of the kernel are the capture's own: nobody keeps them open for its successor.
    interrupts = ("holder" in parts and not hands_over) or ("capture" in parts and kind == "socket")
    changed = (*keys, *(f"channel {name}" for name in (*added, *removed, *altered)))
    what = (changed, tuple(dict.fromkeys(refused)), added, removed, altered)
    return ReloadDiff(*what, frozenset(parts), hands_over, interrupts)


def _keys(at: str, before: Any, after: Any) -> Iterator[str]:
    """Each key below a table that has another value."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys((*before, *after)):
            if before.get(key) != after.get(key):
                yield from _keys(f"{at}.{key}", before.get(key), after.get(key))
    else:
        yield at


def _channels(old: Settings, new: Settings) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    before, after = ({each.name: each for each in settings.channel} for settings in (old, new))
    added = tuple(name for name in after if name not in before)
    removed = tuple(name for name in before if name not in after)
    return added, removed, tuple(name for name in after if name in before and before[name] != after[name])


def _refused_lines(old: Settings, new: Settings) -> Iterator[str]:
    """Interfaces come and go only with a restart: each is a source with a place in the ring's table."""
    before, after = interfaces(old), interfaces(new)
    for name in (*(each for each in after if each not in before), *(each for each in before if each not in after)):
        yield f"channel.line.interface {name}"
    if old.records_other != new.records_other and old.recorder.other == new.recorder.other:
        yield "recorder.other (not set: the first channel, or the last one gone, changes what it means)"


def _needs_holder(old: Settings, new: Settings) -> bool:
    """Whether the kernel has to select other packets, or number them otherwise: the holder has no right left to ask."""
    kind = new.source.effective_kind
    if kind not in _HELD_KINDS:
        return False
    before, after = flows(old), flows(new)
    if kind == "afxdp":  # its program writes the number of a flow, which another name changes
        return before != after
    if new.source.selection != "channels" and new.source.join == "none":
        return False  # its filter takes them all already
    # Its filter may take more than is wanted, which the capture leaves out: channels may go, and be renamed.
    return not {flow.key for flow in after} <= {flow.key for flow in before}
