"""The XDP program's choice (native/xdp/select.bpf.c) once more, in Python: the oracle for real frames."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from ipaddress import ip_address

TAGS = (0x8100, 0x88A8)
EXTENSIONS = (0, 60, 44)  # hop-by-hop, destination options, fragment
FRAGMENT, UDP = 44, 17


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Target:
    """Where a UDP packet goes; a later fragment has port 0."""

    group: str
    port: int
    vlan: int | None


class _NotSelectable(Exception):
    pass


def target_of(frame: bytes) -> Target | None:
    """Where the frame goes, or None where the program would not look further."""
    try:
        return _target(frame)
    except _NotSelectable:
        return None


def multicast_targets(frames: Iterable[bytes]) -> list[Target]:
    """The multicast groups, ports and VLANs that a configuration of these frames names, in order."""
    found = {target for target in map(target_of, frames) if target is not None and target.port}
    return sorted(target for target in found if ip_address(target.group).is_multicast)


def is_selected(frame: bytes, flows: Iterable[Target]) -> bool:
    """Whether the frame belongs to one of the flows; a later fragment to any of its group and VLAN."""
    target = target_of(frame)
    if target is None:
        return False
    if target.port:
        return target in flows
    return any((flow.group, flow.vlan) == (target.group, target.vlan) for flow in flows)


def _number(frame: bytes, at: int, size: int) -> int:
    if at + size > len(frame):
        raise _NotSelectable
    return int.from_bytes(frame[at : at + size], "big")


def _target(frame: bytes) -> Target | None:
    kind, at, vlan = _number(frame, 12, 2), 14, None
    for _ in range(2):
        if kind not in TAGS:
            break
        vlan = vlan or _number(frame, at, 2) & 0xFFF or None  # 0 is a priority, no VLAN
        kind, at = _number(frame, at + 2, 2), at + 4
    if kind == 0x0800:
        group, port = _ipv4(frame, at)
    elif kind == 0x86DD:
        group, port = _ipv6(frame, at)
    else:
        return None
    return Target(group, port, vlan)


def _port(frame: bytes, at: int) -> int:
    if at + 8 > len(frame) or not _number(frame, at + 2, 2):
        raise _NotSelectable
    return _number(frame, at + 2, 2)


def _ipv4(frame: bytes, at: int) -> tuple[str, int]:
    header = frame[at : at + 20]
    if len(header) < 20 or header[9] != UDP or header[0] >> 4 != 4 or header[0] & 15 < 5:
        raise _NotSelectable
    later = _number(header, 6, 2) & 0x1FFF
    return str(ip_address(header[16:20])), 0 if later else _port(frame, at + (header[0] & 15) * 4)


def _ipv6(frame: bytes, at: int) -> tuple[str, int]:
    header = frame[at : at + 40]
    if len(header) < 40 or header[0] >> 4 != 6:
        raise _NotSelectable
    group, following, at = str(ip_address(header[24:40])), header[6], at + 40
    for _ in range(4):
        if following not in EXTENSIONS:
            break
        kind, following = following, _number(frame, at, 8) >> 56
        if kind == FRAGMENT and _number(frame, at + 2, 2) & 0xFFF8:
            if following != UDP:
                raise _NotSelectable
            return group, 0
        at += 8 if kind == FRAGMENT else (frame[at + 1] + 1) * 8
    if following != UDP:
        raise _NotSelectable
    return group, _port(frame, at)
