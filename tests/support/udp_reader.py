"""A trading application as others write it: a plain UDP socket that reads a group, in a process of its own.

It says when its socket stands, counts what it receives and tells when its stdin closes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator

import deadline
import namespaces

# 4242: the port that `send` sends from.
PROGRAM = """
import ipaddress, json, os, select, socket, sys
wanted, user, name = json.loads(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
if name:
    open("/proc/self/comm", "w").write(name)
if user:
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)
six = wanted["family"] == 6
reader = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
reader.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
if six:
    reader.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, wanted["v6_only"])
if wanted["device"]:
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, wanted["device"].encode())
reader.bind((wanted["bind"], wanted["port"]))
if wanted["join"]:
    group, index = ipaddress.ip_address(wanted["join"]).packed, socket.if_nametoindex(wanted["interface"])
    if len(group) == 16:
        member = group + index.to_bytes(4, sys.byteorder)
        reader.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, member)
    else:
        member = group + bytes(4) + index.to_bytes(4, sys.byteorder)
        reader.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
if wanted["connect"]:
    reader.connect((wanted["connect"], 4242))
print("ready", flush=True)
count = 0
while True:
    readable = select.select([reader, sys.stdin], [], [])[0]
    if reader in readable:
        reader.recv(65536)
        count += 1
        print(count, flush=True)
    elif sys.stdin in readable:
        break
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Socket:
    """How the application opens its socket."""

    bind: str = "239.1.1.1"
    port: int = 15000
    join: str | None = "239.1.1.1"
    interface: str = "veth-r"
    """Where it joins."""
    device: str | None = None
    """That it is bound to."""
    connect: str | None = None
    family: int = 4
    v6_only: bool = False


class Reader:
    """A running application."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._said = b""
        assert process.stdout
        os.set_blocking(process.stdout.fileno(), False)

    @property
    def received(self) -> int:
        """Packets so far."""
        assert self.process.stdout
        with contextlib.suppress(BlockingIOError):
            self._said += os.read(self.process.stdout.fileno(), 65536)
        whole = self._said.rpartition(b"\n")[0]
        return int(whole.split()[-1]) if whole else 0

    def wait_for(self, count: int) -> None:
        """Waits until it has received so many packets."""
        deadline.wait_for(lambda: self.received >= count, f"an application to receive {count} packets")

    def finish(self) -> int:
        """Ends it, and returns how many packets it has received."""
        said, _ = self.process.communicate(timeout=30)
        assert self.process.returncode == 0
        self._said += said.encode()
        return int(self._said.split()[-1]) if self._said else 0


@contextlib.contextmanager
def udp_reader(side: namespaces.Side, wanted: Socket, user: int = 0, name: str = "") -> Iterator[Reader]:
    """Such an application on this side, as `user`, whose process has this name (`python3` or the like unless given)."""
    arguments = (json.dumps(dataclasses.asdict(wanted)), str(user), name)
    process = side.start(
        sys.executable, "-c", PROGRAM, *arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "ready\n"
        yield Reader(process)
    finally:
        process.kill()
        process.communicate()


def send(side: namespaces.Side, group: str, port: int, count: int) -> None:
    """Sends so many datagrams to the group out of this side's interface."""
    script = """
import socket, sys
interface, group, port, count = sys.argv[1:]
six = ":" in group
wire = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
if six:
    wire.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, socket.if_nametoindex(interface))
else:
    member = bytes(8) + socket.if_nametoindex(interface).to_bytes(4, sys.byteorder)
    wire.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, member)
wire.bind(("", 4242))
for number in range(int(count)):
    wire.sendto(b"quote %d" % number, (group, int(port)))
"""
    side.run(sys.executable, "-c", script, side.interface, group, str(port), str(count))
