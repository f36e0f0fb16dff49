"""Why nothing may come on a line: what can be looked at on this host, and what is to be looked at elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from nanotape.capture.channel_watch import Watched
from nanotape.capture.interface_state import interface_index, is_running, is_up
from nanotape.capture.joins import Joins
from nanotape.config import Flow, Settings

_NETWORK_KINDS = ("afxdp", "packet", "socket")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known of where a line's packets should come from."""

    settings: Settings
    """Of its ring."""
    watched: Watched
    joins: Joins | None
    """None: the kernel's lists cannot be read."""


def look_at(flow: Flow, around: Surroundings) -> list[str]:
    """What is wrong, or to be looked at, most telling first, a line each."""
    if around.settings.source.effective_kind not in _NETWORK_KINDS:
        return ["the source is no network interface: see what it makes or reads"]
    found = [said for look in _LOOKS for said in look(flow, around)]
    if found:
        return found
    joined = "is joined" if around.settings.source.join != "none" else "is not to be joined"
    return [
        f"{flow.group} {joined} and nothing to {flow.group}:{flow.port} arrives: look at the switch (IGMP snooping, "
        f"VLAN of the port), the NIC's steering and the venue; nanotape discover {flow.interface} --group {flow.group}"
    ]


def _link(flow: Flow, around: Surroundings) -> Iterator[str]:
    name = flow.interface
    if not interface_index(name):
        yield f"{name}: no such interface in this network namespace; ask where the capture runs"
    elif not is_up(name):
        yield f"{name} is down: ip link set {name} up"
    elif not is_running(name):
        yield f"{name} has no carrier: look at cable, transceiver and the switch's port"


def _join(flow: Flow, around: Surroundings) -> Iterator[str]:
    source = around.settings.source
    if source.join == "none":
        if not source.promiscuous and source.effective_kind != "socket":
            yield 'join = "none" without promiscuous: the NIC drops groups that nobody on this host joined'
    elif around.joins is None:
        yield "whether the group is joined cannot be read by this user"
    elif interface_index(flow.interface) and not around.joins.has(flow.interface, flow.group, flow.source):
        of = f" for sender {flow.source}" if flow.source else ""
        yield f"{flow.group} is not joined on {flow.interface}{of}: start the capture anew, and see what it says"


def _almost(flow: Flow, around: Surroundings) -> Iterator[str]:
    """The group and port arrive, but from another sender or on another VLAN, as channel `other`."""
    for vlan, sender in sorted(around.watched.others.get((flow.group, flow.port), ()), key=str):
        if flow.source is not None and sender != flow.source:
            yield f"{flow.group}:{flow.port} comes from {sender}, configured is source {flow.source}"
        else:
            on = "untagged" if vlan is None else f"on VLAN {vlan}"
            configured = "untagged" if flow.vlan is None else f"VLAN {flow.vlan}"
            yield f"{flow.group}:{flow.port} comes {on}, configured is {configured}"


def _counted(flow: Flow, around: Surroundings) -> Iterator[str]:
    """What the NIC and the XDP program did with packets meanwhile."""
    before = {each.slot: each.stats for each in around.watched.before}
    told: dict[str, int] = {}
    for source in around.watched.after:
        if source.interface != flow.interface or source.slot not in before:
            continue
        for name in _STEERING:
            now, then = getattr(source.stats, name), getattr(before[source.slot], name)
            if now is not None and then is not None and now > then:
                told[name] = told.get(name, 0) + now - then
    yield from (_STEERING[name].format(count=f"{count:,}", interface=flow.interface) for name, count in told.items())


_STEERING = {
    "xdp_passed_no_socket": "{count} packets of configured flows came to queues of {interface} without a socket: "
    "steering; ethtool -l, -x and -n {interface}",
    "rx_dropped": "{count} packets of {interface} were dropped before the ring: nanotape status",
    "rx_ring_full": "{count} packets of {interface} found the RX ring full: nanotape status",
}

_LOOKS: tuple[Callable[[Flow, Surroundings], Iterator[str]], ...] = (_link, _join, _almost, _counted)
