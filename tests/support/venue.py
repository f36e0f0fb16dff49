"""A simulated venue on one side of a wire: many groups, each a few packets a second, with tags as a trunk carries them.

Frames are written by hand onto a packet socket, since neither VLAN interfaces nor joins are to be had or wanted.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import namespaces
from frames import ethernet, ipv4, ipv6, udp

# Sends all frames, again and again, until its stdin closes; then says how often.
PROGRAM = """
import select, socket, sys
frames = [bytes.fromhex(line) for line in iter(sys.stdin.readline, "\\n")]
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
wire.bind((sys.argv[1], 0))
rounds = 0
while not select.select([sys.stdin], [], [], 1 / float(sys.argv[2]))[0]:
    for frame in frames:
        wire.send(frame)
    rounds += 1
print(rounds)
"""


@dataclass(frozen=True, slots=True)
class Group:
    """One flow of the venue."""

    source: str
    group: str
    port: int
    tags: tuple[tuple[int, int], ...] = ()
    """(type, VLAN id), outermost first."""

    def frame(self, payload: bytes) -> bytes:
        """A packet of it."""
        datagram = udp(payload, dst_port=self.port)
        if ":" in self.group:
            return ethernet(ipv6(datagram, self.source, self.group), *self.tags)
        return ethernet(ipv4(datagram, self.source, self.group), *self.tags)


def venue(count: int = 200) -> list[Group]:
    """Every group on a port of its own: of twenty, 14 plain, 3 tagged, 1 double-tagged, 1 IPv6, 1 IPv6 and tagged."""
    return [_group(number) for number in range(count)]


def _group(number: int) -> Group:
    port, kind = 15000 + number, number % 20
    tag = (0x8100, 100 + number)
    if kind >= 18:
        return Group(f"2001:db8::{1 + number % 3:x}", f"ff3e::8000:{number:x}", port, (tag,) if kind == 19 else ())
    tags = ((0x88A8, 50), tag) if kind == 17 else (tag,) if kind >= 14 else ()
    return Group(f"198.51.100.{1 + number % 3}", f"233.252.{number // 100}.{number % 100}", port, tags)


class Sending:
    """A venue that sends."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def finish(self) -> int:
        """Ends it, and returns how often each frame was sent."""
        said, _ = self._process.communicate(timeout=30)
        assert self._process.returncode == 0
        return int(said)


@contextlib.contextmanager
def sending(side: namespaces.Side, frames: Sequence[bytes], rate: float = 5.0) -> Iterator[Sending]:
    """Sends every frame `rate` times a second from this side."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = side.start(sys.executable, "-c", PROGRAM, side.interface, str(rate), **pipes)
    try:
        process.stdin.write("".join(f"{frame.hex()}\n" for frame in frames) + "\n")
        process.stdin.flush()
        yield Sending(process)
    finally:
        process.kill()
        process.communicate()
