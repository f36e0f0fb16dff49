"""Checks of interrupts: where they may go, who moves them, and what truly came on the loop's cores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from nanotape.capture.host.check import Check, Verdict, fail, info, ok, warn
from nanotape.capture.host.cores import CPU, NO_CORE
from nanotape.capture.host.facts import Host, Measured
from nanotape.capture.host.root import HostRoot, Unreadable, cpu_list, cpu_text

TICKS_FINE_S = 2.0
"""Local timer interrupts a second that a core without a tick may have."""
NOT_MEASURED = "not measured: nanotape doctor --measure 5"
_SMI_REGISTER, _SMI_MASK = 0x34, 0xFFFF_FFFF
_TOLERATED = frozenset({"LOC"})


def managed(host: Host) -> Verdict:
    """Row 2."""
    if not host.needs.cores:
        return info(NO_CORE)
    line = host.root.command_line()
    cores = host.needs.cores
    isolcpus = line.get("isolcpus", "")
    is_managed = "managed_irq" in isolcpus.split(",") and cores <= cpu_list(isolcpus, "proc/cmdline: isolcpus")
    affine = line.get("irqaffinity")
    told = ", ".join(f"{name}={line[name]}" for name in ("isolcpus", "irqaffinity") if name in line) or "neither is set"
    if is_managed and affine is not None and not cpu_list(affine, "proc/cmdline: irqaffinity") & cores:
        return ok(told)
    others = cpu_text(housekeeping(host))
    return warn(told, f"kernel command line: isolcpus=managed_irq,domain,{cpu_text(cores)} irqaffinity={others}")


def housekeeping(host: Host) -> frozenset[int]:
    """CPUs that do all other work.

    Raises:
        Unreadable: Which are online is not to be read.
    """
    return host.root.cpus(f"{CPU}/online") - host.needs.cores


def own_irqs(host: Host) -> frozenset[str]:
    """Those of the configured NICs: a queue that is polled may interrupt its loop's own core."""
    found: set[str] = set()
    for interface in host.needs.interfaces:
        device = f"sys/class/net/{interface}/device"
        if host.root.real_name(device).startswith("virtio"):  # whose interrupts are those of the slot that it is in
            device += "/.."
        found.update(host.root.names(f"{device}/msi_irqs") if host.root.exists(f"{device}/msi_irqs") else ())
    return frozenset(found)


def affinity(host: Host) -> Verdict:
    """Row 6."""
    if not host.needs.cores:
        return info(NO_CORE)
    on_cores = misplaced_irqs(host)
    default = host.root.mask("proc/irq/default_smp_affinity") & host.needs.cores
    wanted = f"none on {cpu_text(host.needs.cores)} but the NIC's own"
    if on_cores:
        first = sorted(on_cores, key=int)[:8]
        more = "" if len(on_cores) <= 8 else f" and {len(on_cores) - 8} more"
        fix = f"for each: echo {cpu_text(housekeeping(host))} > /proc/irq/N/smp_affinity_list (nanotape tune writes it)"
        return fail(f"interrupts {', '.join(first)}{more} go there", fix, wanted)
    if default:
        return warn(f"default_smp_affinity allows {cpu_text(default)}: new interrupts may go there",
                    "kernel command line: irqaffinity=; nanotape tune writes it", wanted)  # fmt: skip
    return ok("none", wanted)


def misplaced_irqs(host: Host) -> list[str]:
    """Numbers of interrupts that go to a core of the loop, and are not of a configured NIC.

    Raises:
        Unreadable: They cannot be listed.
    """
    numbers = [name for name in host.root.names("proc/irq") if name.isdigit()]
    mine = own_irqs(host)
    return [number for number in numbers if number not in mine and _goes_to(host.root, number) & host.needs.cores]


def _goes_to(root: HostRoot, number: str) -> frozenset[int]:
    """Where it goes now; where that is not told, where it may go."""
    effective = root.optional(f"proc/irq/{number}/effective_affinity_list")
    if effective:
        return cpu_list(effective)
    allowed = root.optional(f"proc/irq/{number}/smp_affinity_list")
    return cpu_list(allowed or "")


def irqbalance(host: Host) -> Verdict:
    """Row 36."""
    running = [pid for pid in host.root.names("proc") if pid.isdigit() and _comm(host, pid) == "irqbalance"]
    if not running:
        return ok("not running")
    banned = _banned(host)
    if host.needs.cores and host.needs.cores <= banned:
        return ok(f"runs, and leaves {cpu_text(banned)} alone")
    told = f"process {running[0]} runs, with {cpu_text(banned)} banned"
    if not host.needs.cores:
        return info(told)
    return fail(told, f"systemctl disable --now irqbalance; or IRQBALANCE_BANNED_CPULIST={cpu_text(host.needs.cores)}")


def _comm(host: Host, pid: str) -> str | None:
    return host.root.optional(f"proc/{pid}/comm")


def _banned(host: Host) -> frozenset[int]:
    for name in ("etc/default/irqbalance", "etc/sysconfig/irqbalance"):
        for line in (host.root.optional(name) or "").splitlines():
            key, _, value = line.strip().partition("=")
            if key == "IRQBALANCE_BANNED_CPULIST":
                return cpu_list(value.strip("\"'"), name)
    return frozenset()


def _need_measured(host: Host) -> Measured:
    if host.measured is None:
        raise Unreadable(NOT_MEASURED)
    return host.measured


def deltas(host: Host) -> Verdict:
    """Row 7."""
    if not host.needs.cores:
        return info(NO_CORE)
    measured = _need_measured(host)
    ticks = _rates(measured, {"LOC": measured.interrupts.get("LOC", {})}, host.needs.cores).get("LOC", 0.0)
    mine = own_irqs(host)
    came = measured.interrupts_on(host.needs.cores, _TOLERATED | mine)
    rates = {name: count / measured.seconds for name, count in came.items()}
    per_core = ticks / len(host.needs.cores)
    told = f"{per_core:.1f} ticks/s on each core"
    told += "".join(f", {name} {rate:.1f}/s" for name, rate in sorted(rates.items(), key=lambda item: -item[1])[:4])
    if per_core > TICKS_FINE_S or rates:
        return warn(told, "isolate the cores and move their interrupts: nanotape tune; prove it with nanotape jitter")
    return ok(told)


def softirqs(host: Host) -> Verdict:
    """Row 8."""
    if not host.needs.cores:
        return info(NO_CORE)
    measured = _need_measured(host)
    tolerated = {"NET_RX"} if own_irqs(host) else set()
    rows = {name: row for name, row in measured.softirqs.items() if name not in tolerated}
    rates = _rates(measured, rows, host.needs.cores)
    busy = {name: rate for name, rate in rates.items() if rate > TICKS_FINE_S * len(host.needs.cores)}
    told = ", ".join(f"{name} {rate:.1f}/s" for name, rate in sorted(rates.items(), key=lambda item: -item[1])[:4])
    return warn(told, "isolate the cores: nanotape tune") if busy else ok(told or "none")


def steal(host: Host) -> Verdict:
    """Row 9, measured."""
    measured = _need_measured(host)
    cores = host.needs.cores or frozenset(measured.steal_ticks)
    ticks = sum(measured.steal_ticks.get(core, 0) for core in cores)
    share = ticks / 100 / max(measured.seconds * len(cores), 1e-9)
    return warn(f"{share:.2%}", "run on bare metal, or reserve its CPUs on the hypervisor") if ticks else ok("0 %")


def preemptions(host: Host) -> Verdict:
    """Row 10."""
    measured = _need_measured(host)
    if measured.preempted is None:
        raise Unreadable("no capture with a pinned loop runs")
    told = f"{measured.preempted} in {measured.seconds:.0f} s"
    if measured.preempted:
        return warn(told, "isolate the core, or give the loop [loop] realtime on it")
    return ok(told)


def smi_counts(root: HostRoot, cpus: Iterable[int]) -> dict[int, int]:
    """System management interrupts since the reset, by CPU (MSR_SMI_COUNT of Intel; others have no such counter).

    Raises:
        Unreadable: It cannot be read: no `msr` module, no right, no such register.
    """
    return {
        cpu: int.from_bytes(root.octets_at(f"dev/cpu/{cpu}/msr", _SMI_REGISTER, 8), "little") & _SMI_MASK
        for cpu in cpus
    }


def firmware(host: Host) -> Verdict:
    """E.1: a stop of all cores by the firmware, which the kernel neither counts nor sees."""
    if not host.needs.cores:
        return info(NO_CORE)
    cores = cpu_text(host.needs.cores)
    try:
        total = max(smi_counts(host.root, host.needs.cores).values())
    except Unreadable as error:
        told = f"as root: modprobe msr; nanotape doctor --measure 10. Any CPU: rtla hwnoise -c {cores} -d 10m"
        return Verdict("unknown", f"{error} (Intel alone counts them)", told)
    grown = (
        {cpu: host.measured.smis[cpu] for cpu in host.needs.cores & host.measured.smis.keys()} if host.measured else {}
    )
    if host.measured is None or not grown:
        return info(f"{total} since the start, when is not known", "nanotape doctor --measure 10")
    told = f"{max(grown.values())} in {host.measured.seconds:.0f} s"
    fix = "the firmware's set-up: USB legacy support, power capping, patrol scrub and error reporting by SMI off"
    return warn(told, fix) if any(grown.values()) else ok(told)


def _rates(measured: Measured, rows: Mapping[str, Mapping[int, int]], cores: frozenset[int]) -> dict[str, float]:
    """A second, on these cores together; those that did not come are left out."""
    counts = {name: sum(row.get(core, 0) for core in cores) for name, row in rows.items()}
    return {name: count / measured.seconds for name, count in counts.items() if count}


CHECKS = (
    Check(
        "irq.managed",
        "managed_irq and irqaffinity on the command line",
        "drivers that spread their interrupts themselves obey nothing else",
        managed,
    ),
    Check("irq.affinity", "none on the loop's cores", "each takes the core away for microseconds", affinity),
    Check(
        "irq.irqbalance",
        "stopped, or banned from the loop's cores",
        "it moves interrupts onto whichever core seems idle",
        irqbalance,
    ),
    Check(
        "irq.delta",
        f"at most {TICKS_FINE_S:g} ticks a second, and no others",
        "what truly came counts, not what was configured",
        deltas,
    ),
    Check("irq.softirqs", "near 0", "work that interrupts left behind runs in place of the loop", softirqs),
    Check("irq.preemptions", "none of the loop", "another thread had the core while packets came", preemptions),
    Check("irq.smi", "none", "the firmware stops every core, for tens to hundreds of microseconds", firmware),
    Check("irq.steal", "0 %", "time that the hypervisor gave to others while the loop wanted to run", steal),
)
"""Of the theme `irq`."""
