"""Which groups are joined on an interface, as the kernel lists them for our network namespace."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nanotape.capture.membership import Address

PROC_NET = Path("/proc/net")


@dataclass(frozen=True, slots=True)
class Joins:
    """All memberships of one network namespace."""

    groups: frozenset[tuple[str, Address]]
    """(interface, group): from any sender, or from some."""
    sources: Mapping[tuple[str, Address], frozenset[Address]]
    """Senders of those that are joined for single senders."""

    def has(self, interface: str, group: str, source: str | None) -> bool:
        """Whether a group is joined so that packets of this sender come; None: of any."""
        address = ipaddress.ip_address(group)
        if (interface, address) not in self.groups:
            return False
        single = self.sources.get((interface, address))
        return not single or source is None or ipaddress.ip_address(source) in single


def read_joins(proc_net: Path = PROC_NET) -> Joins | None:
    """The kernel's lists; None: they may not be read, or are not there."""
    try:
        groups = {*_igmp(_lines(proc_net / "igmp")), *_igmp6(_lines(proc_net / "igmp6", optional=True))}
        filters = [
            *_filters(_lines(proc_net / "mcfilter", optional=True), 4),
            *_filters(_lines(proc_net / "mcfilter6", optional=True), 6),
        ]
    except OSError:
        return None
    sources: dict[tuple[str, Address], set[Address]] = {}
    for interface, group, sender in filters:
        sources.setdefault((interface, group), set()).add(sender)
    return Joins(frozenset(groups), {key: frozenset(senders) for key, senders in sources.items()})


def _lines(path: Path, *, optional: bool = False) -> list[str]:
    if optional and not path.exists():  # a kernel without IPv6
        return []
    return path.read_text(encoding="ascii").splitlines()


def _igmp(lines: list[str]) -> list[tuple[str, Address]]:
    """A line of each interface, `4 eth0 : 1 V3`, then one of each group, indented, in this machine's byte order."""
    found: list[tuple[str, Address]] = []
    interface = ""
    for line in lines[1:]:
        words = line.split()
        if line[:1].isdigit():
            interface = words[1].rstrip(":")
        else:
            found.append((interface, ipaddress.IPv4Address(bytes.fromhex(words[0])[::-1])))
    return found


def _igmp6(lines: list[str]) -> list[tuple[str, Address]]:
    words = (line.split() for line in lines)
    return [(each[1], ipaddress.IPv6Address(bytes.fromhex(each[2]))) for each in words]


def _filters(lines: list[str], version: int) -> list[tuple[str, Address, Address]]:
    """`4 eth0 0xe9fc0902 0xc6336407 1 0`, and the same of IPv6 without `0x`: included by so many sockets."""
    words = (line.split() for line in lines[1:])
    return [(each[1], _address(each[2], version), _address(each[3], version)) for each in words if each[4] != "0"]


def _address(text: str, version: int) -> Address:
    raw = bytes.fromhex(text.removeprefix("0x"))
    return ipaddress.IPv4Address(raw) if version == 4 else ipaddress.IPv6Address(raw)
