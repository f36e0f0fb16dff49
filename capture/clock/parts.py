"""The clock service of a configuration: whom it asks, what it runs, which NICs it looks at."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from nanotape.capture.clock.leap_seconds import LeapSeconds, read_leap_seconds
from nanotape.capture.clock.linuxptp import Linuxptp
from nanotape.capture.clock.linuxptp_config import PHC2SYS, PTP4L, TS2PHC
from nanotape.capture.clock.nic_clocks import NicClockWatch
from nanotape.capture.clock.readers import PtpPlaces, configured_places, phc_of, readers_of
from nanotape.capture.clock.service import ClockParts, ClockService
from nanotape.capture.clock.thresholds import Thresholds
from nanotape.capture.errors import CaptureError
from nanotape.config import Settings, interfaces
from nanotape.config.clock import ClockSettings

_NIC_KINDS = ("afxdp", "packet", "socket")


def clock_service(
    rings: Sequence[Settings], log: Callable[[str], None], wrap: Sequence[str] = (), *, is_required: bool = False
) -> ClockService | None:
    """That of some rings of one configuration; None where it wants none.

    Args:
        rings: Each ring's settings, at least one.
        log: Takes one line at a time, from the service's thread.
        wrap: Put before the commands of linuxptp: `ip netns exec NAME`.
        is_required: Whether a start is refused where it cannot watch, too; one that manages is required in any case.
    """
    settings = rings[0]
    if settings.clock.mode == "none":
        return None
    live = [each for each in rings if each.source.effective_kind in _NIC_KINDS]
    if not live and settings.clock.mode == "watch":
        return None  # files have stamps of their own, and no clock of this host is in them
    names = [*dict.fromkeys(name for each in live for name in interfaces(each))]
    run_directory, thresholds = Path(settings.paths.run_dir), Thresholds.of(settings.clock)
    return ClockService(
        run_directory,
        thresholds,
        lambda folder: _parts(settings.clock, names, folder, log, wrap),
        log,
        is_required=is_required or settings.clock.mode == "manage",
    )


def _parts(
    settings: ClockSettings, names: Sequence[str], folder: Path, log: Callable[[str], None], wrap: Sequence[str]
) -> ClockParts:
    garbage: Counter[str] = Counter()
    nics = NicClockWatch(names, _listed())
    daemons, places = None, configured_places(settings, folder)
    if settings.mode == "manage":
        daemons = Linuxptp(settings, folder, wrap, log, phc_of=phc_of)
        places = PtpPlaces(folder, daemons.sockets, _logs(folder))
    readers = readers_of(settings, places, garbage)
    return ClockParts(settings.mode, {"nics": nics.read, **readers}, daemons, nics, garbage)


def _logs(folder: Path) -> list[Path]:
    return [folder / f"{program}.log" for program in (PTP4L, PHC2SYS, TS2PHC)]


def _listed() -> Callable[[int], int | None]:
    """TAI minus UTC by the host's list of leap seconds, where there is one."""
    try:
        known: LeapSeconds = read_leap_seconds()
    except CaptureError:
        return lambda _: None
    return known.tai_minus_utc_s
