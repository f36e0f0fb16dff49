"""The hardware clock of a NIC: which one an interface has, and how far it is from the system's clock. Only reads.

Numbers and layouts are those of linux/ethtool.h and linux/ptp_clock.h. Differences are PHC minus system clock as they
are read: whatever UTC offset lies between the two is in them (see phc_domain.py).
"""

import ctypes
import errno
import fcntl
import os
import socket
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nanotape.capture.errors import PhcUnusable

Ioctl = Callable[[int, int, bytearray], int]
"""fcntl.ioctl, which fills the buffer."""

SIOCETHTOOL, ETHTOOL_GET_TS_INFO = 0x8946, 0x41
PTP_SYS_OFFSET_EXTENDED, PTP_SYS_OFFSET = 0xC4C03D09, 0x43403D05
READINGS = 9
"""At once, of which the quickest is taken; the kernel takes up to 25."""

_TS_INFO = struct.Struct("=IIiI12xI12x")  # cmd, so_timestamping, phc_index, tx_types, rx_filters
_TIME = struct.Struct("=qI4x")  # struct ptp_clock_time
_TIMES_AT = 16  # after n_samples and what is reserved
_EXTENDED_BYTES, _PLAIN_BYTES = 0x4C0, 0x340
_UNSUPPORTED = (errno.ENOTTY, errno.EOPNOTSUPP, errno.EINVAL)
_SO_TIMESTAMPING = (
    "tx-hardware", "tx-software", "rx-hardware", "rx-software", "software", "sys-hardware", "raw-hardware",
)  # fmt: skip
_FILTER_ALL = 1


@dataclass(frozen=True, slots=True)
class StampAbility:
    """What stamps an interface can give."""

    phc: str | None
    """Device, such as `ptp0`; None: it has no clock of its own."""
    so_timestamping: tuple[str, ...]
    """Kinds that can be asked of a socket, as ethtool names them."""
    stamps_all: bool
    """Whether its hardware can stamp every packet that comes, not those of PTP alone."""


@dataclass(frozen=True, slots=True)
class PhcReading:
    """One comparison of a PHC with the system's clock."""

    at_ns: int
    """By the system's clock, UTC if that is right."""
    phc_sys_ns: int
    """PHC minus system clock."""
    uncertainty_ns: int
    """Half of the time that the reading took: the true difference lies within."""
    method: str
    """`PTP_SYS_OFFSET_EXTENDED` or `PTP_SYS_OFFSET`."""


def stamp_ability(interface: str, ioctl: Ioctl = fcntl.ioctl) -> StampAbility:
    """Asks an interface.

    Raises:
        PhcUnusable: There is no such interface, or it does not say.
    """
    buffer = bytearray(_TS_INFO.pack(ETHTOOL_GET_TS_INFO, 0, -1, 0, 0))
    try:
        ask_interface(interface, SIOCETHTOOL, buffer, ioctl)
    except OSError as error:
        raise PhcUnusable(
            f"{interface}: its kinds of stamps expected, the kernel says: {error.strerror}; name another interface"
        ) from error
    _, so_timestamping, index, _, rx_filters = _TS_INFO.unpack(buffer)
    kinds = tuple(name for bit, name in enumerate(_SO_TIMESTAMPING) if so_timestamping >> bit & 1)
    return StampAbility(f"ptp{index}" if index >= 0 else None, kinds, bool(rx_filters >> _FILTER_ALL & 1))


def ask_interface(interface: str, request: int, buffer: bytearray, ioctl: Ioctl) -> None:
    """An ioctl that takes an interface's name and the address of what it fills in.

    Raises:
        OSError: The kernel refused.
    """
    name = os.fsencode(interface)
    if len(name) > 15:
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
    address = ctypes.addressof(ctypes.c_char.from_buffer(buffer))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        ioctl(asked.fileno(), request, bytearray(struct.pack("=16sQ16x", name, address)))


class Phc:
    """A PHC that is open. Reading it needs the right to read its device, which is root's unless udev says otherwise."""

    def __init__(self, device: str, ioctl: Ioctl = fcntl.ioctl, folder: Path = Path("/dev")) -> None:
        """Opens it, to read only.

        Args:
            device: Such as `ptp0`.
            ioctl: The system call.
            folder: That devices are in.

        Raises:
            PhcUnusable: It cannot be opened.
        """
        self.device = device
        self._ioctl, self._extended = ioctl, True
        path = folder / device
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise PhcUnusable(
                f"{path}: a clock that may be read expected, found: {error.strerror}; give this user the right to read "
                f"it, by a udev rule"
            ) from error

    def close(self) -> None:
        """Closes it."""
        os.close(self._descriptor)

    def resolution_ns(self) -> int:
        """Of its readings, as the kernel has it.

        Raises:
            OSError: It is not known.
        """
        return round(time.clock_getres(~self._descriptor << 3 | 3) * 1e9)  # FD_TO_CLOCKID of clock_gettime(2)

    def compare(self) -> PhcReading:
        """Reads both clocks some times, and takes the reading that took the least time.

        Raises:
            PhcUnusable: The kernel or the driver refuses.
        """
        try:
            return self._compare()
        except OSError as error:
            raise PhcUnusable(
                f"{self.device}: a reading of the clock expected, the kernel says: {error.strerror}; see the kernel's "
                f"log of its driver"
            ) from error

    def _compare(self) -> PhcReading:
        if self._extended:
            try:
                times = self._read(PTP_SYS_OFFSET_EXTENDED, _EXTENDED_BYTES, 3 * READINGS)
                return best_reading([times[at : at + 3] for at in range(0, len(times), 3)], "PTP_SYS_OFFSET_EXTENDED")
            except OSError as error:
                if error.errno not in _UNSUPPORTED:
                    raise
                self._extended = False  # a driver learns nothing new while it is loaded
        times = self._read(PTP_SYS_OFFSET, _PLAIN_BYTES, 2 * READINGS + 1)
        return best_reading([times[at : at + 3] for at in range(0, len(times) - 2, 2)], "PTP_SYS_OFFSET")

    def _read(self, request: int, size: int, count: int) -> list[int]:
        buffer = bytearray(size)
        struct.pack_into("=I", buffer, 0, READINGS)
        self._ioctl(self._descriptor, request, buffer)
        times = (_TIME.unpack_from(buffer, _TIMES_AT + at * _TIME.size) for at in range(count))
        return [seconds * 10**9 + nanoseconds for seconds, nanoseconds in times]


def best_reading(brackets: Sequence[Sequence[int]], method: str) -> PhcReading:
    """Of readings of system, PHC, system the quickest.

    Raises:
        OSError: In none of them did the system's clock go on.
    """
    known = [(before, phc, after) for before, phc, after in brackets if after >= before]
    if not known:  # it was set back in the middle of each
        raise OSError(errno.EAGAIN, "the system's clock went back while it was read")
    before, phc, after = min(known, key=lambda bracket: bracket[2] - bracket[0])
    middle = (before + after) // 2
    return PhcReading(middle, phc - middle, (after - before + 1) // 2, method)
