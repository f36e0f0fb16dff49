"""The lines of a simulated exchange and what they are to do wrong, as a user gives them: checked before any is sent."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
import socket
from collections.abc import Sequence
from typing import ClassVar, Self

from nanotape.capture.errors import SimulationUsageError
from nanotape.native import lib

_LINE = re.compile(r"(?P<name>[A-Za-z0-9_-]{1,15})=(?P<group>[0-9.]+):(?P<port>[0-9]+)(@(?P<interface>[^@]+))?")
_FAULT = re.compile(r"(?P<line>[^:]+):(?P<first>[0-9]+):(?P<packets>[0-9]+)")


@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    """One of the lines that carry the same stream."""

    name: str
    group: str
    port: int
    interface: str
    delay_ns: int = 0
    """How far it lags behind the schedule."""
    ttl: int = 1
    loop: bool | None = None
    """Whether receivers on this host get it too; None: on `lo` only."""

    @classmethod
    def parse(cls, text: str, interface: str) -> Line:
        """Reads `A=239.192.0.1:31001` or `A=239.192.0.1:31001@eth1`.

        Raises:
            SimulationUsageError: it is neither.
        """
        match = _LINE.fullmatch(text)
        if match is None:
            raise SimulationUsageError(f"line: expected NAME=GROUP:PORT or NAME=GROUP:PORT@INTERFACE, found {text!r}")
        return cls(match["name"], match["group"], int(match["port"]), match["interface"] or interface)

    @property
    def interface_index(self) -> int:
        """Of its interface, in this network namespace.

        Raises:
            SimulationUsageError: there is none.
        """
        try:
            return socket.if_nametoindex(self.interface)
        except OSError:
            found = ", ".join(name for _, name in socket.if_nameindex())
            raise SimulationUsageError(f"line {self.name}: no interface {self.interface} here; found {found}") from None


@dataclasses.dataclass(frozen=True, slots=True)
class LineFault:
    """Something that a line does wrong on purpose, from datagram `first_packet` on. The first datagram is 1."""

    line: str
    first_packet: int
    packets: int

    name: ClassVar[str] = "fault"
    form: ClassVar[str] = "LINE:FIRST_PACKET:PACKETS"
    example: ClassVar[str] = "A:1000:5"
    more: ClassVar[int] = 0
    """Datagrams of its span that `packets` does not count."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads `A:1000:5`.

        Raises:
            SimulationUsageError: it is something else.
        """
        match = _FAULT.fullmatch(text)
        if match is None:
            raise SimulationUsageError(f"{cls.name}: expected {cls.form}, as in {cls.example}, found {text!r}")
        return cls(match["line"], int(match["first"]), int(match["packets"]))


class Gap(LineFault):
    """Datagrams made and not sent: `A:1000:5`, on line A five from number 1000 on."""

    __slots__ = ()
    name = "gap"


class Duplicate(LineFault):
    """Datagrams sent twice, each right after itself."""

    __slots__ = ()
    name = "duplicate"


class Reorder(LineFault):
    """The datagram `first_packet`, sent after the `packets` that follow it."""

    __slots__ = ()
    name = "reorder"
    form = "LINE:PACKET:BY"
    more = 1


def check(lines: Sequence[Line], faults: Sequence[LineFault]) -> None:
    """Refuses what cannot be sent, or cannot be meant.

    Raises:
        SimulationUsageError: says what and why.
    """
    names = [line.name for line in lines]
    if not 1 <= len(lines) <= lib.NT_SENDER_LINES_MAX:
        raise SimulationUsageError(f"expected 1 to {lib.NT_SENDER_LINES_MAX} lines, found {len(lines)}")
    for line in lines:
        if names.count(line.name) > 1:
            raise SimulationUsageError(f"line {line.name}: given twice; each line needs its own name")
        _check_line(line)
    for fault in faults:
        _check_fault(fault, names)
    for late in (fault for fault in faults if isinstance(fault, Reorder)):
        _check_late(late, faults)


def _check_line(line: Line) -> None:
    try:
        multicast = ipaddress.IPv4Address(line.group).is_multicast
    except ValueError:
        multicast = False
    if not multicast:
        raise SimulationUsageError(
            f"line {line.name}: expected an IPv4 multicast group (224.0.0.0 to 239.255.255.255), found {line.group}"
        )
    if not 1 <= line.port <= 65535:
        raise SimulationUsageError(f"line {line.name}: expected a port of 1 to 65535, found {line.port}")
    if not 0 <= line.ttl <= 255:
        raise SimulationUsageError(f"line {line.name}: expected a TTL of 0 to 255, found {line.ttl}")
    if not 0 <= line.delay_ns <= 60 * 10**9:
        raise SimulationUsageError(f"line {line.name}: expected a delay of 0 to 60 s, found {line.delay_ns} ns")


def _check_fault(fault: LineFault, names: Sequence[str]) -> None:
    if fault.line not in names:
        raise SimulationUsageError(f"{fault.name} on line {fault.line}: no such line; the lines are {', '.join(names)}")
    if not (1 <= fault.first_packet < 2**62 and 1 <= fault.packets < 2**62):
        raise SimulationUsageError(
            f"{fault.name} {fault.line}:{fault.first_packet}:{fault.packets}: "
            "expected a first packet of at least 1 and a count of at least 1"
        )


def _check_late(late: Reorder, faults: Sequence[LineFault]) -> None:
    for other in faults:
        if other is late or other.line != late.line or isinstance(other, Reorder):
            continue
        if other.first_packet <= late.first_packet < other.first_packet + other.packets:
            raise SimulationUsageError(
                f"reorder {late.line}:{late.first_packet}:{late.packets}: packet {late.first_packet} is in a "
                f"{other.name} too; expected one fault a packet"
            )
