"""Frames as they are to go out: with an Ethernet header where they had another, to other groups, from another sender.

Checksums are corrected by what changes (RFC 1624): one that was right stays right, one that was wrong stays wrong, and
a UDP checksum of 0, which says that there is none, stays 0. Other frames than IPv4 are left as they are.
"""

import ipaddress
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from nanotape.capture.errors import ReplayUsageError

ETHERNET, RAW_IP, LINUX_SLL, LINUX_SLL2 = 1, 101, 113, 276

_MAP = re.compile(r"(?P<group>[0-9.]+)(:(?P<port>\d+))?=(?P<new_group>[0-9.]+)(:(?P<new_port>\d+))?")
_VLAN_TYPES = (0x8100, 0x88A8, 0x9100)
_IPV4, _IPV6, _UDP = 0x0800, 0x86DD, 17
_BROADCAST = b"\xff" * 6
_OFFSET = 0x1FFF
_COOKED_TYPE_AT = {LINUX_SLL: (16, 14), LINUX_SLL2: (20, 0)}
_U16 = struct.Struct(">H")


@dataclass(frozen=True, slots=True)
class AddressMap:
    """Datagrams to a group and port go to another."""

    group: bytes
    port: int | None
    """None: any, and it stays as it is."""
    new_group: bytes
    new_port: int | None

    @classmethod
    def parse(cls, text: str) -> "AddressMap":
        """Reads `239.1.1.1:5000=239.9.9.9:6000`, or without ports.

        Raises:
            ReplayUsageError: It is neither.
        """
        match = _MAP.fullmatch(text)
        if match is None:
            raise ReplayUsageError(f"map: expected GROUP:PORT=GROUP:PORT or GROUP=GROUP, found {text!r}")
        group, new_group = (_group(match[name], text) for name in ("group", "new_group"))
        port, new_port = (_port(match[name], text) for name in ("port", "new_port"))
        if (port is None) != (new_port is None):
            raise ReplayUsageError(f"map: expected a port on both sides or on none, found {text!r}")
        return cls(group, port, new_group, new_port)


class FrameRewriting:
    """Rewrites Ethernet frames."""

    def __init__(self, maps: Sequence[AddressMap] = (), source_ip: str | None = None) -> None:
        """Prepares it.

        Args:
            maps: The first that fits is taken. Later fragments have no port: the first of their group is.
            source_ip: All that maps let through or change comes from this address; None: from where it came.

        Raises:
            ReplayUsageError: source_ip is no IPv4 address.
        """
        self._maps = tuple(maps)
        self._groups = {each.group for each in maps}
        try:
            self._source = ipaddress.IPv4Address(source_ip).packed if source_ip is not None else None
        except ValueError:
            raise ReplayUsageError(f"source-ip: expected an IPv4 address, found {source_ip!r}") from None

    def rewrite(self, frame: bytes) -> bytes:
        """The frame with its addresses, MAC address, ports and checksums as they shall be."""
        ip = _ipv4_at(frame)
        if ip is None:
            return frame
        group = frame[ip + 16 : ip + 20]
        if self._source is None and group not in self._groups:
            return frame
        udp = ip + (frame[ip] & 15) * 4
        is_later = bool(_U16.unpack_from(frame, ip + 6)[0] & _OFFSET)
        has_ports = frame[ip + 9] == _UDP and not is_later and len(frame) >= udp + 8
        changed = bytearray(frame)
        found = self._map(group, _U16.unpack_from(frame, udp + 2)[0] if has_ports else None, is_later)
        if found is not None:
            changed[0:6] = group_mac(found.new_group)
            changed[ip + 16 : ip + 20] = found.new_group
            if has_ports and found.new_port is not None:
                _U16.pack_into(changed, udp + 2, found.new_port)
        if self._source is not None:
            changed[ip + 12 : ip + 16] = self._source
        _correct(changed, frame, ip + 10, ((ip + 12, ip + 20),))
        if has_ports and (frame[udp + 6] or frame[udp + 7]):
            _correct(changed, frame, udp + 6, ((ip + 12, ip + 20), (udp, udp + 4)))
            if not (changed[udp + 6] or changed[udp + 7]):
                changed[udp + 6 : udp + 8] = b"\xff\xff"  # 0 would say that there is none
        return bytes(changed)

    def _map(self, group: bytes, port: int | None, is_later: bool) -> AddressMap | None:
        for each in self._maps:
            if each.group == group and (is_later or each.port is None or each.port == port):
                return each
        return None


def as_ethernet(link_type: int, frame: bytes, source_mac: bytes) -> bytes | None:
    """The frame with an Ethernet header; None: it has another that none can be made of.

    Args:
        link_type: LINKTYPE_* of the frame: Ethernet, Linux cooked of either version, or raw IP.
        frame: The frame.
        source_mac: Of the header that is made.
    """
    if link_type == ETHERNET:
        return frame
    if link_type == RAW_IP:
        version = frame[0] >> 4 if frame else 0
        kind, begin = {4: _IPV4, 6: _IPV6}.get(version, 0), 0
    elif link_type in _COOKED_TYPE_AT and len(frame) >= _COOKED_TYPE_AT[link_type][0]:
        begin, at = _COOKED_TYPE_AT[link_type]
        kind = _U16.unpack_from(frame, at)[0]
    else:
        return None
    if kind < 0x600:  # a length, or one of Linux's own kinds
        return None
    destination = _BROADCAST
    if kind == _IPV4 and len(frame) >= begin + 20 and frame[begin + 16] >> 4 == 14:
        destination = group_mac(frame[begin + 16 : begin + 20])
    return destination + source_mac + _U16.pack(kind) + frame[begin:]


def group_mac(group: bytes) -> bytes:
    """The MAC address of an IPv4 group (RFC 1112)."""
    return b"\x01\x00\x5e" + bytes([group[1] & 0x7F]) + group[2:]


def _ipv4_at(frame: bytes) -> int | None:
    """Where the IPv4 header begins; None: there is no whole one."""
    at = 12
    while len(frame) >= at + 2:
        kind = _U16.unpack_from(frame, at)[0]
        at += 2
        if kind not in _VLAN_TYPES:
            whole = kind == _IPV4 and len(frame) >= at + 20 and frame[at] >> 4 == 4 and frame[at] & 15 >= 5
            return at if whole and len(frame) >= at + (frame[at] & 15) * 4 else None
        at += 2
    return None


def _correct(changed: bytearray, before: bytes, at: int, spans: Sequence[tuple[int, int]]) -> None:
    """Corrects a checksum for what is changed in these spans: HC' = ~(~HC + ~m + m')."""
    total = ~_U16.unpack_from(before, at)[0] & 0xFFFF
    for begin, end in spans:
        for word in range(begin, end, 2):
            total += (~_U16.unpack_from(before, word)[0] & 0xFFFF) + _U16.unpack_from(changed, word)[0]
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    _U16.pack_into(changed, at, ~total & 0xFFFF)


def _group(text: str, whole: str) -> bytes:
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        address = ipaddress.IPv4Address(0)
    if not address.is_multicast:
        raise ReplayUsageError(f"map: expected IPv4 multicast groups on both sides, found {text} in {whole!r}")
    return address.packed


def _port(text: str | None, whole: str) -> int | None:
    if text is None:
        return None
    if not 1 <= int(text) <= 65535:
        raise ReplayUsageError(f"map: expected ports of 1 to 65535, found {text} in {whole!r}")
    return int(text)
