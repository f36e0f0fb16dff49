"""What sfptpd says of the clocks that it disciplines: the newest lines of its `json_stats` file. Only reads.

A line is an object for each sync instance or servo and second, as sfptpd's `sfptpd_log_render_rt_stat_json` writes it:
offsets are slave minus master in nanoseconds, stamps are the daemon's local time. Its NIC clocks read UTC.
"""

import json
import math
import os
import re
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

from nanotape.capture.clock.observation import SYSTEM, Observation

STALE_AFTER_NS = 5 * 10**9
"""sfptpd writes each second, or as `stats_interval` says."""
_TAIL_BYTES = 64 * 1024
"""Enough for some seconds of a host with many NICs: a line has some 500 bytes."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PHC = re.compile(r"phc(\d+)\b")
_NO_MASTER = ("no-sync-pkts", "pps-no-signal", "no-time-of-day")
"""Alarms that mean that nobody is heard."""


@dataclass(frozen=True, slots=True)
class SfptpdLine:
    """One line."""

    instance: str
    at_ns: int
    """UTC, to a microsecond."""
    master: str
    """A clock, or `gm`, `ntp`, `pps` and the like."""
    clock: str
    """`system`, or a PHC's device."""
    interface: str | None
    """Of a PHC: the primary one."""
    is_disciplining: bool
    is_in_sync: bool
    alarms: tuple[str, ...]
    offset_ns: float | None
    freq_ppb: float | None
    path_delay_ns: float | None
    grandmaster: str | None
    measured: int | None
    """Time of the clock at the measurement, where it is told, in ns; only a mark."""


@dataclass(frozen=True, slots=True)
class SfptpdLook:
    """One look."""

    observations: tuple[Observation, ...]
    garbage: int
    """Lines that could not be read."""
    reason: str | None = None
    """Why there is no observation."""


def observe_sfptpd(
    path: Path, at_ns: int, stale_after_ns: int = STALE_AFTER_NS, zone: tzinfo | None = None
) -> SfptpdLook:
    """One look, an observation for each clock that the newest lines name.

    Args:
        path: Of `json_stats`.
        at_ns: UTC, now.
        stale_after_ns: Without a line for longer, nobody is known to be heard.
        zone: That sfptpd runs in; None: this process's.
    """
    try:
        lines = _tail(path)
    except OSError as error:
        return SfptpdLook((), 0, f"{path}: {error.strerror}")
    read = [parse_line(line, at_ns, zone) for line in lines]
    known = [line for line in read if line is not None]
    garbage = len(read) - len(known)
    if not known:
        return SfptpdLook((), garbage, f"{path}: holds no line of sfptpd's statistics")
    newest = max(line.at_ns for line in known)
    latest = _latest(line for line in known if newest - line.at_ns <= stale_after_ns)
    age = at_ns - newest
    stale = f"{path}: sfptpd has written nothing for {age / 1e9:.0f} s" if age > stale_after_ns else None
    return SfptpdLook(tuple(_observation(line, latest, at_ns, stale) for line in latest.values()), garbage)


def parse_line(text: str, now_ns: int, zone: tzinfo | None = None) -> SfptpdLine | None:
    """One line; None: it is none of sfptpd's."""
    try:
        found = json.loads(text)
        master, slave, stats = found["clock-master"], found["clock-slave"], found["stats"]
        device, interface = _device(slave["name"]), slave.get("primary-interface")
        own_time = slave.get("time")
        return SfptpdLine(
            str(found["instance"]),
            _utc_ns(found["time"], now_ns, zone),
            _device(master["name"]),
            device,
            None if interface is None else str(interface),
            found["is-disciplining"] is True,
            found["in-sync"] is True,
            tuple(str(alarm).strip() for alarm in found["alarms"]),
            _number(stats, "offset"),
            _number(stats, "freq-adj"),
            _number(stats, "one-way-delay"),
            _identity(stats.get("gm-id")),
            None if own_time is None else _utc_ns(own_time, now_ns, zone),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        return None


def _tail(path: Path) -> list[str]:
    """The newest whole lines.

    Raises:
        OSError: It cannot be read, or is no file: a pipe's lines would be taken from whoever else reads it.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(0, "a file expected, found a pipe or a device; let json_stats name a file")
        begin = max(0, status.st_size - _TAIL_BYTES)
        file.seek(begin)
        lines = file.read(_TAIL_BYTES).split(b"\n")
    whole = lines[1 if begin else 0 : -1]  # neither the one that was begun before, nor the one being written
    return [line.decode(errors="replace") for line in whole if line.strip()]


def _utc_ns(text: str, now_ns: int, zone: tzinfo | None) -> int:
    """Of the daemon's local time; of the two that an hour set back has, the one nearer to now."""
    whole, _, fraction = text.partition(".")
    local = datetime.strptime(whole, "%Y-%m-%d %H:%M:%S")
    if fraction and not fraction.isdecimal():
        raise ValueError(fraction)
    part = int(fraction[:9].ljust(9, "0"))
    moments = []
    for fold in (0, 1):
        meant = local.replace(fold=fold)
        moments.append(meant.replace(tzinfo=zone) if zone is not None else meant.astimezone())
    seconds = [(moment - _EPOCH) // timedelta(seconds=1) for moment in moments]
    return min((second * 10**9 + part for second in seconds), key=lambda each: abs(each - now_ns))


def _device(name: str) -> str:
    """A PHC as this host names it: sfptpd's `phc0(eth0/eth1)` is /dev/ptp0."""
    match = _PHC.match(name)
    return f"ptp{match[1]}" if match else name


def _identity(text: str | None) -> str | None:
    """Sfptpd's `0011:22ff:fe33:4455` as pmc prints it; all zeros are nobody."""
    if text is None:
        return None
    digits = text.replace(":", "")
    if len(digits) != 16 or int(digits, 16) == 0:
        return None
    return f"{digits[:6]}.{digits[6:10]}.{digits[10:]}".lower()


def _number(stats: Mapping[str, Any], key: str) -> float | None:
    value = stats.get(key)
    if value is None:
        return None
    if not math.isfinite(number := float(value)):  # which json reads, though it is none
        raise ValueError(value)
    return number


def _latest(lines: Iterable[SfptpdLine]) -> dict[str, SfptpdLine]:
    """Of each clock the line of who disciplines it, else the newest."""
    found: dict[str, SfptpdLine] = {}
    for line in lines:
        held = found.get(line.clock)
        if held is None or (line.is_disciplining, line.at_ns) >= (held.is_disciplining, held.at_ns):
            found[line.clock] = line
    return found


def _observation(line: SfptpdLine, latest: Mapping[str, SfptpdLine], at_ns: int, stale: str | None) -> Observation:
    root = _root(line, latest)
    alarms = dict.fromkeys([*line.alarms, *(root.alarms if root is not None else ())])
    return Observation(
        clock=line.clock,
        at_ns=at_ns,
        interface=line.interface,
        source="sfptpd",
        method="sfptpd-json",
        has_master=None if stale else root is not None and not set(_NO_MASTER) & set(alarms),
        is_disciplined=line.is_disciplining,
        offset_ns=_offset_ns(line, latest),
        measured=line.measured or line.at_ns,
        path_delay_ns=line.path_delay_ns if root is None else root.path_delay_ns,
        phc_sys_ns=-line.offset_ns if line.offset_ns is not None and _follows_phc(line) else None,
        freq_ppb=line.freq_ppb,
        grandmaster=None if root is None else root.grandmaster,
        notes=tuple(_notes(line, root, alarms, stale)),
    )


def _offset_ns(line: SfptpdLine, latest: Mapping[str, SfptpdLine]) -> float | None:
    """From whom sfptpd follows, over all clocks between; of the system clock as of its PHC (see merge.py)."""
    chain = [line, *_above(line, latest)]
    if _is_of_this_host(chain[-1].master):
        return None  # it follows nobody
    if _follows_phc(line):
        del chain[0]
    offsets = [each.offset_ns for each in chain if each.offset_ns is not None]
    return math.fsum(offsets) if offsets and len(offsets) == len(chain) else None


def _root(line: SfptpdLine, latest: Mapping[str, SfptpdLine]) -> SfptpdLine | None:
    """The line at the end of the chain of clocks: that of whom sfptpd follows; None: it follows nobody."""
    *_, root = line, *_above(line, latest)
    return None if _is_of_this_host(root.master) else root


def _above(line: SfptpdLine, latest: Mapping[str, SfptpdLine]) -> list[SfptpdLine]:
    """The lines of the clocks that it follows, one after the other, as far as they are known."""
    found: list[SfptpdLine] = []
    seen = {line.clock}
    while _is_of_this_host(line.master):
        above = latest.get(line.master)
        if above is None or above.clock in seen:
            break
        seen.add(above.clock)
        found.append(above)
        line = above
    return found


def _is_of_this_host(master: str) -> bool:
    return master == SYSTEM or master.startswith("ptp")


def _follows_phc(line: SfptpdLine) -> bool:
    return line.clock == SYSTEM and line.master.startswith("ptp")


def _notes(line: SfptpdLine, root: SfptpdLine | None, alarms: Iterable[str], stale: str | None) -> Sequence[str]:
    told = [stale] if stale else []
    if root is None:
        told.append(f"sfptpd: {line.clock} follows {line.master}, which follows nobody")
    told += [f"sfptpd: alarm {alarm}" for alarm in alarms]
    if not line.is_in_sync:
        told.append(f"sfptpd: {line.clock} is not in sync by its own threshold")
    return told
