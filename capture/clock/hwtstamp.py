"""How a NIC is told to stamp: its hwtstamp configuration, read and put in words. There is no way here to set it.

Whoever sets it anew takes stamps from ptp4l, or from the capture: nanotape reports it, and leaves it as it is.
"""

import errno
import fcntl
import struct
from dataclasses import dataclass

from nanotape.capture.clock.phc import Ioctl, ask_interface

SIOCGHWTSTAMP = 0x89B1
TX_TYPES = ("off", "on", "onestep-sync", "onestep-p2p")
RX_FILTERS = (
    "none", "all", "some", "ptpv1-l4-event", "ptpv1-l4-sync", "ptpv1-l4-delay-req", "ptpv2-l4-event", "ptpv2-l4-sync",
    "ptpv2-l4-delay-req", "ptpv2-l2-event", "ptpv2-l2-sync", "ptpv2-l2-delay-req", "ptpv2-event", "ptpv2-sync",
    "ptpv2-delay-req", "ntp-all",
)  # fmt: skip
"""By number in linux/net_tstamp.h, as ethtool names them."""
_CONFIG = struct.Struct("=iii")  # flags, tx_type, rx_filter
_UNSUPPORTED = (errno.EOPNOTSUPP, errno.ENOTTY)


@dataclass(frozen=True, slots=True)
class HwtstampConfig:
    """Of an interface now."""

    interface: str
    tx_type: str | None
    """Which sent packets it stamps; None: not known."""
    rx_filter: str | None
    """Which packets that come it stamps; None: not known."""
    reason: str | None = None
    """Why it is not known."""

    @property
    def stamps_all(self) -> bool | None:
        """Whether market data is stamped; None: not known."""
        return None if self.rx_filter is None else self.rx_filter == "all"

    def line(self) -> str:
        """For an operator."""
        if self.rx_filter is None:
            return f"{self.interface}: hardware stamps unknown: {self.reason}"
        told = f"{self.interface}: hardware stamps: rx {self.rx_filter}, tx {self.tx_type}"
        if self.stamps_all:
            return told
        return f"{told}; of packets that are not PTP's there is none (ptp4l sets `all` with hwts_filter full)"


def read_hwtstamp(interface: str, ioctl: Ioctl = fcntl.ioctl) -> HwtstampConfig:
    """Asks the kernel; what it does not say is a reason, and no error."""
    buffer = bytearray(_CONFIG.size)
    try:
        ask_interface(interface, SIOCGHWTSTAMP, buffer, ioctl)
    except OSError as error:
        reason = "its driver has none to tell of" if error.errno in _UNSUPPORTED else str(error.strerror)
        return HwtstampConfig(interface, None, None, reason)
    _, tx_type, rx_filter = _CONFIG.unpack(buffer)
    return HwtstampConfig(interface, _named(TX_TYPES, tx_type), _named(RX_FILTERS, rx_filter))


def _named(names: tuple[str, ...], number: int) -> str:
    return names[number] if 0 <= number < len(names) else f"number {number}"
