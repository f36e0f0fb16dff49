"""Checks of the kernel's own work: throttling, watchdogs, timers, work queues, and what it was built with."""

from __future__ import annotations

import gzip
from dataclasses import dataclass

from nanotape.capture.host.check import Check, Verdict, fail, info, ok, warn
from nanotape.capture.host.cores import CPU, NO_CORE
from nanotape.capture.host.facts import Host
from nanotape.capture.host.root import HostRoot, Unreadable, cpu_mask, cpu_text

SYSCTL = "proc/sys/kernel"
_NO_BPF = "kernel.unprivileged_bpf_disabled"
WORKQUEUES = ("sys/devices/virtual/workqueue/cpumask", "sys/bus/workqueue/devices/writeback/cpumask")
STAT_INTERVAL_S = 10
MEDDLING = ("cpufreqd", "firewalld", "power-profiles-daemon")
"""Daemons that set frequencies or filter packets as they like; irqbalance has a check of its own."""


@dataclass(frozen=True, slots=True)
class Feature:
    """What a newer kernel brings."""

    since: tuple[int, int]
    name: str
    without: str
    """What is without it."""


FEATURES = (
    Feature((5, 4), "AF_XDP with need_wakeup", "source.kind = afxdp does not start"),
    Feature((5, 9), "XDP links and BPF sockets maps", "the holder cannot hold the program by a link"),
    Feature((6, 1), "bpf_ktime_get_tai_ns", "stamps are monotonic ones, converted"),
    Feature((6, 3), "hardware stamps in XDP (bpf_xdp_metadata_rx_timestamp)", "AF_XDP stamps are the kernel's own"),
)
MINIMUM = (5, 4)
FAIR_SERVER_SINCE = (6, 12)


def throttling(host: Host) -> Verdict:
    """Row 20."""
    found = host.root.number(f"{SYSCTL}/sched_rt_runtime_us")
    if found == -1:
        return ok("-1")
    if not host.needs.fifo_cores:
        return info(f"{found}; no loop runs with SCHED_FIFO ([loop] realtime)")
    return fail(f"{found}", "sysctl kernel.sched_rt_runtime_us=-1", "-1")


def fair_server(host: Host) -> Verdict:
    """Row 20, from 6.12 on: what ordinary threads get on a core where a FIFO thread never rests, throttling or not."""
    if not host.needs.fifo_cores:
        return info("no loop runs with SCHED_FIFO ([loop] realtime)")
    if _release(host.root) < FAIR_SERVER_SINCE:
        return ok("none before kernel 6.12")
    runtimes = {core: host.root.number(fair_server_file(core)) for core in sorted(host.needs.fifo_cores)}
    loose = [core for core, runtime_ns in runtimes.items() if runtime_ns]
    if not loose:
        return ok("off")
    told = f"{runtimes[loose[0]] / 1e6:g} ms in each period on {cpu_text(loose)}"
    return warn(told, "; ".join(f"echo 0 > /{fair_server_file(core)}" for core in loose))


def fair_server_file(core: int) -> str:
    """In debugfs, which root alone reads."""
    return f"sys/kernel/debug/sched/fair_server/cpu{core}/runtime"


def watchdogs(host: Host) -> Verdict:
    """Row 21."""
    nmi, soft = (host.root.number(f"{SYSCTL}/{name}") for name in ("nmi_watchdog", "watchdog"))
    if not nmi and not soft:
        return ok("off")
    if not host.needs.cores:
        return info(NO_CORE)
    watched = host.root.cpus(f"{SYSCTL}/watchdog_cpumask") & host.needs.cores
    if not watched:
        return ok(f"none on {cpu_text(host.needs.cores)}")
    return warn(
        f"on cores {cpu_text(watched)}", "sysctl kernel.nmi_watchdog=0 kernel.watchdog=0 (cmdline: nosoftlockup)"
    )


def stat_interval(host: Host) -> Verdict:
    """Row 22."""
    found = host.root.number("proc/sys/vm/stat_interval")
    return (
        ok(f"{found} s")
        if found >= STAT_INTERVAL_S
        else info(f"{found} s", f"sysctl vm.stat_interval={STAT_INTERVAL_S}")
    )


def timer_migration(host: Host) -> Verdict:
    """Row 23."""
    found = host.root.number(f"{SYSCTL}/timer_migration")
    return ok("0") if found == 0 else info(f"{found}", "sysctl kernel.timer_migration=0")


def work_queues(host: Host) -> Verdict:
    """Row 24."""
    if not host.needs.cores:
        return info(NO_CORE)
    masks = {name: host.root.mask(name) for name in WORKQUEUES if host.root.exists(name)}
    if not masks:
        raise Unreadable(f"/{WORKQUEUES[0]}: absent")
    loose = [name for name, mask in masks.items() if mask & host.needs.cores]
    if not loose:
        return ok(", ".join(cpu_text(mask) for mask in masks.values()))
    rest = cpu_mask(host.root.cpus(f"{CPU}/online") - host.needs.cores)
    fix = "; ".join(f"echo {rest} > /{name}" for name in loose)
    return warn(f"allowed on {cpu_text(masks[loose[0]])}", fix)


def machine_checks(host: Host) -> Verdict:
    """Row 25."""
    folder = "sys/devices/system/machinecheck/machinecheck0"
    if host.root.text(f"{folder}/ignore_ce") == "1":
        return ok("ignored")
    interval = host.root.optional(f"{folder}/check_interval")
    if interval == "0":
        return ok("not polled: check_interval 0")
    return info(f"polled each {interval or 'unknown'} s", "kernel command line: mce=ignore_ce")


def mitigations(host: Host) -> Verdict:
    """Row 27: reported only: it is a question of security."""
    folder = f"{CPU}/vulnerabilities"
    found = {name: host.root.text(f"{folder}/{name}") for name in host.root.names(folder)}
    active = [name for name, text in found.items() if text.startswith("Mitigation")]
    return info(f"{len(active)} of {len(found)} mitigated: {', '.join(active)}" if active else "none is active")


def iommu(host: Host) -> Verdict:
    """Row 28."""
    line = host.root.command_line()
    told = [f"{name}={line[name]}" for name in ("iommu", "intel_iommu", "amd_iommu") if name in line]
    units = host.root.names("sys/class/iommu") if host.root.exists("sys/class/iommu") else []
    if not units:
        return ok("none is on")
    if line.get("iommu") == "pt":
        return ok("iommu=pt")
    return info(f"{len(units)} units, {', '.join(told) or 'no parameter'}", "kernel command line: iommu=pt")


def daemons(host: Host) -> Verdict:
    """Row 37."""
    if not host.root.exists("proc/sys/net"):
        raise Unreadable("/proc/sys/net: cannot be listed")
    profile = host.root.optional("etc/tuned/active_profile")
    tracked = host.root.optional("proc/sys/net/netfilter/nf_conntrack_count")
    tracking = "off" if tracked is None else f"on, {tracked} entries"
    told = f"tuned: {profile or 'no profile'}; connection tracking: {tracking}"
    comms = {host.root.optional(f"proc/{pid}/comm") for pid in host.root.names("proc") if pid.isdigit()}
    meddling = sorted(name for name in MEDDLING if name[:15] in comms)
    told += f"; {', '.join(meddling)} running" if meddling else ""
    fixes = ["keep multicast out of it: nft rule `notrack` on the capture interfaces"] if tracked is not None else []
    fixes += [f"systemctl disable --now {' '.join(meddling)}"] if meddling else []
    return info(told, "; ".join(fixes)) if fixes else ok(told)


def version(host: Host) -> Verdict:
    """Row 43: the minimum for each feature."""
    release, number = host.root.text(f"{SYSCTL}/osrelease"), _release(host.root)
    missing = [each for each in FEATURES if number < each.since]
    told = release + "".join(
        f"; no {each.name} (since {each.since[0]}.{each.since[1]}): {each.without}" for each in missing
    )
    if number < MINIMUM and host.needs.afxdp:
        return fail(told, "install a newer kernel, or set source.kind = packet")
    return warn(told, "install a newer kernel") if missing and host.needs.afxdp else ok(told)


def _release(root: HostRoot) -> tuple[int, int]:
    release = root.text(f"{SYSCTL}/osrelease")
    try:
        major, minor = (int(part) for part in release.split("-")[0].split(".")[:2])
    except ValueError:
        raise Unreadable(f"/{SYSCTL}/osrelease: expected a version, found {release!r}") from None
    return major, minor


def built_with(host: Host) -> Verdict:
    """Row 43: CONFIG_ of what is used."""
    wanted = ["CONFIG_XDP_SOCKETS", "CONFIG_BPF_SYSCALL"] if host.needs.afxdp else []
    wanted += ["CONFIG_HUGETLBFS"] if host.needs.ring_pages else []
    options = _options(host.root)
    lacking = [name for name in wanted if options.get(name) not in ("y", "m")]
    kind = "PREEMPT_RT" if options.get("CONFIG_PREEMPT_RT") == "y" else "no PREEMPT_RT"
    told = f"HZ {options.get('CONFIG_HZ', 'unknown')}, {kind}"
    if lacking:
        return fail(f"{told}, without {', '.join(lacking)}", "install a kernel that has them")
    return ok(told)


def _options(root: HostRoot) -> dict[str, str]:
    release = root.optional(f"{SYSCTL}/osrelease") or ""
    try:
        text = gzip.decompress(root.octets("proc/config.gz")).decode()
    except (Unreadable, OSError, EOFError):
        text = root.text(f"boot/config-{release}")
    return {name: value for name, _, value in (line.partition("=") for line in text.splitlines()) if value}


def compiled_bpf(host: Host) -> Verdict:
    """Row 42."""
    found = host.root.number("proc/sys/net/core/bpf_jit_enable")
    return ok("on") if found else warn("off", "sysctl net.core.bpf_jit_enable=1")


def unprivileged_bpf(host: Host) -> Verdict:
    """Row 42: reported; captures need it either way round, the host's security does not."""
    found = host.root.number(f"{SYSCTL}/unprivileged_bpf_disabled")
    return ok(f"{found}") if found else info("0: any user may load BPF programs", f"sysctl {_NO_BPF}=1")


def preemption(host: Host) -> Verdict:
    """Row 43: reported: guides disagree on what is best for a loop that spins."""
    if host.root.optional("sys/kernel/realtime") == "1":
        return info("PREEMPT_RT")
    now = host.root.optional("sys/kernel/debug/sched/preempt")
    asked = host.root.command_line().get("preempt")
    if now is not None:
        return info(now.partition("(")[2].partition(")")[0] or now)
    return info(f"preempt={asked}" if asked else "as built; /sys/kernel/debug/sched/preempt tells root")


def type_information(host: Host) -> Verdict:
    """Row 42."""
    if host.root.exists("sys/kernel/btf/vmlinux"):
        return ok("/sys/kernel/btf/vmlinux")
    if not host.root.exists("sys/kernel"):
        raise Unreadable("/sys/kernel: cannot be listed")
    if not host.needs.afxdp:
        return info("none; no source needs it")
    return warn("none", "install a kernel with CONFIG_DEBUG_INFO_BTF=y: else no hardware stamps in XDP")


CHECKS = (
    Check(
        "kernel.version", "every feature that the configuration uses", "older kernels lack what it is built on", version
    ),
    Check(
        "kernel.config",
        "built with AF_XDP, BPF and hugetlbfs where used",
        "what is not built in cannot be switched on",
        built_with,
    ),
    Check("kernel.bpf_jit", "1", "the XDP program is interpreted otherwise, many times slower", compiled_bpf),
    Check("kernel.btf", "/sys/kernel/btf/vmlinux", "hardware stamps in XDP need the kernel's types", type_information),
    Check(
        "kernel.unprivileged_bpf",
        "1 or 2",
        "a way into the kernel for every user; no capture needs it",
        unprivileged_bpf,
    ),
    Check("kernel.preemption", "known", "how soon a thread that wakes stops another one", preemption),
    Check(
        "kernel.rt_throttling",
        "-1 where a loop runs with SCHED_FIFO",
        "else it is stopped for 50 ms in each second",
        throttling,
    ),
    Check(
        "kernel.fair_server",
        "0 where a loop runs with SCHED_FIFO",
        "else waiting ordinary threads get its core for 50 ms in each second",
        fair_server,
    ),
    Check("kernel.watchdogs", "off, or not on the loop's cores", "their timers and NMIs interrupt the loop", watchdogs),
    Check(
        "kernel.stat_interval",
        f"at least {STAT_INTERVAL_S} s",
        "counters are folded on each core at this beat",
        stat_interval,
    ),
    Check("kernel.timer_migration", "0", "timers of idle cores move to busy ones", timer_migration),
    Check(
        "kernel.workqueues", "not on the loop's cores", "write-back and other unbound work runs there else", work_queues
    ),
    Check("kernel.machine_check", "ignore_ce", "the poll for corrected errors runs on every core", machine_checks),
    Check(
        "kernel.mitigations", "known", "they cost time at each entry to the kernel; a question of security", mitigations
    ),
    Check("kernel.iommu", "pt or off", "each DMA buffer is mapped and unmapped otherwise", iommu),
    Check(
        "kernel.daemons",
        "no connection tracking of captured traffic, nobody who changes frequencies",
        "tracking follows every packet that reaches the stack",
        daemons,
    ),
)
"""Of the theme `kernel`."""
