"""Where a relay sends: destinations as `ADDRESS:PORT[@INTERFACE]`, and which channels and lines go to which of them."""

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nanotape.capture.counters import Flow
from nanotape.capture.errors import RelayRefused
from nanotape.capture.flow_table import OTHER_CHANNEL

_TARGET = re.compile(
    r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<four>[0-9.]+)):(?P<port>[0-9]{1,5})(?:@(?P<interface>[^/:\s@]+))?"
)
_EXPECTED = "expected ADDRESS:PORT@INTERFACE, as in 239.1.1.1:5000@eth1, [ff05::1]:5000@eth1 or 10.0.0.9:5000"


@dataclass(frozen=True, slots=True)
class Target:
    """One destination."""

    address: str
    """As the kernel spells it."""
    port: int
    interface: str | None = None
    """Where it goes out; None: as the host routes it."""

    @classmethod
    def parse(cls, text: str) -> "Target":
        """Reads `239.1.1.1:5000@eth1`, `[ff05::1]:5000@eth1`, `10.0.0.9:5000`.

        Raises:
            RelayRefused: It is none, or nobody could be sent to there.
        """
        match = _TARGET.fullmatch(text)
        if match is None:
            raise RelayRefused(f"{text}: {_EXPECTED}")
        try:
            address = ipaddress.ip_address(match["six"] or match["four"])
        except ValueError:
            raise RelayRefused(f"{text}: {_EXPECTED}") from None
        port = int(match["port"])
        if not 0 < port < 65536:
            raise RelayRefused(f"{text}: expected a UDP port from 1 to 65535, found {port}")
        _check_address(text, address)
        if match["interface"] is None and (address.is_multicast or (address.version == 6 and address.is_link_local)):
            raise RelayRefused(f"{text}: expected the interface that it goes out of: {text}@eth1")
        return cls(str(address), port, match["interface"])

    @property
    def is_multicast(self) -> bool:
        """Whether it is a group."""
        return ipaddress.ip_address(self.address).is_multicast

    @property
    def version(self) -> int:
        """Of IP: 4 or 6."""
        return ipaddress.ip_address(self.address).version

    def __str__(self) -> str:
        """As `parse` reads it."""
        address = f"[{self.address}]" if self.version == 6 else self.address
        return f"{address}:{self.port}" + (f"@{self.interface}" if self.interface else "")


def _check_address(text: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    if address.is_unspecified or str(address) == "255.255.255.255":
        raise RelayRefused(f"{text}: expected a host's address or a group, found none of them")
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        raise RelayRefused(f"{text}: expected an IPv6 address, found an IPv4 one in it; write {address.ipv4_mapped}")


@dataclass(frozen=True, slots=True)
class Route:
    """What goes to one destination."""

    target: Target
    channel: str | None = None
    """None: every configured one."""
    line: str | None = None
    """None: all of its lines."""

    @classmethod
    def parse(cls, text: str) -> "Route":
        """Reads `CHANNEL=TARGET` or `CHANNEL/LINE=TARGET`.

        Raises:
            RelayRefused: It is neither.
        """
        chosen, equals, target = text.rpartition("=")
        if not (equals and chosen):
            raise RelayRefused(f"--map {text}: expected CHANNEL=TARGET or CHANNEL/LINE=TARGET; {_EXPECTED}")
        channel, slash, line = chosen.rpartition("/")
        return cls(Target.parse(target), channel if slash else chosen, line if slash else None)

    def takes(self, flow: Flow) -> bool:
        """Whether a flow's packets go there."""
        return self.channel in (None, flow.channel) and self.line in (None, flow.line)


class Routes:
    """All routes of a relay."""

    def __init__(self, routes: Iterable[Route]) -> None:
        """As many as wished.

        Raises:
            RelayRefused: There is none, or one is of no configured channel.
        """
        self._routes: Sequence[Route] = tuple(dict.fromkeys(routes))
        if not self._routes:
            raise RelayRefused("expected at least one destination; say --to TARGET or --map CHANNEL=TARGET")
        if any(route.channel == OTHER_CHANNEL for route in self._routes):
            raise RelayRefused(
                f"channel {OTHER_CHANNEL}: is of no flow, and could come back; configure a channel for it"
            )
        self.targets: tuple[Target, ...] = tuple(dict.fromkeys(route.target for route in self._routes))
        """Each destination once."""

    @classmethod
    def of(cls, channels: Sequence[str], lines: Sequence[str], to: Sequence[str], maps: Sequence[str]) -> "Routes":
        """From the words of a command: every named channel and line to every `to`, and the maps.

        Raises:
            RelayRefused: See `Target.parse`, `Route.parse` and `Routes`.
        """
        if (channels or lines) and not to:
            raise RelayRefused("--channel, --line: expected --to TARGET with them")
        everywhere = [
            Route(Target.parse(text), channel, line)
            for text in to
            for channel in (channels or [None])  # type: ignore[list-item]
            for line in (lines or [None])  # type: ignore[list-item]
        ]
        return cls([*everywhere, *map(Route.parse, maps)])

    def targets_of(self, flow: Flow) -> frozenset[int]:
        """Where a flow's packets go: places in `targets`."""
        return frozenset(self.targets.index(route.target) for route in self._routes if route.takes(flow))

    def unknown(self, flows: Iterable[Flow]) -> tuple[str, ...]:
        """What is routed and none of the flows is, in words."""
        known = tuple(flows)
        idle = [route for route in self._routes if not any(map(route.takes, known))]
        words = (
            " ".join(
                f"{kind} {name}"
                for kind, name in (("channel", route.channel), ("line", route.line))
                if name is not None
            )
            for route in idle
        )
        return tuple(dict.fromkeys(text or "channel" for text in words))
