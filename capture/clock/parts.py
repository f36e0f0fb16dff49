"""The clock service of a configuration: whom it asks, what it runs, which NICs it looks at."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from nanotape.capture.clock.leap_seconds import LeapSeconds, read_leap_seconds
from nanotape.capture.clock.nic_clocks import NicClockWatch
from nanotape.capture.clock.readers import PtpPlaces, readers_of
from nanotape.capture.clock.service import ClockParts, ClockService
from nanotape.capture.clock.thresholds import Thresholds
from nanotape.capture.errors import CaptureError
from nanotape.config import Settings, interfaces

_NIC_KINDS = ("afxdp", "packet", "socket")


def clock_service(
    rings: Sequence[Settings], log: Callable[[str], None], wrap: Sequence[str] = ()
) -> ClockService | None:
    """That of some rings of one configuration; None where it wants none.

    Args:
        rings: Each ring's settings, at least one.
        log: Takes one line at a time, from the service's thread.
        wrap: Put before the commands of linuxptp: `ip netns exec NAME`.
    """
    settings = rings[0]
    if settings.clock.mode == "none":
        return None
    live = [each for each in rings if each.source.effective_kind in _NIC_KINDS]
    if not live and settings.clock.mode == "watch":
        return None  # files have stamps of their own, and no clock of this host is in them
    names = dict.fromkeys(name for each in live for name in interfaces(each))
    run_directory = Path(settings.paths.run_dir)
    return ClockService(
        run_directory, Thresholds.of(settings.clock), lambda folder: _parts(settings, [*names], folder), log
    )


def _parts(settings: Settings, names: Sequence[str], folder: Path) -> ClockParts:
    garbage: Counter[str] = Counter()
    nics = NicClockWatch(names, _listed())
    readers = readers_of(settings.clock, PtpPlaces(folder), garbage)
    return ClockParts(settings.clock.mode, {"nics": nics.read, **readers}, None, nics, garbage)


def _listed() -> Callable[[int], int | None]:
    """TAI minus UTC by the host's list of leap seconds, where there is one."""
    try:
        known: LeapSeconds = read_leap_seconds()
    except CaptureError:
        return lambda _: None
    return known.tai_minus_utc_s
