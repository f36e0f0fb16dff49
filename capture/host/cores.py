"""Checks of the loop's cores: kept free of other work, awake, at full speed, and not shared with a busy sibling."""

from __future__ import annotations

from collections.abc import Iterable

from nanotape.capture.host.check import Check, Verdict, fail, info, ok, warn
from nanotape.capture.host.facts import Host
from nanotape.capture.host.root import HostRoot, Unreadable, cpu_list, cpu_text

CPU = "sys/devices/system/cpu"
WAKE_LIMIT_US = 10
"""Longest exit of an idle state that is no concern."""
OWN_NAMES = ("nanotape-captur", "nanotape-capture", "nt-loop", "nt-helper")
NO_CORE = "no core is configured ([loop] core): the loop runs wherever the kernel puts it"
_KERNEL_THREAD = 0x0020_0000  # PF_KTHREAD
_FLAGS, _CPU = 6, 36  # of /proc/PID/stat, counted behind the name in parentheses


def off_limits(host: Host, have: Iterable[int], what: str, fix: str, *, severe: bool) -> Verdict:
    """Whether a set of CPUs holds all of the loop's cores."""
    if not host.needs.cores:
        return info(NO_CORE)
    found, cores = frozenset(have), host.needs.cores
    wanted = f"{what} holds {cpu_text(cores)}"
    if cores <= found:
        return ok(cpu_text(found), wanted)
    return (fail if severe else warn)(cpu_text(found), fix, wanted)


def isolated_cpus(root: HostRoot) -> frozenset[int]:
    """Of isolcpus and of isolated cpuset partitions."""
    partition = root.optional("sys/fs/cgroup/cpuset.cpus.isolated") or ""
    return root.cpus(f"{CPU}/isolated") | cpu_list(partition)


def isolated(host: Host) -> Verdict:
    """Row 1."""
    if host.needs.cores >= _online(host):
        return fail(
            f"loops have all CPUs, {cpu_text(_online(host))}", "[loop] core: leave one to everything else, or none"
        )
    fix = f"kernel command line: isolcpus=managed_irq,domain,{cpu_text(host.needs.cores)}, or a cpuset partition"
    return off_limits(host, isolated_cpus(host.root), "the isolated set", fix, severe=True)


def nohz_full(host: Host) -> Verdict:
    """Row 3; the file is absent where the kernel has no CONFIG_NO_HZ_FULL."""
    fix = f"kernel command line: nohz_full={cpu_text(host.needs.cores)}"
    if not host.root.exists(f"{CPU}/nohz_full") and host.root.exists(f"{CPU}/isolated"):
        lacking = "this kernel is built without CONFIG_NO_HZ_FULL: the tick interrupts every core"
        return warn(lacking, "install a kernel with CONFIG_NO_HZ_FULL=y") if host.needs.cores else info(NO_CORE)
    return off_limits(host, host.root.cpus(f"{CPU}/nohz_full"), "nohz_full", fix, severe=False)


def rcu_nocbs(host: Host) -> Verdict:
    """Row 4; nohz_full implies it."""
    line = host.root.command_line()
    told = "rcu_nocbs=all" if line.get("rcu_nocbs") == "all" else ""
    listed = frozenset(_online(host)) if told else cpu_list(line.get("rcu_nocbs", ""), "proc/cmdline: rcu_nocbs")
    implied = cpu_list(host.root.optional(f"{CPU}/nohz_full") or "")
    fix = f"kernel command line: rcu_nocbs={cpu_text(host.needs.cores)}"
    return off_limits(host, listed | implied, "rcu_nocbs (or nohz_full)", fix, severe=False)


def _online(host: Host) -> frozenset[int]:
    return host.root.cpus(f"{CPU}/online")


def strays(host: Host) -> Verdict:
    """Row 5: who may run on the loop's cores, but for kernel threads that are bound to one CPU, and ourselves."""
    if not host.needs.cores:
        return info(NO_CORE)
    seen = [name for pid in host.root.names("proc") if pid.isdigit() for name in _strays_of(host, pid)]
    if not seen:
        return ok("none")
    names = ", ".join(sorted(set(seen))[:5])
    others = cpu_text(_online(host) - host.needs.cores)
    fix = f"isolate the cores, then: taskset -acp {others} PID, or CPUAffinity= in systemd"
    return warn(f"{len(seen)} threads may run there and last did, such as {names}", fix)


def _strays_of(host: Host, pid: str) -> list[str]:
    """Names of a process's threads that ran last on one of the cores; it may end meanwhile."""
    try:
        return [name for tid in host.root.names(f"proc/{pid}/task") for name in _stray(host, f"proc/{pid}/task/{tid}")]
    except Unreadable:
        return []


def _stray(host: Host, folder: str) -> list[str]:
    name, _, rest = host.root.text(f"{folder}/stat").partition("(")[2].rpartition(")")
    fields = rest.split()
    if len(fields) <= _CPU or int(fields[_CPU]) not in host.needs.cores or name.startswith(OWN_NAMES):
        return []
    status = dict(line.partition(":")[::2] for line in host.root.lines(f"{folder}/status"))
    allowed = cpu_list(status.get("Cpus_allowed_list", ""))
    bound = len(allowed) == 1 and int(fields[_FLAGS]) & _KERNEL_THREAD
    return [] if bound else [name]


def virtual(host: Host) -> Verdict:
    """Row 9: whether a hypervisor may take the CPU away."""
    flags = next((line for line in host.root.lines("proc/cpuinfo") if line.startswith(("flags", "Features"))), None)
    if flags is None:
        raise Unreadable("/proc/cpuinfo: tells no flags")
    if "hypervisor" not in flags.split():
        return ok("no hypervisor")
    stolen = _steal(host)
    told = "virtual machine" if stolen is None else f"virtual machine, {stolen:.2%} of the CPU time stolen since boot"
    return warn(told, "run on bare metal, or pin and reserve its CPUs on the hypervisor")


def _steal(host: Host) -> float | None:
    fields = (host.root.optional("proc/stat") or "").partition("\n")[0].split()[1:]
    times = [int(field) for field in fields[:8]]
    total = sum(times)
    return times[7] / total if len(times) == 8 and total else None


def governor(host: Host) -> Verdict:
    """Row 11."""
    folder = f"{CPU}/cpu0/cpufreq"
    if not host.root.exists(folder):
        raise Unreadable(f"/{folder}: absent: no driver scales the frequency here; the firmware or the hypervisor does")
    governors = {cpu: host.root.text(f"{CPU}/cpu{cpu}/cpufreq/scaling_governor") for cpu in _looked_at(host)}
    slow = {cpu for cpu, name in governors.items() if name != "performance"}
    names = ", ".join(sorted(set(governors.values())))
    if slow:
        return warn(f"{names} on {cpu_text(governors)}", "cpupower frequency-set -g performance")
    leanings = {host.root.optional(f"{CPU}/cpu{cpu}/cpufreq/energy_performance_preference") for cpu in governors}
    saving = sorted(text for text in leanings - {None, "performance", "0"} if text)
    if saving:
        fix = "; ".join(
            f"echo performance > /{CPU}/cpu{cpu}/cpufreq/energy_performance_preference" for cpu in governors
        )
        return warn(f"{names}, but energy_performance_preference {', '.join(saving)}", fix)
    return ok(names)


def frequency(host: Host) -> Verdict:
    """Row 11: reported; a range lets firmware and heat decide within it."""
    folders = [f"{CPU}/cpu{cpu}/cpufreq" for cpu in _looked_at(host)]
    if not any(host.root.exists(folder) for folder in folders):
        raise Unreadable(f"/{folders[0]}: absent: no driver scales the frequency here")
    spans = {tuple(host.root.number(f"{folder}/scaling_{end}_freq") for end in ("min", "max")) for folder in folders}
    told = ", ".join(f"{low / 1e3:,.0f} to {high / 1e3:,.0f} MHz" for low, high in sorted(spans))
    if all(low == high for low, high in spans):
        return ok(told)
    return info(told, f"cpupower -c {cpu_text(_looked_at(host))} frequency-set -d {max(high for _, high in spans)}kHz")


def boost(host: Host) -> Verdict:
    """Row 11: reported; whether it helps is a question of heat and of neighbours."""
    turbo_off = host.root.optional(f"{CPU}/intel_pstate/no_turbo")
    boosted = host.root.optional(f"{CPU}/cpufreq/boost")
    if turbo_off is None and boosted is None:
        raise Unreadable(f"/{CPU}/intel_pstate/no_turbo and cpufreq/boost: neither is here")
    return info("on" if turbo_off == "0" or boosted == "1" else "off")


def _looked_at(host: Host) -> list[int]:
    return sorted(host.needs.cores or _online(host))


def idle_states(host: Host) -> Verdict:
    """Row 12: the deepest state that is on, and what /dev/cpu_dma_latency forbids."""
    if not host.needs.cores:
        return info(NO_CORE)
    limits = [_latency_limit(host), *(_core_limit(host, core) for core in sorted(host.needs.cores))]
    limit_us = limits[0] if limits[0] is not None and limits[0] <= WAKE_LIMIT_US else None
    if limit_us is None and None not in limits[1:]:
        limit_us = max(limit for limit in limits[1:] if limit is not None)
    deepest = max((state for core in sorted(host.needs.cores) for state in _states(host, core)), default=(0, "poll"))
    told = f"{deepest[1]}, {deepest[0]} us to leave"
    if limit_us is not None and limit_us <= WAKE_LIMIT_US:
        return ok(f"{told}; held at {limit_us} us by /dev/cpu_dma_latency or pm_qos_resume_latency_us")
    if deepest[0] <= WAKE_LIMIT_US:
        return ok(told)
    return warn(told, "tuned profile: force_latency=cstate.id_no_zero:1; or cpupower idle-set -D 10")


def _latency_limit(host: Host) -> int | None:
    try:
        raw = host.root.octets("dev/cpu_dma_latency")
    except Unreadable:
        return None
    return int.from_bytes(raw[:4], "little", signed=True) if len(raw) >= 4 else None


def _core_limit(host: Host, core: int) -> int | None:
    """What pm_qos_resume_latency_us forbids one core: `n/a` is no state at all, 0 is no limit."""
    text = host.root.optional(f"{CPU}/cpu{core}/power/pm_qos_resume_latency_us")
    if text == "n/a":
        return 0
    return int(text) if text is not None and text.isdigit() and int(text) else None


def _states(host: Host, core: int) -> list[tuple[int, str]]:
    folder = f"{CPU}/cpu{core}/cpuidle"
    states = [f"{folder}/{name}" for name in host.root.names(folder) if name.startswith("state")]
    if not states:
        raise Unreadable(f"/{folder}: lists no state: no idle driver")
    live = [state for state in states if host.root.optional(f"{state}/disable") != "1"]
    return [(host.root.number(f"{state}/latency"), host.root.text(f"{state}/name")) for state in live]


def siblings(host: Host) -> Verdict:
    """Row 13: the other thread of a core takes half of it."""
    if not host.needs.cores:
        return info(NO_CORE)
    if host.root.optional(f"{CPU}/smt/active") == "0":
        return ok("SMT is off")
    shared = {core: _siblings(host, core) for core in sorted(host.needs.cores)}
    left_alone = isolated_cpus(host.root) - host.needs.cores
    busy = {core: others - left_alone for core, others in shared.items()}
    if not any(busy.values()):
        return ok("no sibling, or isolated ones")
    pairs = ", ".join(f"core {core} with {cpu_text(others)}" for core, others in busy.items() if others)
    offline = "; ".join(f"echo 0 > /{CPU}/cpu{cpu}/online" for cpu in _idle_ones(busy, host.needs.cores))
    gone = lost_to_nosmt(host)
    if not gone:
        return warn(f"shared: {pairs}", f"kernel command line: nosmt; or {offline}")
    first = ", ".join(f"{min(shared[core])} instead of {core}" for core in sorted(gone))
    instead = f"[loop] core = {first} (the first thread of its core; one loop on each), then nosmt"
    fix = f"not nosmt, which would take {cpu_text(gone)} away: {instead}"
    return warn(f"shared: {pairs}", f"{fix}; or at each boot: {offline}" if offline else fix)


def _idle_ones(busy: dict[int, frozenset[int]], loops: frozenset[int]) -> list[int]:
    """Siblings that can be taken off: no loop's own, and not CPU 0, which most kernels keep."""
    return sorted({cpu for others in busy.values() for cpu in others} - loops - {0})


def lost_to_nosmt(host: Host) -> frozenset[int]:
    """Cores of the loops that `nosmt` would switch off: it keeps the first thread of each core alone.

    Raises:
        Unreadable: Which threads share a core is not told.
    """
    return frozenset(core for core in host.needs.cores if any(other < core for other in _siblings(host, core)))


def _siblings(host: Host, core: int) -> frozenset[int]:
    return host.root.cpus(f"{CPU}/cpu{core}/topology/thread_siblings_list") - {core}


CHECKS = (
    Check("cores.isolated", "the loop's cores isolated", "the scheduler puts other threads beside the loop", isolated),
    Check(
        "cores.nohz_full", "no tick on the loop's cores", "the tick interrupts 100 to 1000 times a second", nohz_full
    ),
    Check("cores.rcu_nocbs", "RCU callbacks elsewhere", "callbacks run in softirqs, some for milliseconds", rcu_nocbs),
    Check("cores.strays", "only per-CPU kernel threads and the loop", "whoever runs there stops the loop", strays),
    Check("cores.virtual", "bare metal", "a hypervisor stops the loop for as long as it likes, unseen", virtual),
    Check("cores.governor", "performance", "a core that clocks down takes fewer packets a second", governor),
    Check("cores.frequency", "lowest = highest", "a core that changes its pace takes varying time", frequency),
    Check("cores.boost", "known", "boost changes how long work takes, and needs cool neighbours", boost),
    Check("cores.idle_states", f"exit within {WAKE_LIMIT_US} us", "a core that slept deep wakes late", idle_states),
    Check(
        "cores.siblings", "SMT off, or the sibling isolated and idle", "two threads share one core's units", siblings
    ),
)
"""Of the theme `cores`."""
