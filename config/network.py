"""What network names and addresses may be. Whether an interface exists is asked when capture starts, not here."""

import ipaddress
import re
from dataclasses import dataclass

from nanotape.config.rules import JsonSchema, Rule, is_whole, refused

INTERFACE_BYTES = 15
"""The kernel's IFNAMSIZ, less the terminating NUL."""
VLAN_MAXIMUM = 4094

_BROADCAST = ipaddress.IPv4Address("255.255.255.255")


@dataclass(frozen=True, slots=True)
class Interface(Rule):
    """Name of a network interface, as the kernel allows it."""

    def parse(self, value: object) -> str:
        """Returns the name as it is."""
        expected = f"an interface name of 1 to {INTERFACE_BYTES} bytes"
        if not isinstance(value, str) or not value or len(value.encode()) > INTERFACE_BYTES:
            raise refused(expected, "see `ip link` for the names of this host")
        if value in (".", "..") or not value.isprintable() or re.search(r"[/:\s]", value):
            raise refused(f"{expected}, without / : or blanks", "see `ip link` for the names of this host")
        return value

    def schema(self) -> JsonSchema:
        """Text without slash, colon and blank."""
        return {"type": "string", "pattern": "^[^/:\\s]+$", "minLength": 1, "maxLength": INTERFACE_BYTES}


@dataclass(frozen=True, slots=True)
class Vlan(Rule):
    """An 802.1Q id, or `any`."""

    def parse(self, value: object) -> int | str:
        """Returns the id, or "any"."""
        if value == "any":
            return "any"
        if isinstance(value, int) and is_whole(value) and 1 <= value <= VLAN_MAXIMUM:
            return value
        raise refused(f'a VLAN id from 1 to {VLAN_MAXIMUM}, or "any"', "leave vlan out to take untagged frames")

    def schema(self) -> JsonSchema:
        """An integer in its range, or one word."""
        return {"anyOf": [{"type": "integer", "minimum": 1, "maximum": VLAN_MAXIMUM}, {"enum": ["any"]}]}


@dataclass(frozen=True, slots=True)
class Address(Rule):
    """An IPv4 or IPv6 address: of a multicast group, or of one sender."""

    multicast: bool

    def parse(self, value: object) -> str:
        """Returns the address in its canonical form."""
        kind = "a multicast address (224.0.0.0/4 or ff00::/8)" if self.multicast else "a sender's unicast address"
        try:
            address = ipaddress.ip_address(value) if isinstance(value, str) and "%" not in value else None
        except ValueError:
            address = None
        if address is None:
            example = "233.252.0.1 or ff3e::8000:1" if self.multicast else "198.51.100.7"
            raise refused(kind, f"write it like {example}")
        if self.multicast and not address.is_multicast:
            raise refused(kind, "`group` is the address that the packets go to; the sender's goes into `source`")
        if not self.multicast and (address.is_multicast or address.is_unspecified or address == _BROADCAST):
            raise refused(kind, "leave `source` out to take any sender")
        return str(address)

    def schema(self) -> JsonSchema:
        """Either family's own format."""
        return {"type": "string", "anyOf": [{"format": "ipv4"}, {"format": "ipv6"}]}
