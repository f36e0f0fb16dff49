"""What checks may look at: the root, the configuration's needs, the NICs, the clocks, and what was measured.

Each is given from outside, so that a recorded tree is judged as a live host is.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from nanotape.capture.host.needs import Needs
from nanotape.capture.host.root import HostRoot


@dataclass(frozen=True, slots=True)
class Pair:
    """A setting of a NIC and the most that it can be."""

    now: int
    most: int


@dataclass(frozen=True, slots=True)
class Coalescing:
    """When a NIC interrupts for packets that came."""

    adaptive: bool
    usecs: int
    frames: int


@dataclass(frozen=True, slots=True)
class FlowRule:
    """A rule that a NIC asks before it spreads packets by their hash (ntuple, `ethtool -n`)."""

    location: int
    """In the NIC's table; the lowest that matches counts."""
    queue: int | None
    """Where it sends them; None: it discards them, or wakes the host by them."""
    function: int
    """The virtual function whose queue it is, counted from 1; 0: the interface's own."""
    spreads: bool
    """Over the queues of an RSS table of its own, so that `queue` alone does not say where to."""
    family: int | None
    """4, 6; 0: it looks at Ethernet addresses; None: it is of no UDP datagrams."""
    destination: tuple[int, int]
    """Address and mask of the bits that are compared."""
    port: tuple[int, int]
    """Destination port, and mask."""

    def takes(self, group: str, port: int) -> bool:
        """Whether datagrams to a group's address and port match, whoever sends them."""
        address = ipaddress.ip_address(group)
        if self.family not in (address.version, 0):
            return False
        number = int(address) if self.family else _multicast_mac(address)
        return all((has ^ want) & mask == 0 for has, (want, mask) in ((number, self.destination), (port, self.port)))


def _multicast_mac(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> int:
    """RFC 1112: 23 bits of the group behind 01:00:5e; RFC 2464: 32 bits behind 33:33."""
    if address.version == 4:
        return 0x0100_5E00_0000 | int(address) & 0x7F_FFFF
    return 0x3333_0000_0000 | int(address) & 0xFFFF_FFFF


class NicReader(Protocol):
    """What the kernel answers about an interface, by ioctl or netlink. All raise Unreadable."""

    def rings(self, interface: str) -> Pair:
        """RX descriptors of each queue."""

    def coalescing(self, interface: str) -> Coalescing:
        """Of received packets."""

    def pause(self, interface: str) -> tuple[bool, bool]:
        """Whether it sends pause frames (rx side of ethtool: obeys them), and so on: (rx, tx)."""

    def queues(self, interface: str) -> Pair:
        """RX queues, combined ones included."""

    def spread(self, interface: str) -> Sequence[int]:
        """The RSS table: a queue for each slot of the hash; empty: it has none."""

    def hash_fields(self, interface: str) -> Sequence[str]:
        """What of a UDP datagram over IPv4 is hashed, in words."""

    def flow_rules(self, interface: str) -> Sequence[FlowRule]:
        """Rules that come before the hash, in the order in which they are asked."""

    def features(self, interface: str) -> Mapping[str, bool]:
        """Offloads, by ethtool's names."""

    def stamps_all(self, interface: str) -> tuple[bool, str]:
        """Whether the hardware can stamp every packet, and what it has."""

    def rx_filter(self, interface: str) -> str:
        """What it stamps now, such as `all`."""

    def statistics(self, interface: str) -> Mapping[str, int]:
        """Counters of its driver, by the driver's names."""

    def xdp_program(self, interface: str) -> int | None:
        """Id of the XDP program attached; None: there is none."""


@dataclass(frozen=True, slots=True)
class ClockAnswer:
    """How the clocks are."""

    is_synchronised: bool
    told: str
    """One line for the operator."""
    tai_s: int | None
    """TAI minus UTC as the kernel has it; None: nobody told it."""


@dataclass(frozen=True, slots=True)
class Captured:
    """A source of a capture that runs here."""

    ring: str
    interface: str
    kind: str
    zero_copy: bool
    skb_mode: bool
    queue: int = 0
    """RX queue that it takes."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What happened on the host over some seconds. Counts are growth, by name."""

    seconds: float
    interrupts: Mapping[str, Mapping[int, int]]
    """By number or name of /proc/interrupts, then by CPU."""
    interrupt_names: Mapping[str, str]
    softirqs: Mapping[str, Mapping[int, int]]
    steal_ticks: Mapping[int, int]
    """Hundredths of a second, by CPU."""
    nic: Mapping[tuple[str, str], int]
    """By interface and counter of /sys/class/net/IF/statistics."""
    preempted: int | None
    """Times that a capture's loop was put off its core for another thread; None: none runs, or it is not told."""
    driver: Mapping[tuple[str, str], int]
    """By interface and counter of the driver (`ethtool -S`) that tells of lost packets."""
    udp_errors: int | None
    """Datagrams lost in sockets; None: not known."""
    softnet_drops: int | None
    """Packets lost in the backlog of a CPU; None: not known."""
    smis: Mapping[int, int] = field(default_factory=dict)
    """System management interrupts, by CPU; a CPU that is not here does not tell."""
    squeezed: int | None = None
    """Times that the kernel's budget of a round of receiving ran out; None: not known."""
    disk_bytes_s: float | None = None
    """What the archive's disk took; None: not tried."""
    disk_reason: str = "not tried"
    """Why not."""

    def interrupts_on(self, cpus: Collection[int], besides: Collection[str] = ()) -> dict[str, int]:
        """Those that came on some CPUs together, by the name that people know; several rows may have the same.

        Args:
            cpus: Which.
            besides: Rows of /proc/interrupts that are left out.
        """
        found: dict[str, int] = {}
        for row, counts in self.interrupts.items():
            count = 0 if row in besides else sum(counts.get(cpu, 0) for cpu in cpus)
            if count > 0:
                name = self.interrupt_names.get(row, row)
                found[name] = found.get(name, 0) + count
        return found


@dataclass(frozen=True, slots=True)
class Host:
    """All of it."""

    root: HostRoot
    needs: Needs
    nics: NicReader
    clock: Callable[[], ClockAnswer]
    captured: tuple[Captured, ...] = ()
    """Empty: no capture runs."""
    held_pages: Mapping[int, int] = field(default_factory=dict)
    """Huge pages that rings of this host hold already, by size in bytes."""
    measured: Measured | None = None
    """None: nothing was measured."""
    free_bytes: Callable[[str], tuple[int, int]] | None = field(default=None)
    """Free and total bytes of a path's file system; None: not to be asked (a recorded tree)."""
