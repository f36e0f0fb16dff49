"""What the checks ask for, as files to review: kernel command line, sysctl, scripts, a tuned profile. Pure.

Only what a check found wanting is written; nothing here changes a host.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from nanotape.capture.host.check import Result
from nanotape.capture.host.cores import CPU, lost_to_nosmt
from nanotape.capture.host.facts import Host
from nanotape.capture.host.interrupts import own_irqs
from nanotape.capture.host.kernel import STAT_INTERVAL_S, fair_server_file
from nanotape.capture.host.limits import BACKLOG, GROUPS_MINIMUM
from nanotape.capture.host.memory import mount_place, needed_pages, nic_node, pages_file, pages_in_all
from nanotape.capture.host.nic_queues import queue_files
from nanotape.capture.host.root import NO_CPU, Unreadable, cpu_list, cpu_mask, cpu_text

WANTING = ("warn", "fail", "info")
_GIB = 1 << 30
_NIC_CHECKS = ("nic.rings", "nic.coalescing", "nic.pause", "nic.offloads", "nic.queues", "nic.vlan_tags")


@dataclass(frozen=True, slots=True)
class Tuning:
    """What is to be set, by where it is set."""

    command_line: tuple[str, ...]
    sysctl: Mapping[str, str]
    ethtool: tuple[str, ...]
    """Whole commands."""
    writes: tuple[tuple[str, str], ...]
    """(file below /proc or /sys, text) at each boot."""
    move_interrupts_to: str | None
    """List of CPUs; None: they stay."""
    kept_interrupts: tuple[str, ...]
    """Numbers of those that stay where they are: the NIC's own."""
    governor: bool
    pages: tuple[tuple[str, int], ...]
    """(file, how many) of huge pages that can be reserved after the boot."""
    mount: tuple[str, int] | None
    """Where a hugetlbfs is to be mounted, and the size of its pages; None: nowhere."""
    banned_cpus: str | None
    """From which irqbalance is to be kept; None: it does not run, or does already."""
    cores: str
    """List of the loops' CPUs; empty: none is configured."""
    answers: tuple[str, ...] = field(default=())
    """Ids of the checks that all this answers."""
    left: tuple[Result, ...] = field(default=())
    """What is wanting and no file can mend."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to set."""
        return not self.answers


def tuning(host: Host, results: Iterable[Result]) -> Tuning:
    """What answers the results.

    Args:
        host: Whose results they are.
        results: Of the checks.
    """
    found = {result.id: result for result in results}
    wanting = {name: result for name, result in found.items() if result.status in WANTING}
    answers = {name for name in wanting if _is_answered(name, host)}
    rest = _housekeeping(host)
    return Tuning(
        command_line=tuple(_command_line(answers, host, rest)),
        sysctl=_sysctl(answers, host),
        ethtool=tuple(sorted(wanting[name].fix or "" for name in answers if name.partition(":")[0] in _NIC_CHECKS)),
        writes=tuple(_writes(answers, host, rest)),
        move_interrupts_to=rest if {"irq.affinity", "disk.interrupts"} & answers else None,
        kept_interrupts=tuple(sorted(own_irqs(host))),
        governor="cores.governor" in answers,
        pages=_pages(answers, host),
        mount=_mount(answers, host),
        banned_cpus=cpu_text(host.needs.cores) if "irq.irqbalance" in answers else None,
        cores=cpu_text(host.needs.cores) if host.needs.cores else "",
        answers=tuple(sorted(answers)),
        left=tuple(result for name, result in wanting.items() if name not in answers and result.status != "info"),
    )


_ALWAYS = {
    "memory.thp", "memory.ksm", "memory.numa_balancing", "memory.swap", "kernel.bpf_jit", "kernel.stat_interval",
    "kernel.timer_migration", "kernel.machine_check", "kernel.iommu", "limits.memberships", "limits.backlog",
    "cores.governor", "memory.hugepages", "memory.hugetlbfs",
}  # fmt: skip
_WITH_CORES = {
    "cores.isolated", "cores.nohz_full", "cores.rcu_nocbs", "cores.siblings", "irq.managed", "irq.affinity",
    "irq.irqbalance", "kernel.watchdogs", "kernel.workqueues", "disk.interrupts",
}  # fmt: skip


def _is_answered(name: str, host: Host) -> bool:
    check = name.partition(":")[0]
    if check in ("kernel.rt_throttling", "kernel.fair_server"):
        return bool(host.needs.fifo_cores)
    if check in ("limits.receive_buffer", "limits.busy_poll"):
        return bool(host.needs.sockets)
    if check in ("memory.hugepages", "memory.hugetlbfs"):
        return bool(needed_pages(host))
    if check == "clock.source":
        available = host.root.optional("sys/devices/system/clocksource/clocksource0/available_clocksource") or ""
        return "tsc" in available.split()
    if check == "cores.nohz_full" and not host.root.exists(f"{CPU}/nohz_full"):
        return False  # the kernel does not know the parameter
    if check == "cores.siblings" and lost_to_nosmt(host):
        return False  # it would take a loop's own core away; its fix says what to do instead
    if check in _WITH_CORES:
        return bool(host.needs.cores) and _housekeeping(host) != NO_CPU
    return check in _ALWAYS or check in _NIC_CHECKS or check in ("nic.steering", "nic.rfs")


def _housekeeping(host: Host) -> str:
    """CPUs for all else; `0` where they cannot be told. A host that isolates all that it has hardly boots."""
    try:
        return cpu_text(host.root.cpus(f"{CPU}/online") - host.needs.cores)
    except Unreadable:
        return "0"


def _command_line(answers: set[str], host: Host, rest: str) -> Iterable[str]:
    cores = cpu_text(host.needs.cores)
    by_check = {
        "cores.nohz_full": f"nohz_full={cores}",
        "cores.rcu_nocbs": f"rcu_nocbs={cores}",
        "cores.siblings": "nosmt",
        "kernel.watchdogs": "nosoftlockup",
        "kernel.iommu": "iommu=pt",
        "kernel.machine_check": "mce=ignore_ce",
        "memory.thp": "transparent_hugepage=madvise",
        "clock.source": "tsc=reliable",
    }
    if {"cores.isolated", "irq.managed"} & answers:
        yield f"isolcpus=managed_irq,domain,{cores}"
        yield f"irqaffinity={rest}"
    yield from (parameter for check, parameter in by_check.items() if check in answers)
    if "memory.hugepages" in answers:
        for need in needed_pages(host):
            if need.page_bytes == _GIB:  # after the boot there may be no such page whole
                yield "hugepagesz=1G"
                yield f"hugepages={pages_in_all(host, need)}"


def _sysctl(answers: set[str], host: Host) -> dict[str, str]:
    by_check = {
        "kernel.rt_throttling": {"kernel.sched_rt_runtime_us": "-1"},
        "kernel.watchdogs": {"kernel.nmi_watchdog": "0", "kernel.watchdog": "0"},
        "kernel.stat_interval": {"vm.stat_interval": f"{STAT_INTERVAL_S}"},
        "kernel.timer_migration": {"kernel.timer_migration": "0"},
        "kernel.bpf_jit": {"net.core.bpf_jit_enable": "1"},
        "memory.numa_balancing": {"kernel.numa_balancing": "0"},
        "memory.swap": {"vm.swappiness": "1"},
        "limits.memberships": {"net.ipv4.igmp_max_memberships": f"{max(host.needs.groups, GROUPS_MINIMUM)}"},
        "limits.backlog": {"net.core.netdev_max_backlog": f"{BACKLOG}"},
        "limits.receive_buffer": {"net.core.rmem_max": f"{host.needs.receive_buffer}"},
        "limits.busy_poll": {"net.core.busy_read": "50", "net.core.busy_poll": "50"},
    }
    chosen = [values for check, values in by_check.items() if check in answers]
    return {name: value for values in chosen for name, value in sorted(values.items())}


def _writes(answers: set[str], host: Host, rest: str) -> Iterable[tuple[str, str]]:
    if {"irq.affinity", "irq.managed"} & answers:
        yield "proc/irq/default_smp_affinity", cpu_mask(cpu_list(rest))
    if "kernel.workqueues" in answers:
        for name in ("sys/devices/virtual/workqueue/cpumask", "sys/bus/workqueue/devices/writeback/cpumask"):
            yield name, cpu_mask(cpu_list(rest))
    if "kernel.fair_server" in answers:
        yield from ((fair_server_file(core), "0") for core in sorted(host.needs.fifo_cores))
    if "memory.thp" in answers:
        yield "sys/kernel/mm/transparent_hugepage/enabled", "madvise"
    if "memory.ksm" in answers:
        yield "sys/kernel/mm/ksm/run", "0"
    for interface in host.needs.interfaces:
        for check, leaf in (("nic.steering", "rps_cpus"), ("nic.rfs", "rps_flow_cnt")):
            if f"{check}:{interface}" in answers:
                yield from ((path, "0") for path in queue_files(host, interface, "rx-", leaf))


def _pages(answers: set[str], host: Host) -> tuple[tuple[str, int], ...]:
    if "memory.hugepages" not in answers:
        return ()
    small = [need for need in needed_pages(host) if need.page_bytes != _GIB]
    return tuple((pages_file(each.page_bytes, nic_node(host)).lstrip("/"), pages_in_all(host, each)) for each in small)


def _mount(answers: set[str], host: Host) -> tuple[str, int] | None:
    if "memory.hugetlbfs" not in answers or not host.needs.ring_pages:
        return None
    page_bytes = host.needs.ring_pages[0].page_bytes
    return mount_place(host.root, page_bytes), page_bytes
