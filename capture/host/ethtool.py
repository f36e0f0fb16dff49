"""What the kernel answers about an interface, as ethtool and `ip link` ask it. Only reads.

Numbers and layouts are those of linux/ethtool.h. What a driver does not have raises Unreadable, with its reason.
"""

from __future__ import annotations

import errno
import fcntl
import struct
from collections.abc import Mapping

from nanotape.capture.clock.hwtstamp import read_hwtstamp
from nanotape.capture.clock.phc import SIOCETHTOOL, Ioctl, ask_interface, stamp_ability
from nanotape.capture.errors import PhcUnusable
from nanotape.capture.host import ethtool_flows
from nanotape.capture.host.facts import Coalescing, FlowRule, Pair
from nanotape.capture.host.root import Unreadable

GCOALESCE, GRINGPARAM, GPAUSEPARAM, GCHANNELS = 0x0E, 0x10, 0x12, 0x3C
_RINGS = struct.Struct("=9I")  # cmd, rx_max, mini, jumbo, tx_max, rx, mini, jumbo, tx
_COALESCE = struct.Struct("=23I")  # cmd, rx_usecs, rx_frames, (8 more), use_adaptive_rx, (12 more)
_ADAPTIVE_RX_AT = 10
_PAUSE = struct.Struct("=4I")  # cmd, autoneg, rx, tx
_CHANNELS = struct.Struct("=9I")  # cmd, max rx, tx, other, combined, rx, tx, other, combined
_UNSUPPORTED = (errno.EOPNOTSUPP, errno.ENOTTY, errno.EINVAL)


class KernelNics:
    """The NICs of this host's network namespace."""

    def __init__(self, ioctl: Ioctl = fcntl.ioctl) -> None:
        """With the system call, which a test may replace."""
        self._ioctl = ioctl

    def rings(self, interface: str) -> Pair:
        """RX descriptors of each queue."""
        found = self._ask(interface, GRINGPARAM, _RINGS, "size of rings")
        return Pair(found[5], found[1])

    def coalescing(self, interface: str) -> Coalescing:
        """Of received packets."""
        found = self._ask(interface, GCOALESCE, _COALESCE, "coalescing")
        return Coalescing(bool(found[_ADAPTIVE_RX_AT]), found[1], found[2])

    def pause(self, interface: str) -> tuple[bool, bool]:
        """Whether it obeys pause frames, and whether it sends them."""
        found = self._ask(interface, GPAUSEPARAM, _PAUSE, "pause frames")
        return bool(found[2]), bool(found[3])

    def queues(self, interface: str) -> Pair:
        """RX queues, combined ones included."""
        found = self._ask(interface, GCHANNELS, _CHANNELS, "number of queues")
        return Pair(found[5] + found[8], found[1] + found[4])

    def spread(self, interface: str) -> tuple[int, ...]:
        """The RSS table: a queue for each slot of the hash."""
        return ethtool_flows.read_table(self._asking(interface))

    def hash_fields(self, interface: str) -> tuple[str, ...]:
        """What of a UDP datagram over IPv4 is hashed."""
        return ethtool_flows.read_hash_fields(self._asking(interface))

    def flow_rules(self, interface: str) -> tuple[FlowRule, ...]:
        """Rules that come before the hash."""
        return ethtool_flows.read_rules(self._asking(interface))

    def features(self, interface: str) -> Mapping[str, bool]:
        """Offloads, by ethtool's names."""
        from pyroute2.ethtool import Ethtool  # a third of a second to import

        asked = Ethtool()
        try:
            features = asked.get_features(interface).features
            return {str(name): bool(feature.enable) for name, feature in features.items()}
        except Exception as error:  # pyroute2 has no root of its errors
            raise Unreadable(f"{interface}: its offloads: {_reason(error)}") from None
        finally:
            asked.close()

    def statistics(self, interface: str) -> Mapping[str, int]:
        """Counters of its driver, by the driver's names."""
        from pyroute2.ethtool.ioctl import IoctlEthtool  # a third of a second to import

        try:
            asked = IoctlEthtool(interface)
            try:
                return {str(name): int(count) for name, count in asked.get_statistics()}
            finally:
                asked.close()
        except Exception as error:  # pyroute2 has no root of its errors
            raise Unreadable(f"{interface}: counters of its driver: {_reason(error)}") from None

    def stamps_all(self, interface: str) -> tuple[bool, str]:
        """Whether the hardware can stamp every packet, and what it has."""
        try:
            found = stamp_ability(interface, self._ioctl)
        except PhcUnusable as error:
            raise Unreadable(str(error)) from None
        return found.stamps_all, f"clock {found.phc or 'none'}, {', '.join(found.so_timestamping) or 'no stamps'}"

    def rx_filter(self, interface: str) -> str:
        """What it stamps now."""
        found = read_hwtstamp(interface, self._ioctl)
        if found.rx_filter is None:
            raise Unreadable(found.line())
        return found.rx_filter

    def xdp_program(self, interface: str) -> int | None:
        """Id of the XDP program attached."""
        from pyroute2 import IPRoute  # a third of a second to import

        try:
            with IPRoute() as netlink:
                links = netlink.get_links(ifname=interface)
        except Exception as error:  # pyroute2 has no root of its errors
            raise Unreadable(f"{interface}: its XDP program: {_reason(error)}") from None
        if not links:
            raise Unreadable(f"{interface}: its XDP program: no such interface")
        xdp = links[0].get_attr("IFLA_XDP")
        number = xdp.get_attr("IFLA_XDP_PROG_ID") if xdp is not None else None
        return int(number) if number else None

    def _ask(self, interface: str, command: int, layout: struct.Struct, what: str) -> tuple[int, ...]:
        buffer = bytearray(layout.size)
        struct.pack_into("=I", buffer, 0, command)
        self._asking(interface)(buffer, what)
        return layout.unpack(buffer)

    def _asking(self, interface: str) -> ethtool_flows.Ask:
        def ask(buffer: bytearray, what: str) -> None:
            try:
                ask_interface(interface, SIOCETHTOOL, buffer, self._ioctl)
            except OSError as error:
                reason = "its driver does not tell" if error.errno in _UNSUPPORTED else error.strerror
                raise Unreadable(f"{interface}: {what}: {reason}") from None

        return ask


def _reason(error: Exception) -> str:
    """In words; pyroute2 gives some errors nothing but a padded name."""
    if type(error).__name__ == "NotSupportedError":
        return "its driver does not tell"
    return str(error).replace("\0", "") or type(error).__name__
