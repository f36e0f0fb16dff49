"""What happens on a host over some seconds: two looks at the kernel's counters, and what the disk takes meanwhile.

Changes nothing but one file of its own beside the archive, which it removes.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from nanotape.capture.host.cores import OWN_NAMES
from nanotape.capture.host.facts import Measured, NicReader
from nanotape.capture.host.interrupts import smi_counts
from nanotape.capture.host.nic import GROWS
from nanotape.capture.host.root import HostRoot, Unreadable

_BLOCK_BYTES = 4 << 20
_MOST_BYTES = 1 << 30
_LOSSES = re.compile("nodesc|out_of_buffer|discard|missed|no_buf|drop", re.IGNORECASE)
"""In the names that drivers give to what they lost."""
_STEAL = 8
"""Column of /proc/stat, the name included."""
_DROPPED, _SQUEEZED = 1, 2
"""Columns of /proc/net/softnet_stat: its backlog was full; its budget of one round ran out."""

PerCpu = Mapping[str, Mapping[int, int]]


@dataclass(frozen=True, slots=True)
class Sample:
    """One look. A part that cannot be read is empty, or None."""

    interrupts: PerCpu
    names: Mapping[str, str]
    softirqs: PerCpu
    steal: Mapping[int, int]
    nic: Mapping[tuple[str, str], int]
    driver: Mapping[tuple[str, str], int]
    preempted: int | None
    udp_errors: int | None
    softnet_drops: int | None
    smis: Mapping[int, int]
    squeezed: int | None


def sample(
    root: HostRoot, interfaces: tuple[str, ...] = (), nics: NicReader | None = None, cores: Collection[int] = ()
) -> Sample:
    """Looks once.

    Args:
        root: The host.
        interfaces: Whose drops are counted.
        nics: Who is asked for the counters of their drivers; None: nobody.
        cores: Whose system management interrupts are counted.
    """
    interrupts, names = interrupt_counts(root.optional("proc/interrupts") or "")
    softirqs, _ = interrupt_counts(root.optional("proc/softirqs") or "")
    nic = {(interface, name): _number(root, f"sys/class/net/{interface}/statistics/{name}")
           for interface in interfaces for name in GROWS}  # fmt: skip
    return Sample(
        interrupts, names, softirqs, _steal(root.optional("proc/stat") or ""),
        {key: count for key, count in nic.items() if count is not None},
        {} if nics is None else _driver(nics, interfaces),
        _preempted(root),
        _udp_errors(root.optional("proc/net/snmp") or ""), _softnet(root, _DROPPED),
        _smis(root, cores), _softnet(root, _SQUEEZED),
    )  # fmt: skip


def interrupt_counts(text: str) -> tuple[dict[str, dict[int, int]], dict[str, str]]:
    """/proc/interrupts or /proc/softirqs: counts by row and CPU, and what each row is called by people."""
    lines = text.splitlines()
    cpus = [int(word.removeprefix("CPU")) for word in lines[0].split()] if lines else []
    counts: dict[str, dict[int, int]] = {}
    names: dict[str, str] = {}
    for line in lines[1:]:
        name, _, rest = line.strip().partition(":")
        words = rest.split()
        values = [word for word in words[: len(cpus)] if word.isdigit()]
        if len(values) < len(cpus):  # ERR and MIS are of no CPU
            continue
        counts[name] = dict(zip(cpus, map(int, values), strict=True))
        told = words[len(cpus) :]
        names[name] = (told[-1] if name.isdigit() else name) if told else name
    return counts, names


def between(before: Sample, after: Sample, seconds: float) -> Measured:
    """The growth. What was not there before counts from 0; what is gone is left out."""
    return Measured(
        seconds,
        _grown(before.interrupts, after.interrupts),
        after.names,
        _grown(before.softirqs, after.softirqs),
        {cpu: count - before.steal.get(cpu, 0) for cpu, count in after.steal.items()},
        {key: count - before.nic[key] for key, count in after.nic.items() if key in before.nic},
        _difference(before.preempted, after.preempted),
        {key: count - before.driver[key] for key, count in after.driver.items() if key in before.driver},
        _difference(before.udp_errors, after.udp_errors),
        _difference(before.softnet_drops, after.softnet_drops),
        {cpu: count - before.smis[cpu] for cpu, count in after.smis.items() if cpu in before.smis},
        _difference(before.squeezed, after.squeezed),
    )


def measure(
    root: HostRoot,
    interfaces: tuple[str, ...],
    seconds: float,
    clock: Callable[[], float],
    sleep: Callable[[float], object],
    disk: Callable[[float], tuple[float | None, str]] | None = None,
    nics: NicReader | None = None,
    cores: Collection[int] = (),
) -> Measured:
    """Looks twice, some seconds apart; the disk is tried after that, so that its interrupts are not counted.

    Args:
        root: The host.
        interfaces: Whose drops are counted.
        seconds: How long.
        clock: Seconds, monotonic.
        sleep: Waits some seconds.
        disk: Tries the disk for some seconds: bytes a second, or None and why not. None: it is not tried.
        nics: Who is asked for the counters of drivers; None: nobody.
        cores: Whose system management interrupts are counted.
    """
    begun = clock()
    before = sample(root, interfaces, nics, cores)
    sleep(seconds)
    found = between(before, sample(root, interfaces, nics, cores), max(clock() - begun, 1e-3))
    if disk is None:
        return found
    speed, reason = disk(min(seconds, 3.0))
    return replace(found, disk_bytes_s=speed, disk_reason=reason)


def disk_speed(archive: Path, seconds: float, clock: Callable[[], float]) -> tuple[float | None, str]:
    """Bytes a second that the archive's file system takes, synced at the end; None and why not.

    Writes at most a GiB, and never more than a quarter of what is free, into an unnamed file.
    """
    place = nearest_folder(archive)
    block = os.urandom(_BLOCK_BYTES)
    try:
        room = os.statvfs(place)
        most = min(_MOST_BYTES, room.f_bavail * room.f_frsize // 4)
        with tempfile.TemporaryFile(dir=place, prefix=".nanotape-doctor-") as file:
            begun, written = clock(), 0
            while written + _BLOCK_BYTES <= most and clock() - begun < seconds:
                written += file.write(block)
            file.flush()
            os.fdatasync(file.fileno())
            took = clock() - begun
    except OSError as error:
        return None, f"{place}: {error.strerror}"
    return (written / took, "") if written and took > 0 else (None, f"{place}: no room to try")


def nearest_folder(path: Path) -> Path:
    """The path, or the nearest above it that is a folder as far as this user can see."""
    return next((folder for folder in (path, *path.parents) if os.path.isdir(folder)), path)


def _grown(before: PerCpu, after: PerCpu) -> dict[str, dict[int, int]]:
    return {name: {cpu: count - before.get(name, {}).get(cpu, 0) for cpu, count in row.items()}
            for name, row in after.items()}  # fmt: skip


def _difference(before: int | None, after: int | None) -> int | None:
    return None if before is None or after is None else after - before


def _number(root: HostRoot, name: str) -> int | None:
    try:
        return root.number(name)
    except Unreadable:
        return None


def _driver(nics: NicReader, interfaces: tuple[str, ...]) -> dict[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = {}
    for interface in interfaces:
        try:
            counters = nics.statistics(interface)
        except Unreadable:
            continue
        # XDP's drops are what a program asked for, and tx is none of ours.
        names = [name for name in counters if _LOSSES.search(name) and not re.search("xdp|tx", name)]
        found.update({(interface, name): counters[name] for name in names})
    return found


def pinned_loops(root: HostRoot) -> list[tuple[int, Mapping[str, str]]]:
    """Threads of captures that are pinned to one CPU, which are their loops: the CPU, and the fields of `status`.

    Raises:
        Unreadable: Processes cannot be listed.
    """
    pids = [pid for pid in root.names("proc") if pid.isdigit()]
    folders = [f"proc/{pid}/task" for pid in pids if (root.optional(f"proc/{pid}/comm") or "").startswith(OWN_NAMES)]
    texts = [root.optional(f"{folder}/{task}/status") or "" for folder in folders for task in _tasks(root, folder)]
    found = [
        {name: value.strip() for name, _, value in (line.partition(":") for line in text.splitlines())}
        for text in texts
    ]
    return [(int(cpus), each) for each in found if (cpus := each.get("Cpus_allowed_list", "")).isdigit()]


def _tasks(root: HostRoot, folder: str) -> list[str]:
    try:
        return root.names(folder)
    except Unreadable:  # it has ended meanwhile
        return []


def _preempted(root: HostRoot) -> int | None:
    try:
        told = [fields.get("nonvoluntary_ctxt_switches", "") for _, fields in pinned_loops(root)]
    except Unreadable:
        return None
    counts = [int(count) for count in told if count.isdigit()]
    return sum(counts) if counts else None


def _steal(text: str) -> dict[int, int]:
    rows = [line.split() for line in text.splitlines() if line.startswith("cpu") and line[3:4].isdigit()]
    return {int(row[0][3:]): int(row[_STEAL]) for row in rows if len(row) > _STEAL}


def _udp_errors(text: str) -> int | None:
    rows = [line.split()[1:] for line in text.splitlines() if line.startswith("Udp:")]
    found = dict(zip(*rows, strict=False)) if len(rows) == 2 else {}
    return int(found["RcvbufErrors"]) if "RcvbufErrors" in found else None


def _softnet(root: HostRoot, column: int) -> int | None:
    """A column of all CPUs' lines together, which are hexadecimal."""
    text = root.optional("proc/net/softnet_stat")
    return None if text is None else sum(int(line.split()[column], 16) for line in text.splitlines())


def _smis(root: HostRoot, cores: Collection[int]) -> Mapping[int, int]:
    try:
        return smi_counts(root, cores)
    except Unreadable:
        return {}
