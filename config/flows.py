"""The flat list of flows that a configuration captures, in its order: what the supervisor gives to the native side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nanotape.config import rings

if TYPE_CHECKING:  # settings checks itself through this module
    from nanotape.config.locate import KeyPath
    from nanotape.config.settings import Settings


@dataclass(frozen=True, slots=True)
class Flow:
    """One (interface, vlan, group, port, source), and which channel and line it carries."""

    interface: str
    """`synthetic` where a synthetic source has none, `pcap` where a file has none."""
    vlan: int | str | None
    """Outermost 802.1Q id; "any": whatever tags; None: untagged."""
    group: str
    """Canonical text of a multicast address."""
    port: int
    source: str | None
    """Canonical text of the sender's address; None: any."""
    channel: str
    line: str
    feed: str
    framing: str
    role: str

    @property
    def key(self) -> tuple[str, int | str | None, str, int, str | None]:
        """What makes two flows the same one."""
        return (self.interface, self.vlan, self.group, self.port, self.source)


def flows(settings: Settings) -> list[Flow]:
    """Every flow of `settings`, channel by channel and line by line; of several rings, ring by ring."""
    return [flow for view in rings.views(settings) for _, flow in located_flows(view.settings)]


def located_flows(settings: Settings) -> list[tuple[KeyPath, Flow]]:
    """Every flow of one ring with the path of its `[[channel.line]]`; checks.py refuses those whose interface is ""."""
    fallback = _fallback(settings)
    return [
        (
            ("channel", number, "line", index),
            Flow(
                interface=line.interface or settings.source.interface or fallback,
                vlan=line.vlan,
                group=line.group,
                port=line.port,
                source=line.source,
                channel=channel.name,
                line=line.name,
                feed=channel.feed,
                framing=channel.framing,
                role=channel.role,
            ),
        )
        for number, channel in enumerate(settings.channel)
        for index, line in enumerate(channel.line)
    ]


def interfaces(settings: Settings) -> list[str]:
    """Every interface that is captured: those of the flows, and what `select` adds; empty: nothing to capture."""
    return list(dict.fromkeys(name for view in rings.views(settings) for name in _interfaces(view.settings)))


def _interfaces(settings: Settings) -> list[str]:
    source = settings.source
    found = list(dict.fromkeys(flow.interface for _, flow in located_flows(settings)))
    own = source.interface or _fallback(settings)
    bears_one_name = source.effective_kind in ("synthetic", "pcap")
    wanted = source.effective_kind == "synthetic" or source.selection != "channels"
    if own and wanted and own not in found and not (found and bears_one_name):
        found.append(own)
    return found


def _fallback(settings: Settings) -> str:
    """What stands for an interface where there is none."""
    kind = settings.source.effective_kind
    return kind if kind in ("synthetic", "pcap") else ""
