"""Checks of the archive's disk: room, scheduler, mount, and what it truly takes against the configured rate."""

from __future__ import annotations

from pathlib import PurePosixPath

from nanotape.capture.host.check import Check, Verdict, fail, info, ok, warn
from nanotape.capture.host.cores import NO_CORE
from nanotape.capture.host.facts import Host
from nanotape.capture.host.root import HostRoot, Unreadable, cpu_list, cpu_text

_FREE_SHARE = 0.1
_MB = 1e6
_GIB = 1 << 30
_DISKS = ("nvme", "ahci", "megasas", "mpt2sas", "mpt3sas")


def mount_of(root: HostRoot, path: str) -> tuple[str, str, str]:
    """Device, type and options of the file system that a path is on.

    Raises:
        Unreadable: The mounts cannot be read, or hold none.
    """
    place = PurePosixPath(path)
    rows = [line.split() for line in root.lines("proc/mounts")]
    held = [row for row in rows if len(row) > 3 and place.is_relative_to(row[1])]
    if not held:
        raise Unreadable(f"/proc/mounts: nothing is mounted above {path}")
    best = max(enumerate(held), key=lambda item: (len(item[1][1]), item[0]))[1]
    return best[0], best[2], best[3]


def mounted(host: Host) -> Verdict:
    """Row 45."""
    device, kind, options = mount_of(host.root, host.needs.archive)
    told = f"{kind} on {device}, {options}"
    flags = options.split(",")
    if "ro" in flags:
        return fail(told, f"mount -o remount,rw the file system of {host.needs.archive}")
    if kind in ("tmpfs", "nfs", "nfs4", "cifs", "overlay"):
        return warn(told, "a local disk: ext4 or xfs")
    return ok(told) if {"noatime", "relatime"} & set(flags) else info(told, "mount with noatime")


def _block_device(host: Host) -> str:
    device = mount_of(host.root, host.needs.archive)[0]
    name = PurePosixPath(device).name
    if not device.startswith("/dev/"):
        raise Unreadable(f"{device}: no block device is told for {host.needs.archive}")
    if host.root.exists(f"sys/block/{name}"):
        return name
    disks = host.root.names("sys/block")
    owner = next((disk for disk in disks if host.root.exists(f"sys/block/{disk}/{name}")), None)
    if owner is None:
        raise Unreadable(f"/sys/block: knows no disk of {device}")
    return owner


def scheduler(host: Host) -> Verdict:
    """Row 45."""
    name = _block_device(host)
    queue = f"sys/block/{name}/queue"
    found = host.root.chosen(f"{queue}/scheduler")
    spins = host.root.optional(f"{queue}/rotational") == "1"
    told = f"{name}: {found}{', rotating' if spins else ''}"
    good = ("none", "mq-deadline", "kyber") if not spins else ("mq-deadline", "bfq")
    if found in good:
        return ok(told)
    return warn(told, f"echo {good[0]} > /{queue}/scheduler")


def room(host: Host) -> Verdict:
    """Row 45."""
    if host.free_bytes is None:
        raise Unreadable("the file system's room is not asked for here")
    free, total = host.free_bytes(host.needs.archive)
    share = free / total if total else 0.0
    told = f"{free / _GIB:,.1f} GiB ({share:.0%}) free"
    if share < _FREE_SHARE:
        return warn(told, "nanotape compact; retention in [archive]; a larger disk")
    return ok(told)


def speed(host: Host) -> Verdict:
    """What was written in the measure, against what `[ring] hold` says may arrive."""
    wanted = host.needs.disk_bytes_s
    found = host.measured.disk_bytes_s if host.measured else None
    if found is None:
        reason = host.measured.disk_reason if host.measured else "nanotape doctor --measure 5"
        raise Unreadable(f"not measured: {reason}")
    told = f"{found / _MB:,.0f} MB/s"
    if wanted is None:
        return info(f"{told}; no rate is configured", '[ring] hold = "10s at 2Mpps of 242B"')
    goal = f"{wanted / _MB:,.0f} MB/s, uncompressed"
    fix = "a faster disk, or [recorder] compression_level: see docs/archive-performance.md"
    return ok(told, goal) if found >= wanted else warn(told, fix, goal)


def interrupts(host: Host) -> Verdict:
    """Row 45: a disk's interrupts on the loop's cores."""
    if not host.needs.cores:
        return info(NO_CORE)
    rows = [line.split() for line in host.root.lines("proc/interrupts")]
    disks = {row[0].rstrip(":"): row[-1] for row in rows if len(row) > 1 and row[-1].startswith(_DISKS)}
    places = {number: host.root.optional(f"proc/irq/{number}/effective_affinity_list") or "" for number in disks}
    found = [disks[number] for number, allowed in places.items() if cpu_list(allowed) & host.needs.cores]
    if not found:
        return ok(f"none on {cpu_text(host.needs.cores)}")
    return warn(
        ", ".join(found[:6]), "kernel command line: isolcpus=managed_irq,domain,... keeps a disk's queues off them"
    )


CHECKS = (
    Check("disk.mount", "a local file system, writable", "the recorder's write must never wait for a network", mounted),
    Check("disk.scheduler", "none or mq-deadline", "others hold writes back to sort them", scheduler),
    Check("disk.room", "10 % free", "a full disk stops the recorder", room),
    Check(
        "disk.speed", "above the configured rate", "what the disk cannot take the ring holds only for a while", speed
    ),
    Check("disk.interrupts", "not on the loop's cores", "each finished write interrupts a core", interrupts),
)
"""Of the theme `disk`."""
