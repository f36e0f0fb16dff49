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
from nanotape.capture.clock.pmc import Pmc, found_sockets
from nanotape.capture.clock.ptp_log_follow import PtpLogs
from nanotape.capture.clock.ptp_log_state import LogState
from nanotape.capture.clock.ptp_observation import observe_ptp4l
from nanotape.capture.clock.sfptpd import observe_sfptpd
from nanotape.capture.clock.watch import Reader
from nanotape.capture.errors import CaptureError, PmcUnusable
from nanotape.config.clock import ClockSettings

ABSENT_S = 10.0
"""Who had nothing to say is asked again after so long."""


@dataclass(frozen=True, slots=True)
class PtpPlaces:
    """Where linuxptp is asked."""

    own_folder: Path
    """Where the sockets of pmc's answers may be made."""
    sockets: Callable[[], Sequence[Path]] = found_sockets
    """Of ptp4l, the best first."""
    logs: Sequence[Path] = ()


def configured_places(settings: ClockSettings, own_folder: Path | None = None) -> PtpPlaces:
    """Where a linuxptp that is only watched is asked.

    Args:
        settings: `[clock]`.
        own_folder: Where the sockets of answers may be made; None: where temporary files are.
    """
    sockets = tuple(Path(each) for each in settings.sockets)
    return PtpPlaces(
        own_folder or Path(tempfile.gettempdir()),
        (lambda: found_sockets(sockets)) if sockets else found_sockets,
        tuple(Path(each) for each in settings.logs),
    )


def readers_of(settings: ClockSettings, places: PtpPlaces, garbage: Counter[str] | None = None) -> Mapping[str, Reader]:
    """All of them, by name.

    Args:
        settings: Domain, and who else is asked.
        places: Where linuxptp is.
        garbage: Counts lines that could not be read, by reader.
    """
    garbage = Counter() if garbage is None else garbage
    is_free_running = settings.free_running if settings.mode == "manage" else None
    readers: dict[str, Reader] = {
        "ptp4l": Patient(PtpReader(settings.domain, places, is_free_running, garbage)),
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


class PtpReader:
    """linuxptp: ptp4l by its socket, else by its log; phc2sys and ts2phc by their logs."""

    def __init__(
        self,
        domain: int,
        places: PtpPlaces,
        is_free_running: bool | None,
        garbage: Counter[str],
    ) -> None:
        """Asks nobody yet.

        Args:
            domain: Of ptp4l.
            places: Where to look.
            is_free_running: Whether ptp4l only measures; None: unknown.
            garbage: Counts lines that could not be read.
        """
        self._domain, self._places, self._is_free_running = domain, places, is_free_running
        self._garbage = garbage
        self._state = LogState(phc_of, is_free_running)
        self._logs = PtpLogs(places.logs, self._state)

    def __call__(self) -> Sequence[Observation]:
        """What they say; nothing where none of them is there.

        Raises:
            CaptureError: A socket is there and nobody answers, and no log says anything either.
        """
        now_ns, now_ms = time.time_ns(), time.monotonic_ns() // 10**6
        self._logs.look()
        self._garbage["log"] = self._logs.reader.garbage
        followers = self._state.followers(now_ns, now_ms)
        try:
            asked = self._ask(now_ns)
        except PmcUnusable:
            asked = self._state.ptp4l(now_ns, now_ms, self._domain)
            if asked is None and not followers:
                raise
        else:
            asked = asked or self._state.ptp4l(now_ns, now_ms, self._domain)
        return [*([asked] if asked else []), *followers]

    def _ask(self, now_ns: int) -> Observation | None:
        """By the first socket that answers; None where there is no socket."""
        failure: PmcUnusable | None = None
        for socket in self._places.sockets():
            try:
                answer = Pmc(socket, self._domain, self._places.own_folder).ask()
            except PmcUnusable as error:
                failure = failure or error
                continue
            self._garbage["pmc"] += answer.garbage
            return observe_ptp4l(answer, now_ns, self._domain, phc_of, self._is_free_running)
        if failure is not None:
            raise failure
        return None


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
