"""Receivers of relayed datagrams in another namespace: each logs sender and payload of all that comes to one address.

Run as a program it is the receiver: it says `ready`, and when its stdin closes it writes its log, a line of JSON each.
"""

from __future__ import annotations

import contextlib
import dataclasses
import ipaddress
import json
import select
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator

import deadline
import namespaces

_SO_RCVBUFFORCE = 33


@dataclasses.dataclass(frozen=True, slots=True)
class Datagram:
    """One that came."""

    sender: str
    port: int
    payload: bytes


class DatagramLog:
    """A running receiver."""

    def __init__(self, process: subprocess.Popen[str], side: namespaces.Side, port: int) -> None:
        self._process, self._side, self._port = process, side, port

    def wait_still(self) -> None:
        """Until nothing waits in its socket."""
        deadline.wait_for(lambda: not self._waiting(), "a receiver to take all")

    def _waiting(self) -> bool:
        listed = self._side.run("ss", "-ulnH", f"sport = :{self._port}").stdout
        return any(int(line.split()[1]) for line in listed.splitlines())

    def finish(self) -> list[Datagram]:
        """Ends it, and returns all that came, in order."""
        said, _ = self._process.communicate(timeout=30)
        assert self._process.returncode == 0
        rows = (json.loads(line) for line in said.splitlines())
        return [Datagram(sender, port, bytes.fromhex(payload)) for sender, port, payload in rows]


@contextlib.contextmanager
def datagram_log(side: namespaces.Side, address: str, port: int) -> Iterator[DatagramLog]:
    """A receiver on this side; a group is joined on its interface."""
    arguments = (side.interface, address, str(port))
    process = side.start(sys.executable, __file__, *arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "ready\n"
        yield DatagramLog(process, side, port)
    finally:
        process.kill()
        process.communicate()


def _receive(interface: str, address: str, port: int) -> None:
    parsed = ipaddress.ip_address(address)
    family = socket.AF_INET if parsed.version == 4 else socket.AF_INET6
    opened = socket.socket(family, socket.SOCK_DGRAM)
    opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 64 << 20)
    index = socket.if_nametoindex(interface)
    opened.bind((address, port) if parsed.version == 4 else (address, port, 0, index))
    if parsed.is_multicast and parsed.version == 4:
        opened.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, struct.pack("=4s4xi", parsed.packed, index))
    elif parsed.is_multicast:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, parsed.packed + struct.pack("=I", index))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    log = []
    while True:
        readable = select.select([opened, sys.stdin], [], [])[0]
        if opened in readable:
            payload, sender = opened.recvfrom(65_536)
            log.append((sender[0], sender[1], payload.hex()))
        elif sys.stdin in readable:
            break
    sys.stdout.writelines(json.dumps(row) + "\n" for row in log)


if __name__ == "__main__":
    _receive(sys.argv[1], sys.argv[2], int(sys.argv[3]))
