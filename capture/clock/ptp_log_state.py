"""What the logs of linuxptp tell of each clock, where no socket of ptp4l answers: observations, in their signs.

A log says nothing of the UTC offset's validity, the grandmaster's class or the domain. Lines of another boot, and those
of a program that has fallen silent, count for nothing: linuxptp stamps them by CLOCK_MONOTONIC.
"""

from nanotape.capture.clock.observation import SYSTEM, Observation
from nanotape.capture.clock.ptp_log import LogLine, Notice, PortTransition, ServoSample, ServoSummary
from nanotape.capture.clock.ptp_observation import PhcOf, whole_seconds_note

_LOCKED = (2, 3)
_FOLLOWING = ("SLAVE", "UNCALIBRATED")
_SILENT_MS = 10_000
_SILENT_INTERVALS = 3

_Measurement = ServoSample | ServoSummary


class LogState:
    """What the lines told so far say of each clock."""

    def __init__(self, phc_of: PhcOf, is_free_running: bool | None = None) -> None:
        """Knows nothing yet.

        Args:
            phc_of: Names the clock of an interface.
            is_free_running: Whether ptp4l only measures; None: unknown.
        """
        self._phc_of, self._is_free_running = phc_of, is_free_running
        self._measured: dict[tuple[str, str | None], tuple[_Measurement, int, int]] = {}  # moment, interval: ms
        self._port: PortTransition | None = None
        self._phc: str | None = None
        self._grandmaster: str | None = None
        self._utc_offset: int | None = None
        self._leap: int | None = None
        self._holdover_lost: set[str] = set()

    def take(self, line: LogLine) -> None:
        """Takes a line in."""
        fact, moment_ms = line.fact, round(line.monotonic_s * 1000)
        if isinstance(fact, _Measurement):
            before_ms = self._measured.get((line.program, fact.clock), (fact, moment_ms, 0))[1]
            self._measured[line.program, fact.clock] = fact, moment_ms, max(0, moment_ms - before_ms)
            self._holdover_lost.discard(fact.clock or "")
        elif isinstance(fact, PortTransition) and fact.port != 0:
            self._port = fact
            if fact.after not in _FOLLOWING:
                self._measured.pop(("ptp4l", None), None)
                self._grandmaster = None
        elif isinstance(fact, Notice):
            self._notice(fact)

    def _notice(self, fact: Notice) -> None:
        if fact.what == "grandmaster":
            self._grandmaster = str(fact.value)
        elif fact.what == "phc":
            self._phc = str(fact.value)
        elif fact.what == "utc_offset" and isinstance(fact.value, int):
            self._utc_offset = fact.value
        elif fact.what == "leap" and isinstance(fact.value, int):
            self._leap = fact.value
        elif fact.what == "holdover_lost":
            self._holdover_lost.add(fact.subject or "")

    def ptp4l(self, at_ns: int, monotonic_ms: int, domain: int) -> Observation | None:
        """The clock that ptp4l steers; None: its log has said nothing of it, or nothing lately.

        Args:
            at_ns: UTC.
            monotonic_ms: CLOCK_MONOTONIC.
            domain: That ptp4l is configured for, as far as anybody knows.
        """
        fact, measured = self._lately("ptp4l", None, monotonic_ms)
        has_master = None if self._port is None else self._port.after in _FOLLOWING
        if fact is None and has_master is not False:
            return None
        interface = self._port.interface if self._port else None
        where = f" on {interface}" if interface else ""
        notes = [f"no master heard in domain {domain}{where}"] if has_master is False else []
        clock = self._ptp4l_clock(interface)
        return Observation(
            clock=clock,
            at_ns=at_ns,
            interface=interface,
            source="ptp4l",
            method="log",
            has_master=has_master is not False,
            is_disciplined=False if self._is_free_running or has_master is False else _is_locked(fact),
            offset_ns=_offset(fact),
            is_worst_of_many=isinstance(fact, ServoSummary),
            measured=measured,
            path_delay_ns=(fact.delay_ns or None) if fact else None,
            freq_ppb=None if self._is_free_running else _correction(fact),
            grandmaster=self._grandmaster,
            domain=domain,
            utc_offset_s=self._utc_offset,
            utc_offset_source=None if self._utc_offset is None else "ptp",
            leap=self._leap,
            is_hardware=clock != SYSTEM,
            port_state=self._port.after if self._port else None,
            notes=(*notes, *_notes(fact)),
        )

    def followers(self, at_ns: int, monotonic_ms: int) -> list[Observation]:
        """The clocks that phc2sys and ts2phc steer, of which they have told lately."""
        found = []
        for program, clock in self._measured:
            fact, measured = self._lately(program, clock, monotonic_ms)
            if program != "ptp4l" and fact is not None:
                found.append(self._follower(program, fact, measured, at_ns))
        return found

    def _lately(self, program: str, clock: str | None, now_ms: int) -> tuple[_Measurement | None, int | None]:
        """What it measured last, and when; nothing of another boot, nor of one that has fallen silent."""
        if (program, clock) not in self._measured:
            return None, None
        fact, moment_ms, interval_ms = self._measured[program, clock]
        silent_ms = max(_SILENT_MS, _SILENT_INTERVALS * interval_ms)
        return (fact, moment_ms) if -1000 <= now_ms - moment_ms <= silent_ms else (None, None)

    def _follower(self, program: str, fact: _Measurement, measured: int | None, at_ns: int) -> Observation:
        name = fact.clock or ""
        clock = self._named(fact.clock)
        is_held = (isinstance(fact, ServoSample) and fact.holdover) or name in self._holdover_lost
        held = [f"{program} hears no pulse for {clock}, and holds its frequency"] if is_held else []
        # How far a NIC's clock is from the system's says nothing of UTC.
        of_system = isinstance(fact, ServoSample) and fact.source == "sys"
        return Observation(
            clock=clock,
            at_ns=at_ns,
            interface=None if clock == SYSTEM or name.startswith("/") else name,
            source=program,
            method="log",
            has_master=not is_held,
            is_disciplined=_is_locked(fact),
            offset_ns=None if of_system else _offset(fact),
            is_worst_of_many=isinstance(fact, ServoSummary),
            measured=measured,
            phc_sys_ns=_phc_minus_system(program, fact),
            phc_sys_within_ns=fact.delay_ns / 2 if program == "phc2sys" and fact.delay_ns is not None else None,
            freq_ppb=_correction(fact),
            is_hardware=True if program == "ts2phc" else None,
            notes=(*held, *_notes(fact)),
        )

    def _ptp4l_clock(self, interface: str | None) -> str:
        """With software stamps it is the system clock, which phc2sys has no business with then."""
        if self._phc or not any(program == "phc2sys" for program, _ in self._measured):
            return self._phc or SYSTEM
        return (self._phc_of(interface) or interface) if interface else SYSTEM

    def _named(self, clock: str | None) -> str:
        if clock is None or clock == "CLOCK_REALTIME":
            return SYSTEM
        return clock.removeprefix("/dev/") if clock.startswith("/dev/") else self._phc_of(clock) or clock


def _offset(fact: _Measurement | None) -> float | None:
    """A summary has no sign: then the largest of it, as the worst that it can have been."""
    if fact is None:
        return None
    return float(fact.offset_ns if isinstance(fact, ServoSample) else fact.max_ns)


def _notes(fact: _Measurement | None) -> list[str]:
    note = whole_seconds_note(_offset(fact))
    return [note] if note else []


def _is_locked(fact: _Measurement | None) -> bool | None:
    return fact.servo in _LOCKED if isinstance(fact, ServoSample) and fact.servo is not None else None


def _correction(fact: _Measurement | None) -> float | None:
    """Which is the opposite of what linuxptp prints: by how much the clock is fast."""
    return None if fact is None or fact.freq_ppb is None else -float(fact.freq_ppb)


def _phc_minus_system(program: str, fact: _Measurement) -> float | None:
    if program != "phc2sys" or not isinstance(fact, ServoSample):
        return None
    if fact.clock == "CLOCK_REALTIME":
        return -float(fact.offset_ns) if fact.source == "phc" else None
    return float(fact.offset_ns) if fact.source == "sys" else None
