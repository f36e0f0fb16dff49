"""What there is to find out of this host's clocks besides what a clock service tells: the kernel's word, who steers.

Reads /proc and asks the kernel; changes nothing. Takes some milliseconds: not for the thread that draws.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nanotape.capture.clock.clock_owners import ANY_PHC, ClockOwner, clock_owners
from nanotape.capture.clock.kernel_clock import KernelClock, read_kernel_clock
from nanotape.capture.clock.observation import SYSTEM


@dataclass(frozen=True, slots=True)
class ClockAround:
    """Of one moment."""

    tai_s: int | None
    """TAI minus UTC as the kernel has it; None: nobody has told it, or it does not answer."""
    kernel: str
    """What the kernel says, in words."""
    owners: tuple[str, ...]
    """A line for each process that could steer a clock of this host."""


def clock_around(
    kernel: Callable[[], KernelClock] = read_kernel_clock, owners: Callable[[], Sequence[ClockOwner]] = clock_owners
) -> ClockAround:
    """Finds it out; what cannot be is said so.

    Args:
        kernel: Asks the kernel.
        owners: Looks who runs.
    """
    try:
        clock = kernel()
        tai_s, words = clock.tai_s, _kernel_words(clock)
    except OSError as error:
        tai_s, words = None, f"does not answer: {error.strerror}"
    try:
        lines = tuple(_owner_words(each) for each in owners())
    except OSError as error:
        lines = (f"nobody can be asked: /proc: {error.strerror}",)
    return ClockAround(tai_s, words, lines)


def _kernel_words(clock: KernelClock) -> str:
    tai = "TAI-UTC was never told to it" if clock.tai_s is None else f"TAI-UTC {clock.tai_s} s"
    leap = {1: ", a leap second is armed", -1: ", a second is to be left out"}.get(clock.leap, "")
    return f"{tai}, {'synchronised' if clock.is_synchronised else 'NOT synchronised'}{leap}"


def _owner_words(owner: ClockOwner) -> str:
    if not owner.clocks:
        return f"{owner.name} (process {owner.pid}) only measures"
    words = {SYSTEM: "the system clock", ANY_PHC: "clocks of NICs"}
    steered = " and ".join(words.get(each, f"the clock of {each}") for each in sorted(owner.clocks))
    return f"{owner.name} (process {owner.pid}) steers {steered}"
