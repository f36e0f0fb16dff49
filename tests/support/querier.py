"""A multicast router on the other side of a wire: asks by IGMPv2, IGMPv3 and MLDv2 queries, hears what is answered.

Run as a program it does so in its namespace: a frame to send comes in as a line of hexadecimal digits, each record of a
report goes out as a line of JSON. Formats: RFC 2236, RFC 3376, RFC 3810.
"""

from __future__ import annotations

import contextlib
import dataclasses
import ipaddress
import json
import os
import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

import namespaces

GENERAL_GROUP, ALL_NODES = "224.0.0.1", "ff02::1"
ROUTER_ADDRESS, ROUTER_LINK_LOCAL = "10.211.0.1", "fe80::1"
_IGMP, _MLD_QUERY, _MLD1_REPORT, _MLD2_REPORT = 2, 130, 131, 143
_ETH_P_ALL = 3
_KINDS = ("", "is_include", "is_exclude", "to_include", "to_exclude", "allow", "block")
"""Of a group record, RFC 3376 4.2.12."""


@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """One record of a report."""

    protocol: str
    """igmp2, igmp3, mld1 or mld2."""
    kind: str
    """Of a version 3 record: see `_KINDS`; of version 2 `report` or `leave`."""
    group: str
    sources: tuple[str, ...] = ()


def igmp2_query(group: str | None = None, tenths: int = 3) -> bytes:
    """A frame that asks for one group, or for all; answered within so many tenths of a second."""
    return _ipv4(group, struct.pack(">BBH4s", 0x11, tenths, 0, _packed(group or "0.0.0.0")))


def igmp3_query(group: str | None = None, sources: Sequence[str] = (), tenths: int = 3) -> bytes:
    """The same of version 3, also for some sources of a group."""
    head = struct.pack(">BBH4sBBH", 0x11, tenths, 0, _packed(group or "0.0.0.0"), 2, 125, len(sources))
    return _ipv4(group, head + b"".join(map(_packed, sources)))


def mld2_query(group: str | None = None, sources: Sequence[str] = (), milliseconds: int = 300) -> bytes:
    """The same of MLDv2."""
    head = struct.pack(">BBHHH16sBBH", _MLD_QUERY, 0, 0, milliseconds, 0, _packed(group or "::"), 2, 125, len(sources))
    body = head + b"".join(map(_packed, sources))
    source, target = _packed(ROUTER_LINK_LOCAL), _packed(group or ALL_NODES)
    checksum = _checksum(source + target + struct.pack(">II", len(body), 58) + body)
    body = body[:2] + struct.pack(">H", checksum) + body[4:]
    router_alert = bytes((58, 0, 5, 2, 0, 0, 1, 0))
    header = struct.pack(">IHBB", 6 << 28, len(router_alert) + len(body), 0, 1) + source + target
    return b"\x33\x33" + target[-4:] + bytes((2, 0, 0, 0, 0, 1)) + b"\x86\xdd" + header + router_alert + body


def _ipv4(group: str | None, message: bytes) -> bytes:
    target = _packed(group or GENERAL_GROUP)
    message = message[:2] + struct.pack(">H", _checksum(message)) + message[4:]
    header = struct.pack(">BBHHHBBH", 0x46, 0xC0, 24 + len(message), 0, 0, 1, _IGMP, 0) + _packed(ROUTER_ADDRESS)
    header += target + bytes((0x94, 4, 0, 0))  # router alert
    header = header[:10] + struct.pack(">H", _checksum(header)) + header[12:]
    mac = b"\x01\x00\x5e" + bytes((target[1] & 0x7F, target[2], target[3]))
    return mac + bytes((2, 0, 0, 0, 0, 1)) + b"\x08\x00" + header + message


def _packed(address: str) -> bytes:
    return ipaddress.ip_address(address).packed


def _checksum(data: bytes) -> int:
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def reports_of(frame: bytes) -> list[Report]:
    """What a frame reports; nothing where it is none."""
    ether_type, packet = frame[12:14], frame[14:]
    if ether_type == b"\x08\x00" and packet[9] == _IGMP:
        return _of_igmp(packet[(packet[0] & 15) * 4 :])
    if ether_type == b"\x86\xdd" and packet[6] == 0 and packet[40] == 58:  # behind a hop-by-hop header
        return _of_mld(packet[40 + 8 * (packet[41] + 1) :])
    return []


def _of_igmp(message: bytes) -> list[Report]:
    if message[0] == 0x22:
        return list(_records("igmp3", message, 4))
    kind = {0x16: "report", 0x17: "leave"}.get(message[0])
    return [Report("igmp2", kind, socket.inet_ntop(socket.AF_INET, message[4:8]))] if kind else []


def _of_mld(message: bytes) -> list[Report]:
    if message[0] == _MLD2_REPORT:
        return list(_records("mld2", message, 16))
    if message[0] == _MLD1_REPORT:
        return [Report("mld1", "report", socket.inet_ntop(socket.AF_INET6, message[8:24]))]
    return []


def _records(protocol: str, message: bytes, width: int) -> Iterator[Report]:
    at = 8
    for _ in range(struct.unpack_from(">H", message, 6)[0]):
        kind, auxiliary, count = struct.unpack_from(">BBH", message, at)
        addresses = [
            str(ipaddress.ip_address(message[start : start + width]))
            for start in range(at + 4, at + 4 + width * (count + 1), width)
        ]
        yield Report(protocol, _KINDS[kind], addresses[0], tuple(addresses[1:]))
        at += 4 + width * (count + 1) + 4 * auxiliary


class Querier:
    """A running one."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._said = b""
        assert process.stdout
        os.set_blocking(process.stdout.fileno(), False)

    def send(self, frame: bytes) -> None:
        """Sends a query."""
        assert self._process.stdin
        self._process.stdin.write(frame.hex() + "\n")
        self._process.stdin.flush()

    def heard(self) -> list[Report]:
        """All reports since the last `forget`."""
        assert self._process.stdout
        with contextlib.suppress(BlockingIOError):
            while more := os.read(self._process.stdout.fileno(), 65_536):
                self._said += more
        lines = self._said.rpartition(b"\n")[0].split(b"\n")
        told = (json.loads(line) for line in lines if line)
        return [Report(each["protocol"], each["kind"], each["group"], tuple(each["sources"])) for each in told]

    def forget(self) -> None:
        """From now on only what is still to come counts."""
        self.heard()
        self._said = b""

    def wait_for(self, *wanted: Report, seconds: float = 30.0) -> list[Report]:
        """Until all of these were heard; returns all that was."""
        end = time.monotonic() + seconds
        while not set(wanted) <= set(heard := self.heard()):
            assert time.monotonic() < end, f"waited {seconds:g} s for {wanted}, heard {heard}"
            select.select([self._process.stdout], [], [], 0.05)
        return heard

    def ask(self, query: bytes, *answers: Report, tries: int = 8) -> list[Report]:
        """Sends a query, again where it is not answered within seconds, as a router does: either may be lost on a wire.

        Returns:
            All that was heard since.
        """
        self.forget()
        for _ in range(tries - 1):
            self.send(query)
            with contextlib.suppress(AssertionError):
                return self.wait_for(*answers, seconds=4)
        self.send(query)
        return self.wait_for(*answers, seconds=4)


@contextlib.contextmanager
def querier(side: namespaces.Side) -> Iterator[Querier]:
    """One on this side; it hears what the other side sends."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = side.start(sys.executable, __file__, side.interface, **pipes)
    try:
        assert process.stdout.readline() == "ready\n"
        yield Querier(process)
    finally:
        process.kill()
        process.communicate()


def _listen(interface: str) -> None:
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
    wire.bind((interface, _ETH_P_ALL))
    sys.stdout.write("ready\n")
    while True:
        sys.stdout.flush()
        readable = select.select([wire, sys.stdin], [], [])[0]
        if sys.stdin in readable:
            line = sys.stdin.readline()
            if not line:
                return
            wire.send(bytes.fromhex(line))
        if wire in readable:
            with contextlib.suppress(OSError):  # told once when the interface goes down
                frame, where = wire.recvfrom(65_536)
                is_ours = where[2] == socket.PACKET_OUTGOING
                for report in reports_of(frame) if not is_ours else ():
                    sys.stdout.write(json.dumps(dataclasses.asdict(report)) + "\n")


if __name__ == "__main__":
    _listen(sys.argv[1])
