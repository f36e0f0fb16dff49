"""Who is at the other end of a Unix socket, and whether it may steer: as the kernel tells, not as it says itself."""

import array
import contextlib
import os
import socket
import struct
from dataclasses import dataclass

_SO_PEERGROUPS = 59
_GROUPS_BYTES = 1024  # as much as Python asks for: 256 groups
_CREDENTIALS = struct.Struct("3i")


@dataclass(frozen=True, slots=True)
class Peer:
    """A process that has connected, as it was then."""

    pid: int
    uid: int
    groups: frozenset[int]
    """Its own and the supplementary ones."""


def peer_of(connection: socket.socket) -> Peer:
    """Who has connected.

    Raises:
        OSError: The kernel does not say.
    """
    pid, uid, gid = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    groups = array.array("I")
    with contextlib.suppress(OSError):  # more groups than that: its own counts
        groups.frombytes(connection.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _GROUPS_BYTES))
    return Peer(pid, uid, frozenset((gid, *groups)))


def may_steer(peer: Peer, gid: int, own_uid: int | None = None) -> bool:
    """Root, the service's own user, and members of the group.

    Args:
        peer: Who asks.
        gid: The group.
        own_uid: None: that of this process.
    """
    return peer.uid in (0, os.geteuid() if own_uid is None else own_uid) or gid in peer.groups
