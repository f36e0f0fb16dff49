"""Memberships of multicast groups, held by plain UDP sockets for as long as a `with` lasts. They receive nothing.

The kernel leaves the groups when the sockets close, however this process ends.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from nanotape.capture.errors import DiscoverError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_JOIN_GROUP, _JOIN_SOURCE_GROUP = 42, 46  # MCAST_JOIN_GROUP, MCAST_JOIN_SOURCE_GROUP of linux/in.h, for both families


@dataclass(frozen=True, slots=True)
class Membership:
    """A group, from any sender or from one."""

    group: Address
    source: Address | None = None

    @classmethod
    def parse(cls, text: str) -> Membership:
        """Reads `233.252.0.1` or `198.51.100.7@233.252.0.1`, IPv6 likewise.

        Raises:
            DiscoverError: it is neither.
        """
        source, at, group = text.rpartition("@")
        try:
            parsed = cls(ipaddress.ip_address(group), ipaddress.ip_address(source) if at else None)
        except ValueError:
            parsed = None
        if parsed is None or not parsed.group.is_multicast:
            raise DiscoverError(
                f"--join: expected GROUP or SOURCE@GROUP with a multicast group, as in 233.252.0.1, found {text!r}"
            )
        if parsed.source is not None and (parsed.source.version != parsed.group.version or parsed.source.is_multicast):
            raise DiscoverError(
                f"--join: expected a sender's unicast IPv{parsed.group.version} address before the @, found {text!r}"
            )
        return parsed

    def __str__(self) -> str:
        """As `parse` reads it."""
        return f"{self.group}" if self.source is None else f"{self.source}@{self.group}"

    def request(self, interface_index: int) -> tuple[int, int, bytes]:
        """Level, option and argument of the setsockopt call."""
        level = socket.IPPROTO_IP if self.group.version == 4 else socket.IPPROTO_IPV6
        start = struct.pack("=I4x", interface_index) + _sockaddr(self.group)
        if self.source is None:
            return level, _JOIN_GROUP, start
        return level, _JOIN_SOURCE_GROUP, start + _sockaddr(self.source)


def _sockaddr(address: Address) -> bytes:
    """A sockaddr_storage: family, port 0, address."""
    if address.version == 4:
        return struct.pack("=HH4s120x", socket.AF_INET, 0, address.packed)
    return struct.pack("=HHI16sI100x", socket.AF_INET6, 0, 0, address.packed, 0)


class Memberships:
    """Joins when made, each group by a socket of its own, since a socket holds only so many; leaves at `close`."""

    def __init__(self, interface: str, wanted: Sequence[Membership]) -> None:
        """Joins them all, or none.

        Raises:
            DiscoverError: no such interface, or the kernel refused a group.
        """
        self._sockets: list[socket.socket] = []
        try:
            for membership in dict.fromkeys(wanted):
                self._sockets.append(_join(interface, membership))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Leaves all groups; a second time nothing."""
        while self._sockets:
            self._sockets.pop().close()

    def __enter__(self) -> Memberships:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leaves all groups."""
        self.close()


def _join(interface: str, membership: Membership) -> socket.socket:
    family = socket.AF_INET if membership.group.version == 4 else socket.AF_INET6
    opened = None
    try:
        index = socket.if_nametoindex(interface)
        opened = socket.socket(family, socket.SOCK_DGRAM)
        opened.setsockopt(*membership.request(index))
    except OSError as error:
        if opened is not None:
            opened.close()
        raise DiscoverError(f"{interface}: cannot join {membership}: {_reason(error)}") from None
    return opened


def _reason(error: OSError) -> str:
    if error.errno in (errno.ENODEV, errno.EADDRNOTAVAIL, errno.EINVAL):
        return "the interface carries no multicast of this family (an MTU below 1280 keeps IPv6 out)"
    return error.strerror or str(error)
