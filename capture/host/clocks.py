"""Checks of clocks: the counter that time is read from, and whether somebody keeps it right."""

from __future__ import annotations

from nanotape.capture.clock.clock_owners import clock_owners
from nanotape.capture.host.check import Check, Verdict, fail, info, ok, warn
from nanotape.capture.host.facts import Host
from nanotape.capture.host.root import Unreadable

_SOURCE = "sys/devices/system/clocksource/clocksource0"
_SYSTEM = "system"


def source(host: Host) -> Verdict:
    """Row 26."""
    found = host.root.text(f"{_SOURCE}/current_clocksource")
    available = host.root.optional(f"{_SOURCE}/available_clocksource") or "unknown"
    if found in ("tsc", "arch_sys_counter"):
        return ok(found)
    told = f"{found}; available: {available}"
    if "tsc" in available.split():
        return fail(told, f"echo tsc > /{_SOURCE}/current_clocksource; kernel command line: tsc=reliable")
    if found == "kvm-clock":
        return warn(told, "read without a system call, but a host's clock: let the hypervisor offer an invariant TSC")
    return fail(told, "see dmesg for why the TSC was marked unstable: firmware, or a guest without an invariant TSC")


def counter(host: Host) -> Verdict:
    """Row 26: flags of the CPU."""
    line = next((row for row in host.root.lines("proc/cpuinfo") if row.startswith("flags")), None)
    if line is None:
        raise Unreadable("/proc/cpuinfo: tells no x86 flags")
    lacking = [flag for flag in ("constant_tsc", "nonstop_tsc") if flag not in line.split()]
    return (
        warn(f"without {', '.join(lacking)}", "another CPU, or a guest with an invariant TSC")
        if lacking
        else ok("both")
    )


def synchronised(host: Host) -> Verdict:
    """Row 44."""
    found = host.clock()
    if found.is_synchronised:
        return ok(found.told)
    return fail(found.told, "see nanotape clock; start ptp4l and phc2sys, or chronyd ([clock] mode, docs/clock.md)")


def tai(host: Host) -> Verdict:
    """Row 44: TAI minus UTC in the kernel."""
    found = host.clock().tai_s
    if found is not None:
        return ok(f"{found} s")
    return warn("not set: the kernel takes TAI for UTC", "run ptp4l with phc2sys, or chronyd with leapsectz right/UTC")


def owners(host: Host) -> Verdict:
    """Row 44: two daemons that steer one clock fight."""
    try:
        found = [owner for owner in clock_owners(host.root.path / "proc") if _SYSTEM in owner.clocks]
    except OSError as error:
        raise Unreadable(f"/proc: {error.strerror}") from None
    told = ", ".join(f"{owner.name} (process {owner.pid})" for owner in found)
    if len({owner.name for owner in found}) > 1:
        return fail(told, "stop all but one: each undoes what the other did")
    return ok(told) if found else info("nobody steers the system clock that can be seen here")


CHECKS = (
    Check("clock.source", "tsc", "others cost a system call or a microsecond at each read", source),
    Check(
        "clock.counter", "constant_tsc and nonstop_tsc", "else the counter changes its pace with the frequency", counter
    ),
    Check("clock.sync", "synchronised", "stamps are worth what the clock is", synchronised),
    Check("clock.tai", "37 s since 2017", "poll times are TAI, and are converted by the kernel's offset", tai),
    Check("clock.owners", "at most one daemon", "two that steer the same clock fight", owners),
)
"""Of the theme `clock`."""
