"""Which running processes steer which of this host's clocks, found out from /proc. Touches nothing.

Who steers is taken from the command line and the configuration file that it names. What cannot be read is taken for one
that steers: beside it nothing is started. Processes of other PID namespaces, such as a container's host, are not seen.
"""

import contextlib
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nanotape.capture.clock.clock_options import ProgramOptions, read_options
from nanotape.capture.clock.observation import SYSTEM
from nanotape.capture.clock.ptp_observation import PortHint

ANY_PHC = "*"
"""Every NIC's clock, as far as anybody can tell."""
_SYSTEM_SINK = "CLOCK_REALTIME"

Owned = Callable[[ProgramOptions], set[str]]
"""Clocks that a program steers, by its options: `system`, an interface, a device, or ANY_PHC."""


@dataclass(frozen=True, slots=True)
class ClockOwner:
    """A process that could steer clocks."""

    name: str
    pid: int
    clocks: frozenset[str]
    """`system`, an interface, a device such as `ptp0`, or ANY_PHC; none where it only measures."""
    options: ProgramOptions = field(default_factory=ProgramOptions, compare=False, repr=False)


def clock_owners(proc: Path = Path("/proc")) -> list[ClockOwner]:
    """Who runs here and could steer a clock, by process id."""
    found: dict[tuple[str, frozenset[str]], ClockOwner] = {}
    for pid in sorted(int(entry.name) for entry in proc.iterdir() if entry.name.isdigit()):
        owner = _owner(proc / str(pid), pid)
        if owner:
            found.setdefault((owner.name, owner.clocks), owner)  # chronyd and ntpd are two processes each
    return list(found.values())


def conflicts(
    wanted: Iterable[str], owners: Iterable[ClockOwner], phc_of: Callable[[str], str | None] = lambda _: None
) -> list[str]:
    """A line for each process that steers what is to be steered.

    Args:
        wanted: CLOCK_REALTIME, or interfaces.
        owners: Who runs.
        phc_of: Names the clock of an interface, of which several may share one.
    """
    mine = {_canonical(clock, phc_of): clock for clock in wanted}
    lines = []
    for owner in owners:
        theirs = {_canonical(clock, phc_of) for clock in owner.clocks}
        shared = [each for each in mine if each in theirs or (ANY_PHC in theirs and each != SYSTEM)]
        if shared:
            words = " and ".join(_words(each, mine[each]) for each in shared)
            lines.append(
                f"expected nobody else to steer {words}, found {owner.name} (process {owner.pid}), which owns "
                f'{"it" if len(shared) == 1 else "them"}: stop it, or set clock.mode = "watch"'
            )
    return lines


def _words(clock: str, wanted: str) -> str:
    return "the system clock" if clock == SYSTEM else f"the clock of {wanted}"


def _canonical(clock: str, phc_of: Callable[[str], str | None]) -> str:
    if clock in (_SYSTEM_SINK, SYSTEM):
        return SYSTEM
    if clock.startswith("/dev/"):
        return clock.removeprefix("/dev/")
    return clock if clock == ANY_PHC else phc_of(clock) or clock


def _owner(process: Path, pid: int) -> ClockOwner | None:
    try:
        stat = (process / "stat").read_text(encoding="utf-8", errors="replace")
        command = (process / "cmdline").read_bytes().split(b"\0")[:-1]
    except OSError:
        return None  # it has ended meanwhile
    comm, _, rest = stat.partition("(")[2].rpartition(")")
    if rest.split()[:1] in (["Z"], ["X"]):
        return None
    arguments = [os.fsdecode(each) for each in command]
    program = Path(arguments[0]).name if arguments else comm
    name = next((each for each in (program, comm) if each in _PROGRAMS), None)
    if name is None:
        return None
    read = read_options(name, arguments[1:], lambda path: _file_of(process, path))
    return ClockOwner(_SHOWN.get(name, name), pid, frozenset(_PROGRAMS[name](read)), read)


def _file_of(process: Path, path: str) -> str | None:
    """A file as that process sees it, or as we do where that is hidden from us; None: it cannot be read."""
    try:
        inside = path if path.startswith("/") else os.path.join(os.readlink(process / "cwd"), path)
        return _read(process / "root" / inside.lstrip("/"))
    except PermissionError:  # root's process, and we are somebody else: who manages clocks is root
        with contextlib.suppress(OSError):
            return _read(Path(path)) if path.startswith("/") else None
    except OSError:
        pass
    return None


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def _system(_: ProgramOptions) -> set[str]:
    return {SYSTEM}


def _everything(_: ProgramOptions) -> set[str]:
    return {SYSTEM, ANY_PHC}


def _chronyd(read: ProgramOptions) -> set[str]:
    return set() if read.is_known and ("-x" in read.flags or "-Q" in read.flags) else {SYSTEM}


def _ptp4l(read: ProgramOptions) -> set[str]:
    if not read.is_known:
        return {SYSTEM, ANY_PHC}
    if read.value("free_running") == "1":
        return set()
    if not _stamps_in_hardware(read):
        return {SYSTEM}
    # -p: the PHC itself, whatever the interfaces have.
    return {*read.values("-i"), *read.values("-p"), *read.sections} or {ANY_PHC}


def _stamps_in_hardware(read: ProgramOptions) -> bool:
    if read.flags & {"-H", "-L"}:
        return True
    return "-S" not in read.flags and read.value("time_stamping") != "software"


def _phc2sys(read: ProgramOptions) -> set[str]:
    if not read.is_known:
        return {SYSTEM, ANY_PHC}
    servo = (*read.values("-E"), read.value("clock_servo"))
    if read.value("free_running") == "1" or "ntpshm" in servo or "refclock_sock" in servo:
        return set()  # it measures, or hands over to somebody who steers
    if "-a" in read.flags:
        return {ANY_PHC, *([SYSTEM] if "-r" in read.flags else [])}
    return {SYSTEM if each == _SYSTEM_SINK else each for each in read.values("-c")} or {SYSTEM}


def _ts2phc(read: ProgramOptions) -> set[str]:
    if not read.is_known:
        return {ANY_PHC}
    if read.value("free_running") == "1":
        return set()
    sources = set(read.values("-s"))
    return ({*read.values("-c"), *read.sections} - sources) or {ANY_PHC}


_PROGRAMS: Mapping[str, Owned] = {
    "chronyd": _chronyd,
    "ntpd": _system,
    "openntpd": _system,
    "systemd-timesyncd": _system,
    "systemd-timesyn": _system,  # as far as the kernel keeps names
    "ptp4l": _ptp4l,
    "phc2sys": _phc2sys,
    "ts2phc": _ts2phc,
    "sfptpd": _everything,
    "ptpd": _system,
    "ptpd2": _system,
}
_SHOWN = {"systemd-timesyn": "systemd-timesyncd"}


def port_hint(domain: int, owners: Iterable[ClockOwner]) -> PortHint | None:
    """What the one ptp4l of a domain was started with; None: there is none, there are several, or it cannot be read.

    Args:
        domain: PTP domain number.
        owners: Who runs.
    """
    found = [
        each.options
        for each in owners
        if each.name == "ptp4l" and each.options.is_known and (each.options.value("domainNumber") or "0") == str(domain)
    ]
    if len(found) != 1:
        return None
    (read,) = found
    interfaces = (*read.values("-i"), *read.sections)
    return PortHint(interfaces[0] if len(interfaces) == 1 else None, _stamps_in_hardware(read))
