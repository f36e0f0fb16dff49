"""What the kernel says of an interface by its number (rtnetlink(7)): name, XDP program, IPv4 addresses.

Needs no privilege; an interface keeps its number whatever it is called. None: cannot be learned.
"""

import contextlib
import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

_HEADER, _LINK, _ADDRESS, _ATTRIBUTE = struct.Struct("=IHHII"), struct.Struct("=BxHiII"), struct.Struct("=BBBBI"), "=HH"
_REQUEST, _DUMP = 1, 0x300
_ERROR, _DONE = 2, 3
_NEW_LINK, _GET_LINK, _NEW_ADDRESS, _GET_ADDRESS = 16, 18, 20, 22
_IFLA_IFNAME, _IFLA_XDP, _IFA_LOCAL, _TYPE_MASK = 3, 43, 2, 0x3FFF
_XDP_PROGRAMS = (4, 5, 6, 7)  # IFLA_XDP_PROG_ID, and those of driver, generic and hardware mode
_TIMEOUT_S = 1.0
_ANSWER_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class InterfaceFacts:
    """One interface at one moment."""

    name: str
    """As it is called now."""
    xdp_id: int
    """Of the XDP program that is attached; 0: none. A kernel never gives an id twice in a short time."""
    addresses: tuple[str, ...]
    """IPv4, with the length of their prefix."""


def interface_facts(index: int) -> InterfaceFacts | None:
    """Asks for the interface of a number; None: there is none, or the kernel cannot be asked."""
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as asked:
            asked.settimeout(_TIMEOUT_S)
            link = next(_answers(asked, _GET_LINK, _REQUEST, _LINK.pack(0, 0, index, 0, 0)), None)
            if link is None or link[0] != _NEW_LINK:
                return None
            found = dict(_attributes(link[1][_LINK.size :]))
            wanted = _ADDRESS.pack(socket.AF_INET, 0, 0, 0, 0)
            told = [answer for kind, answer in _answers(asked, _GET_ADDRESS, _REQUEST | _DUMP, wanted)]
    except OSError:
        return None
    name = found.get(_IFLA_IFNAME, b"").rstrip(b"\0")
    return InterfaceFacts(os.fsdecode(name), _xdp_id(found.get(_IFLA_XDP, b"")), _addresses(told, index))


def _answers(asked: socket.socket, kind: int, flags: int, wanted: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and content of each message of the answer; nothing after an error."""
    asked.send(_HEADER.pack(_HEADER.size + len(wanted), kind, flags, 1, 0) + wanted)
    while True:
        answer = asked.recv(_ANSWER_BYTES)
        while len(answer) >= _HEADER.size:
            length, answered, _, _, _ = _HEADER.unpack_from(answer)
            if answered in (_ERROR, _DONE) or length < _HEADER.size:
                return
            yield answered, answer[_HEADER.size : length]
            answer = answer[(length + 3) & ~3 :]
        if not flags & _DUMP:
            return


def _attributes(content: bytes) -> Iterator[tuple[int, bytes]]:
    while len(content) >= 4:
        length, kind = struct.unpack_from(_ATTRIBUTE, content)
        if length < 4:
            return
        yield kind & _TYPE_MASK, content[4:length]
        content = content[(length + 3) & ~3 :]


def _xdp_id(nested: bytes) -> int:
    found = dict(_attributes(nested))
    ids = (struct.unpack("=I", found[kind])[0] for kind in _XDP_PROGRAMS if len(found.get(kind, b"")) == 4)
    return int(next((each for each in ids if each), 0))


def _addresses(told: list[bytes], index: int) -> tuple[str, ...]:
    found = []
    for answer in told:
        _, prefix_bits, _, _, of_index = _ADDRESS.unpack_from(answer)
        local = dict(_attributes(answer[_ADDRESS.size :])).get(_IFA_LOCAL, b"")
        if of_index == index:
            with contextlib.suppress(ValueError):
                found.append(f"{socket.inet_ntop(socket.AF_INET, local)}/{prefix_bits}")
    return tuple(sorted(found))
