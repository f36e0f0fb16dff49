"""What ptp4l's replies say of the clock that it steers: one observation, in the signs and units of Observation.

Judges nothing, and takes nothing for known that ptp4l only has a default for: the UTC offset without its valid flag,
offsets from a master that is gone.
"""

from collections.abc import Callable
from dataclasses import dataclass

from nanotape.capture.clock.observation import SYSTEM, Observation
from nanotape.capture.clock.pmc_output import Answer, Reply

PhcOf = Callable[[str], str | None]
"""The PHC of an interface, such as `ptp0`; None: it has none, or none is known."""

NAMELESS = "ptp4l"
"""Clock of a ptp4l of which nobody can say which one it steers."""
_FOLLOWING = ("SLAVE", "UNCALIBRATED")
_SERVING = ("MASTER", "GRAND_MASTER")
_FROM_1_PS = (1, 1, 1, 1, 1, 1, 1, 3, 10, 25, 100, 250, 1000, 2500, 10_000, 25_000, 100_000, 250_000)
_FROM_1_MS = (10**6, 2_500_000, 10**7, 25_000_000, 10**8, 250_000_000, 10**9, 10**10)
_ACCURACY_NS = dict(enumerate((*_FROM_1_PS, *_FROM_1_MS), start=0x17))
"""IEEE 1588-2019, table 5; what is not here has no bound."""
_WHOLE_SECONDS = range(30, 46)
_NEAR_WHOLE_NS = 100_000_000


@dataclass(frozen=True, slots=True)
class PortHint:
    """What is known of a ptp4l's ports from elsewhere: over its read-only socket it does not say it."""

    interface: str | None
    is_hardware: bool | None


@dataclass(frozen=True, slots=True)
class PtpPort:
    """The port that counts: the one that follows a master, or the first."""

    state: str | None
    interface: str | None
    is_hardware: bool | None
    """Whether its packets are stamped by the NIC; None: it did not say."""
    phc: str | None


def observe_ptp4l(
    answer: Answer,
    at_ns: int,
    domain: int,
    phc_of: PhcOf,
    is_free_running: bool | None = None,
    hint: PortHint | None = None,
) -> Observation:
    """The clock that ptp4l steers, or measures.

    Args:
        answer: Of `Pmc.ask`.
        at_ns: UTC.
        domain: That was asked in.
        phc_of: Names the clock of an interface where ptp4l does not.
        is_free_running: Whether it only measures; None: unknown.
        hint: Counts where ptp4l itself does not say it.
    """
    status, parent = answer.one("TIME_STATUS_NP"), answer.one("PARENT_DATA_SET")
    current, whole = answer.one("CURRENT_DATA_SET"), answer.one("DEFAULT_DATA_SET")
    port = _port(answer, phc_of, hint)
    asked_domain = whole.whole("domainNumber") if whole else None
    domain = domain if asked_domain is None else asked_domain
    present = status.flag("gmPresent") if status else None
    has_master = None if present is None else present and port.state in _FOLLOWING
    # Before the first measurement, and long after the last one, figures stand there that mean nothing.
    is_measured = bool(has_master and status and status.whole("ingress_time") and _has_figures(status, current))
    offset = _offset(status, current) if is_measured else None
    times = answer.one("TIME_PROPERTIES_DATA_SET") if has_master else None
    utc_offset = _utc_offset(times)
    notes = [*_about_master(port, domain, has_master), *_about_time(times, offset), *_about_clock(port)]
    return Observation(
        clock=_clock(port),
        at_ns=at_ns,
        interface=port.interface,
        source="ptp4l",
        method="pmc",
        has_master=has_master,
        is_disciplined=_is_disciplined(port, has_master, is_free_running),
        offset_ns=offset,
        measured=status.whole("ingress_time") if status and is_measured else None,
        path_delay_ns=_path_delay(current) if is_measured else None,
        grandmaster=status.text("gmIdentity") if status and has_master else None,
        gm_class=parent.whole("gm.ClockClass") if parent and has_master else None,
        gm_accuracy_ns=accuracy_ns(parent.whole("gm.ClockAccuracy")) if parent and has_master else None,
        domain=domain,
        steps_removed=current.whole("stepsRemoved") if current and has_master else None,
        utc_offset_s=utc_offset,
        utc_offset_source=None if utc_offset is None else "ptp",
        leap=_leap(times),
        is_hardware=port.is_hardware,
        port_state=port.state,
        notes=tuple(notes),
    )


def accuracy_ns(code: int | None) -> int | None:
    """A clockAccuracy as a bound in nanoseconds; None: it promises none."""
    return None if code is None else _ACCURACY_NS.get(code)


def whole_seconds_note(offset_ns: float | None) -> str | None:
    """A line on an offset that is TAI minus UTC rather than an offset; None: it is not."""
    if offset_ns is None:
        return None
    seconds = round(abs(offset_ns) / 1e9)
    if seconds not in _WHOLE_SECONDS or abs(abs(offset_ns) - seconds * 1e9) > _NEAR_WHOLE_NS:
        return None
    return (
        f"an offset of {offset_ns / 1e9:+.3f} s is TAI minus UTC, not an error of the clock: one side has TAI and is "
        "taken for UTC, or the reverse; see the grandmaster's timescale and phc2sys's -O"
    )


def _port(answer: Answer, phc_of: PhcOf, hint: PortHint | None) -> PtpPort:
    data, properties = answer.all("PORT_DATA_SET"), answer.all("PORT_PROPERTIES_NP")
    states = {reply.port: reply.text("portState") for reply in (*properties, *data)}
    number = min(states, key=lambda port: (_preference(states[port]), port), default=None)
    of_port = {reply.port: reply for reply in properties}
    mine = of_port.get(number) if number is not None else None
    stamping = mine.text("timestamping") if mine else None
    interface = mine.text("interface") if mine else hint.interface if hint else None
    hardware = next((each for each in answer.all("PORT_HWCLOCK_NP") if each.port == number), None)
    index = hardware.whole("phcIndex") if hardware else None
    is_hardware = stamping != "SOFTWARE" if stamping is not None else hint.is_hardware if hint else None
    phc = None
    if is_hardware is not False:
        phc = f"ptp{index}" if index is not None and index >= 0 else phc_of(interface) if interface else None
    return PtpPort(states.get(number) if number is not None else None, interface, is_hardware, phc)


def _preference(state: str | None) -> int:
    return _FOLLOWING.index(state) if state in _FOLLOWING else len(_FOLLOWING)


def _clock(port: PtpPort) -> str:
    """Never the system clock for one that may be a NIC's: what is said of the one must not count for the other."""
    return SYSTEM if port.is_hardware is False else port.phc or port.interface or NAMELESS


def _has_figures(status: Reply, current: Reply | None) -> bool:
    """With a first sync message there is a time of it, but no offset before there is a path delay: both are 0 then."""
    return bool(status.whole("master_offset") or (current and current.real("meanPathDelay")))


def _offset(status: Reply | None, current: Reply | None) -> float | None:
    if status and status.whole("master_offset") is not None:
        return status.real("master_offset")
    return current.real("offsetFromMaster") if current else None


def _path_delay(current: Reply | None) -> float | None:
    """None also for 0, which ptp4l has before it has measured one."""
    return (current.real("meanPathDelay") or None) if current else None


def _is_disciplined(port: PtpPort, has_master: bool | None, is_free_running: bool | None) -> bool | None:
    if is_free_running:
        return False
    return None if has_master is None else has_master and port.state == "SLAVE"


def _utc_offset(times: Reply | None) -> int | None:
    if times is None or not times.flag("currentUtcOffsetValid") or not times.flag("ptpTimescale"):
        return None
    return times.whole("currentUtcOffset")


def _leap(times: Reply | None) -> int | None:
    if times is None or times.flag("leap61") is None:
        return None
    return 1 if times.flag("leap61") else -1 if times.flag("leap59") else 0


def _about_master(port: PtpPort, domain: int, has_master: bool | None) -> list[str]:
    if has_master is not False:
        return []
    where = f" on {port.interface}" if port.interface else ""
    if port.state == "FAULTY":
        return [f"ptp4l's port{where} is faulty: is the link up? no master heard in domain {domain}"]
    if port.state in _SERVING:
        return [f"ptp4l is a master itself{where} in domain {domain}: nobody steers its clock"]
    return [f"no master heard in domain {domain}{where}"]


def _about_clock(port: PtpPort) -> list[str]:
    if port.is_hardware is None:
        return [
            "which clock ptp4l steers is not known: its read-only socket does not say it, its command line and "
            "configuration cannot be read; run nanotape as root"
        ]
    named = port.phc or not port.is_hardware
    return [] if named else [f"ptp4l stamps in hardware on {port.interface}, whose clock cannot be named"]


def _about_time(times: Reply | None, offset_ns: float | None) -> list[str]:
    found = [whole_seconds_note(offset_ns)]
    if times is not None and times.flag("ptpTimescale") is False:
        found.append("the grandmaster's timescale is arbitrary, not PTP's: whether its time is UTC nobody says")
    elif times is not None and times.flag("currentUtcOffsetValid") is False:
        found.append("the grandmaster does not say that its UTC offset is valid: UTC may be off by whole seconds")
    return [each for each in found if each is not None]
