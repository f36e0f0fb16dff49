"""What the kernel itself says of CLOCK_REALTIME: adjtimex(2) with nothing to change.

The call takes no argument that could change anything: its structure is made here, zeroed, with `modes` 0. Needs no
privilege. Numbers are those of linux/timex.h on 64-bit machines.
"""

import ctypes
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass

from nanotape.capture.clock.observation import SYSTEM, Observation

Answer = tuple[int, bytes]
"""What adjtimex returned, and the structure that it filled."""

STA_PLL, STA_INS, STA_DEL, STA_UNSYNC, STA_CLOCKERR, STA_NANO = 0x1, 0x10, 0x20, 0x40, 0x1000, 0x2000
TIME_OK, TIME_INS, TIME_DEL, TIME_OOP, TIME_WAIT, TIME_ERROR = range(6)

_TIMEX = struct.Struct("=I4xqqqqi4xqqqqqqqqi4xqqqqqi44x")
"""modes, offset, freq, maxerror, esterror, status, constant, precision, tolerance, time (2), tick, ppsfreq, jitter,
shift, stabil, jitcnt, calcnt, errcnt, stbcnt, tai."""
_FREQ_PPM = 1 << 16  # freq is in parts per million with 16 bits of fraction
_GROWTH_US = 500
"""By which the kernel lets maxerror grow each second while nobody sets it."""


@dataclass(frozen=True, slots=True)
class KernelClock:
    """One answer of the kernel."""

    offset_ns: int
    """What its own PLL still has to add to the clock; 0 where no daemon uses that PLL."""
    freq_ppb: float
    """Frequency correction in force; positive: the clock is made faster."""
    max_error_ns: int
    est_error_ns: int
    status: int
    """STA_ bits."""
    tai_s: int | None
    """TAI minus UTC; None: nobody has told the kernel."""
    time_state: int
    """TIME_OK and so on: what the call returned."""

    @property
    def is_synchronised(self) -> bool:
        """Whether some daemon says, and said lately, that the clock follows."""
        return not self.status & (STA_UNSYNC | STA_CLOCKERR)

    @property
    def leap(self) -> int:
        """Seconds that the day's end brings, or that are being put in now."""
        if self.time_state == TIME_WAIT:  # behind us
            return 0
        # An unsynchronised kernel answers TIME_ERROR, whatever is armed.
        inserts = self.time_state in (TIME_INS, TIME_OOP) or (self.time_state == TIME_ERROR and self.status & STA_INS)
        deletes = self.time_state == TIME_DEL or (self.time_state == TIME_ERROR and self.status & STA_DEL)
        return 1 if inserts else -1 if deletes else 0

    @property
    def bound_ns(self) -> int | None:
        """maxerror, where a daemon has put its own bound there; None: none is known.

        phc2sys and ptp4l, and others, write 0 each time they adjust the clock, only to keep the kernel from calling
        it unsynchronised; what then is read is 0 plus the kernel's growth of 500 us a second, and no bound at all.
        """
        was_zeroed = self.max_error_ns % (_GROWTH_US * 1000) == 0
        return self.max_error_ns if self.is_synchronised and not was_zeroed else None


def adjtimex() -> Answer:
    """Asks the kernel, and changes nothing.

    Raises:
        OSError: The kernel refused, as a seccomp filter may have it.
    """
    buffer = ctypes.create_string_buffer(_TIMEX.size)  # zeroed: modes 0
    state = int(_LIBC.adjtimex(buffer))
    if state < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return state, buffer.raw


def read_kernel_clock(ask: Callable[[], Answer] = adjtimex) -> KernelClock:
    """One answer of the kernel, in units.

    Raises:
        OSError: It refused.
    """
    state, raw = ask()
    _, offset, freq, max_error, est_error, status, *_, tai = _TIMEX.unpack(raw)
    return KernelClock(
        offset if status & STA_NANO else offset * 1000,
        freq * 1000 / _FREQ_PPM,
        max_error * 1000,
        est_error * 1000,
        status,
        tai or None,
        state,
    )


def observe_kernel(at_ns: int, ask: Callable[[], Answer] = adjtimex) -> Observation:
    """The same as an observation of the system's clock.

    Args:
        at_ns: UTC, now.
        ask: The system call.

    Raises:
        OSError: The kernel refused.
    """
    found = read_kernel_clock(ask)
    uses_pll = found.is_synchronised and bool(found.status & STA_PLL)
    return Observation(
        clock=SYSTEM,
        at_ns=at_ns,
        source="kernel",
        method="adjtimex",
        is_disciplined=found.is_synchronised,
        offset_ns=-found.offset_ns if uses_pll else None,
        freq_ppb=found.freq_ppb,
        utc_offset_s=found.tai_s,
        utc_offset_source=None if found.tai_s is None else "kernel",
        leap=found.leap,
        bound_ns=found.bound_ns,
    )


_LIBC = ctypes.CDLL(None, use_errno=True)
