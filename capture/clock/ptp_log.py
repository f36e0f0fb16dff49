"""Lines of the logs of ptp4l, phc2sys and ts2phc, as typed facts: on standard output or in syslog, 3.1 to 4.4.

Bodies are matched at the end of the line, so that any `message_tag` before them is passed over. A line that is none of
linuxptp's is no error, and counted by `LogReader`.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

Program = Literal["ptp4l", "phc2sys", "ts2phc"]


@dataclass(frozen=True, slots=True)
class ServoSample:
    """One measurement of one clock. Offsets are clock minus its master."""

    clock: str | None
    """`CLOCK_REALTIME`, a device or an interface; None: ptp4l's own clock."""
    source: str | None
    """phc2sys: `phc`, `sys` or `pps`."""
    offset_ns: int
    servo: int | None
    """0 unlocked, 1 steps, 2 locked, 3 locked and stable; None: only measured."""
    freq_ppb: int | None
    """By how much the clock is fast, as the servo reckons; the correction in force is its opposite."""
    delay_ns: int | None
    holdover: bool = False


@dataclass(frozen=True, slots=True)
class ServoSummary:
    """Several measurements in one line."""

    clock: str | None
    rms_ns: int
    max_ns: int
    freq_ppb: int
    freq_spread_ppb: int
    delay_ns: int | None
    delay_spread_ns: int | None


@dataclass(frozen=True, slots=True)
class PortTransition:
    """A port went from one PTP state to another."""

    port: int
    interface: str | None
    """3.1 does not say it."""
    before: str
    after: str
    event: str
    fault: str | None


NoticeKind = Literal[
    "clockcheck", "utc_offset", "leap", "leap_pause", "holdover_lost", "grandmaster", "foreign_master", "link",
    "no_ptp4l", "tx_timestamp", "adjust_failed", "phc", "no_phc",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Notice:
    """Something else that a state of a clock may rest on."""

    what: NoticeKind
    detail: str
    """Its line, without prefix and tag."""
    value: int | str | None = None
    """`utc_offset`: seconds; `leap`: -1, 0 or 1; `grandmaster`: its identity; `phc`: the device;
    `holdover_lost`: the offset in ns."""
    subject: str | None = None
    """Clock or interface that it is about."""


Fact = ServoSample | ServoSummary | PortTransition | Notice


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of a log of linuxptp."""

    program: Program
    pid: int | None
    """Known from syslog only, where it is set up so."""
    monotonic_s: float
    """CLOCK_MONOTONIC of its host as it was written."""
    fact: Fact | None
    """None: it says nothing that is understood here."""


_PROGRAMS = "(?:ptp4l|phc2sys|ts2phc)"
_STDOUT = re.compile(rf"(?P<program>{_PROGRAMS})\[(?P<monotonic>\d{{1,12}}\.\d{{3}})\]: (?P<body>.*)", re.ASCII)
_SYSLOG = re.compile(
    rf"(?:.*\s)?(?P<program>{_PROGRAMS})(?:\[(?P<pid>\d{{1,9}})\])?: "
    r"\[(?P<monotonic>\d{1,12}\.\d{3})\]:? (?P<body>.*)",
    re.ASCII,
)
_INT = r"[+-]?\d{1,19}"
_SERVO = rf" s(?P<servo>[0-3]) freq +(?P<freq>{_INT})"
_PTP4L = re.compile(rf"(?:^|.*\s)master offset +(?P<offset>{_INT}){_SERVO} path delay +(?P<delay>{_INT})", re.ASCII)
_PHC2SYS = re.compile(
    rf"(?:^|.*\s)(?P<clock>\S+) (?P<source>phc|sys|pps|ptp) offset +(?P<offset>{_INT}){_SERVO}"
    rf"(?: delay +(?P<delay>{_INT}))?",
    re.ASCII,
)
_TS2PHC = re.compile(
    rf"(?:^|.*\s)(?P<clock>(?!master )\S+)(?: master)? offset +(?P<offset>{_INT})(?:{_SERVO}(?P<holdover> holdover)?)?",
    re.ASCII,
)
_RMS = (
    rf"rms +(?P<rms>\d{{1,19}}) max +(?P<max>\d{{1,19}}) freq +(?P<freq>{_INT}) \+/- +(?P<freq_spread>\d{{1,19}})"
    rf"(?: delay +(?P<delay>{_INT}) \+/- +(?P<delay_spread>\d{{1,19}}))?"
)
_PTP4L_SUMMARY = re.compile(rf"(?:^|.*\s){_RMS}", re.ASCII)
_CLOCK_SUMMARY = re.compile(rf"(?:^|.*\s)(?P<clock>\S+) {_RMS}", re.ASCII)
_PORT = re.compile(
    r"(?:^|.*\s)port (?P<port>\d{1,5})(?: \((?P<interface>[^)]+)\))?: (?P<before>[A-Z_]+) to (?P<after>[A-Z_]+)"
    r" on (?P<event>[A-Z_]+)(?: \((?P<fault>[^)]+)\))?",
    re.ASCII,
)
_IDENTITY = r"[0-9a-f]{6}\.[0-9a-f]{4}\.[0-9a-f]{6}"
_BODIES: tuple[tuple[NoticeKind, str], ...] = (
    ("clockcheck", r"clockcheck: clock (?:jumped .+|frequency changed .+)"),
    ("utc_offset", r"updating UTC offset to (?P<value>-?\d{1,5})"),
    ("leap", r"updating time properties to (?P<value>insert|delete|no) leap second"),
    ("leap_pause", r"clock update suspended due to leap second"),
    ("holdover_lost", rf"(?P<subject>\S+) lost holdover lock \(offset +(?P<value>{_INT})\)"),
    ("grandmaster", rf"selected best master clock (?P<value>{_IDENTITY})"),
    ("foreign_master", rf"port \d+(?: \((?P<subject>[^)]+)\))?: new foreign master (?P<value>{_IDENTITY}-\d+)"),
    ("link", r"port \d+(?: \((?P<subject>[^)]+)\))?: link (?P<value>up|down)"),
    ("no_ptp4l", r"(?:Waiting for ptp4l\.\.\.|Lost connection to ptp4l.*)"),
    ("tx_timestamp", r"timed out while polling for tx timestamp"),
    ("adjust_failed", r"failed to (?:adjust the clock|step clock|set the clock status).*"),
    ("phc", r"selected /dev/(?P<value>ptp\d+) as PTP clock"),
    ("no_phc", r"interface (?P<subject>\S+) does not have a PHC"),
)
_NOTICES = tuple((what, re.compile(rf"(?:^|.*\s)(?P<detail>{body})", re.ASCII)) for what, body in _BODIES)
_LEAPS = {"insert": 1, "delete": -1, "no": 0}
_LONGEST = 2000


def read_line(line: str) -> LogLine | None:
    """Reads one line. None: it is none of linuxptp's."""
    line = line.rstrip()
    found = None if len(line) > _LONGEST else _STDOUT.fullmatch(line) or _SYSLOG.fullmatch(line)
    if not found:
        return None
    program: Program = found["program"]  # type: ignore[assignment] # the pattern lets no other through
    pid = found.groupdict().get("pid")
    return LogLine(program, int(pid) if pid else None, float(found["monotonic"]), _fact(program, found["body"]))


def _fact(program: Program, body: str) -> Fact | None:
    sample = {"ptp4l": _PTP4L, "phc2sys": _PHC2SYS, "ts2phc": _TS2PHC}[program].fullmatch(body)
    if sample:
        return _sample(sample)
    summary = (_PTP4L_SUMMARY if program == "ptp4l" else _CLOCK_SUMMARY).fullmatch(body)
    if summary:
        return _summary(summary)
    port = _PORT.fullmatch(body)
    if port:
        named = port.groupdict()
        return PortTransition(
            int(port["port"]), named["interface"], port["before"], port["after"], port["event"], named["fault"]
        )
    return _notice(body)


def _sample(found: re.Match[str]) -> ServoSample:
    named = found.groupdict()
    return ServoSample(
        clock=named.get("clock"),
        source=named.get("source"),
        offset_ns=int(found["offset"]),
        servo=_number(named["servo"]),
        freq_ppb=_number(named["freq"]),
        delay_ns=_number(named.get("delay")),
        holdover=bool(named.get("holdover")),
    )


def _summary(found: re.Match[str]) -> ServoSummary:
    named = found.groupdict()
    return ServoSummary(
        clock=named.get("clock"),
        rms_ns=int(found["rms"]),
        max_ns=int(found["max"]),
        freq_ppb=int(found["freq"]),
        freq_spread_ppb=int(found["freq_spread"]),
        delay_ns=_number(named["delay"]),
        delay_spread_ns=_number(named["delay_spread"]),
    )


def _notice(body: str) -> Notice | None:
    for what, pattern in _NOTICES:
        found = pattern.fullmatch(body)
        if found:
            named = found.groupdict()
            text = named.get("value")
            value: int | str | None = text
            if what == "leap":
                value = _LEAPS[text or "no"]
            elif what in ("utc_offset", "holdover_lost"):
                value = _number(text)
            return Notice(what, found["detail"], value, named.get("subject"))
    return None


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)


class LogReader:
    """Reads lines, and counts what it could not read."""

    def __init__(self) -> None:
        """Has read nothing."""
        self.lines = 0
        self.garbage = 0
        """Lines that are none of linuxptp's."""
        self.not_understood = 0
        """Lines of linuxptp's that say nothing that is understood here; most are of no consequence."""

    def read(self, lines: Iterable[str]) -> Iterator[LogLine]:
        """The lines that say something."""
        for line in lines:
            self.lines += 1
            read = read_line(line)
            if read is None:
                self.garbage += 1
            elif read.fact is None:
                self.not_understood += 1
            else:
                yield read
