"""Whom the clock service asks on this host, by configuration: linuxptp, chrony, sfptpd, the kernel.

Who is not there costs little: it is looked for again now and then only. Lines that could not be read are counted.
"""

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nanotape.capture.clock.chrony import observe_chrony
from nanotape.capture.clock.kernel_clock import observe_kernel
from nanotape.capture.clock.observation import Observation
from nanotape.capture.clock.phc import stamp_ability
from nanotape.capture.clock.ptp_reader import PtpReader
from nanotape.capture.clock.sfptpd import observe_sfptpd
from nanotape.capture.clock.watch import Reader
from nanotape.capture.errors import CaptureError
from nanotape.config.clock import ClockSettings

ABSENT_S = 10.0
"""Who had nothing to say is asked again after so long."""


@dataclass(frozen=True, slots=True)
class PtpPlaces:
    """Where linuxptp is asked."""

    own_folder: Path
    """Where the sockets of pmc's answers may be made."""
    sockets: Sequence[Path] = ()
    """Of ptp4l, the best first; none: where linuxptp puts them."""
    logs: Sequence[Path] = ()


def configured_places(settings: ClockSettings, own_folder: Path | None = None) -> PtpPlaces:
    """Where a linuxptp that is only watched is asked.

    Args:
        settings: `[clock]`.
        own_folder: Where the sockets of answers may be made; None: where temporary files are.
    """
    sockets, logs = (tuple(Path(each) for each in paths) for paths in (settings.sockets, settings.logs))
    return PtpPlaces(own_folder or Path(tempfile.gettempdir()), sockets, logs)


def readers_of(settings: ClockSettings, places: PtpPlaces, garbage: Counter[str] | None = None) -> Mapping[str, Reader]:
    """All of them, by name.

    Args:
        settings: Domain, and who else is asked.
        places: Where linuxptp is.
        garbage: Counts lines that could not be read, by reader.
    """
    garbage = Counter() if garbage is None else garbage
    is_free_running = settings.free_running if settings.mode == "manage" else None
    ptp = PtpReader(
        settings.domain, places.own_folder, places.sockets, places.logs, phc_of=phc_of, is_free_running=is_free_running
    )

    def ask_ptp() -> Sequence[Observation]:
        return _ptp(ptp, garbage)

    readers: dict[str, Reader] = {
        # Our own is about to come.
        "ptp4l": ask_ptp if settings.mode == "manage" else Patient(ask_ptp),
        "chrony": Patient(lambda: _chrony(garbage)),
        "kernel": lambda: [observe_kernel(time.time_ns())],
    }
    if settings.sfptpd_stats is not None:
        stats = Path(settings.sfptpd_stats)
        readers["sfptpd"] = lambda: _sfptpd(stats, garbage)
    return readers


class Patient:
    """A reader that is not asked each second as long as it has nothing to say."""

    def __init__(self, read: Reader, clock: Callable[[], float] = time.monotonic) -> None:
        """Asks at once.

        Args:
            read: The reader.
            clock: Seconds.
        """
        self._read, self._clock, self._due = read, clock, clock()
        self._is_there = False

    def __call__(self) -> Sequence[Observation]:
        """What it says; nothing where it is not asked."""
        now = self._clock()
        if now < self._due:
            return ()
        seen = self._read()
        # Who was there a moment ago may be so again in the next.
        self._due = now if seen or self._is_there else now + ABSENT_S
        self._is_there = bool(seen)
        return seen


def _ptp(reader: PtpReader, garbage: Counter[str]) -> Sequence[Observation]:
    try:
        return reader()
    finally:
        garbage["pmc"], garbage["log"] = reader.garbage, reader.log_garbage


def phc_of(interface: str) -> str | None:
    """Names the clock of an interface; None: it has none, or is not there."""
    try:
        return stamp_ability(interface).phc
    except CaptureError:
        return None


def _chrony(garbage: Counter[str]) -> Sequence[Observation]:
    look = observe_chrony(time.time_ns())
    garbage["chronyc"] += look.garbage
    return [] if look.observation is None else [look.observation]


def _sfptpd(path: Path, garbage: Counter[str]) -> Sequence[Observation]:
    look = observe_sfptpd(path, time.time_ns())
    garbage["sfptpd"] = look.garbage
    if look.reason is not None:
        raise CaptureError(look.reason)
    return look.observations
