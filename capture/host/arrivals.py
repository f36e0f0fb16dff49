"""Which configured lines arrive: from the captures that run, else by listening and joining here for some seconds.

Joins end with the look. Where a capture runs nothing is joined beside it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Literal

from nanotape.capture.channels import ALARMS, channels
from nanotape.capture.discover import DiscoverOptions, Discovery
from nanotape.capture.discovered import DiscoveredFlow
from nanotape.capture.errors import DiscoverError
from nanotape.capture.membership import Membership, Memberships
from nanotape.config import Flow, Settings, flows

_TURN_S = 0.1


@dataclass(frozen=True, slots=True)
class Arrival:
    """One configured line."""

    channel: str
    line: str
    interface: str
    group: str
    port: int
    packets: int | None
    """In the seconds of looking; None: nobody could look."""
    state: str
    """As `nanotape channels` says it; from a look of our own `arriving`, `silent` or `unknown`."""
    look_at: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Arrivals:
    """All lines."""

    source: Literal["capture", "own joins"]
    seconds: float
    lines: tuple[Arrival, ...]

    @property
    def is_fine(self) -> bool:
        """Whether all that should arrive does."""
        return bool(self.lines) and not any(line.state in (*ALARMS, "unknown") for line in self.lines)


def arrivals(settings: Settings, seconds: float, *, captures_run: bool) -> Arrivals:
    """Looks for some seconds.

    Args:
        settings: Whose lines.
        seconds: How long.
        captures_run: Whether to ask the rings; else interfaces are listened on and groups joined.
    """
    return _told(settings, seconds) if captures_run else _joined(flows(settings), seconds)


def _told(settings: Settings, seconds: float) -> Arrivals:
    found = channels(settings, None, seconds)
    lines = [
        Arrival(each.channel, each.line, each.interface, each.group, each.port, each.packets, each.state, each.look_at)
        for each in found.lines
    ]
    return Arrivals("capture", seconds, tuple(lines))


def _joined(wanted: Sequence[Flow], seconds: float) -> Arrivals:
    names = list(dict.fromkeys(flow.interface for flow in wanted))
    refusals: dict[str, str] = {}
    listening: dict[str, Discovery] = {}
    with ExitStack() as stack:
        for name in names:
            try:
                heard = stack.enter_context(Discovery(name, DiscoverOptions(promiscuous=False)))
                stack.enter_context(Memberships(name, _memberships(wanted, name)))
                listening[name] = heard
            except DiscoverError as error:
                refusals[name] = str(error)
        begun = {name: heard.seconds for name, heard in listening.items()}
        while any(heard.seconds - begun[name] < seconds for name, heard in listening.items()):
            for heard in listening.values():
                heard.listen(_TURN_S)
        seen = {name: heard.snapshot().flows for name, heard in listening.items()}
    return Arrivals("own joins", seconds, tuple(_arrival(flow, seen.get(flow.interface), refusals) for flow in wanted))


def _memberships(wanted: Sequence[Flow], interface: str) -> list[Membership]:
    pairs = dict.fromkeys((flow.group, flow.source) for flow in wanted if flow.interface == interface)
    return [
        Membership(ipaddress.ip_address(group), None if source is None else ipaddress.ip_address(source))
        for group, source in pairs
    ]


def _counted(flow: Flow, seen: Sequence[DiscoveredFlow]) -> int:
    return sum(
        each.packets
        for each in seen
        if (each.group, each.port) == (flow.group, flow.port)
        and flow.source in (None, each.source)
        and flow.vlan in ("any", each.vlan)
    )


def _arrival(flow: Flow, seen: Sequence[DiscoveredFlow] | None, refusals: dict[str, str]) -> Arrival:
    where = (flow.channel, flow.line, flow.interface, flow.group, flow.port)
    if seen is None:
        return Arrival(*where, None, "unknown", (refusals[flow.interface],))
    packets = _counted(flow, seen)
    if packets:
        return Arrival(*where, packets, "arriving", ())
    advice = (
        f"nothing came although the group is joined: the sender, IGMP snooping, the VLAN; tcpdump -i {flow.interface}"
    )
    return Arrival(*where, 0, "silent", (advice,))
