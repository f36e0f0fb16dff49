"""Every check on three hosts made by hand, as the goldens say; and each check turns when its one fact is broken."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from recorded_host import NAMES, RecordedHost, unpack

from nanotape.capture.host.check import Result
from nanotape.capture.host.table import CHECKS, examine


def found(recorded: RecordedHost) -> dict[str, Result]:
    return {result.id: result for result in examine(recorded.host())}


@pytest.mark.parametrize("name", NAMES)
def test_each_check_says_what_the_golden_says(name: str, tmp_path: Path) -> None:
    recorded = unpack(name, tmp_path)
    assert {key: result.status for key, result in found(recorded).items()} == recorded.expected


@pytest.mark.parametrize("name", NAMES)
def test_whatever_is_wrong_comes_with_a_fix(name: str, tmp_path: Path) -> None:
    for result in examine(unpack(name, tmp_path).host()):
        assert result.found, result
        assert result.wanted, result
        assert result.why, result
        assert (result.fix is not None) or result.status in ("ok", "info", "unknown"), result
        assert "\n" not in result.found, result


def test_the_names_of_checks_are_unique() -> None:
    names = [check.id for check in CHECKS]
    assert len(names) == len(set(names))


def test_on_an_empty_root_nothing_is_ok(tmp_path: Path) -> None:
    recorded = unpack("bare-metal", tmp_path)
    recorded.root = tmp_path / "empty"
    recorded.root.mkdir()
    results = found(recorded)
    of_files = {key: result for key, result in results.items() if key not in ELSEWHERE}
    assert {key for key, result in of_files.items() if result.status == "ok"} == set()


ELSEWHERE = {
    *(f"nic.{name}:ens1f0np0" for name in ("rings", "coalescing", "pause", "offloads", "stamps", "queues", "rss")),
    "nic.flow_rules:ens1f0np0", "nic.vlan_tags:ens1f0np0",
    "nic.zero_copy:ens1f0np0", "nic.xdp:ens1f0np0", "nic.driver_drops:ens1f0np0", "clock.sync", "clock.tai",
    "disk.room",
}  # fmt: skip
"""Checks whose facts are in no file."""

CPU, IRQ, NET = "sys/devices/system/cpu", "proc/irq", "sys/class/net/ens1f0np0"
BROKEN_FILES = [
    ("cores.isolated", f"{CPU}/isolated", "7", "fail"),
    ("cores.nohz_full", f"{CPU}/nohz_full", "(null)", "warn"),
    ("cores.governor", f"{CPU}/cpu6/cpufreq/scaling_governor", "powersave", "warn"),
    ("cores.governor", f"{CPU}/cpu6/cpufreq/energy_performance_preference", "balance_power", "warn"),
    ("cores.frequency", f"{CPU}/cpu6/cpufreq/scaling_min_freq", "800000", "info"),
    ("cores.idle_states", f"{CPU}/cpu6/cpuidle/state2/disable", "0", "warn"),
    ("cores.strays", "proc/1/task/1/stat", f"1 (systemd) S {'0 ' * 35}6 0", "warn"),
    ("cores.virtual", "proc/cpuinfo", "flags\t: fpu constant_tsc nonstop_tsc hypervisor", "warn"),
    ("irq.managed", "proc/cmdline", "isolcpus=domain,6-7 irqaffinity=0-5", "warn"),
    ("irq.managed", "proc/cmdline", "isolcpus=managed_irq,6-7 irqaffinity=0-6", "warn"),
    ("irq.affinity", f"{IRQ}/43/effective_affinity_list", "6", "fail"),
    ("irq.affinity", f"{IRQ}/default_smp_affinity", "ff", "warn"),
    ("irq.irqbalance", "proc/77/comm", "irqbalance", "fail"),
    ("memory.numa:ens1f0np0", f"{NET}/device/numa_node", "0", "fail"),
    ("memory.hugepages", "sys/devices/system/node/node1/hugepages/hugepages-1048576kB/free_hugepages", "0", "fail"),
    ("memory.hugetlbfs", "proc/mounts", "/dev/md0 / xfs rw 0 0", "fail"),
    ("memory.hugetlbfs", "proc/mounts", "none /dev/hugepages hugetlbfs rw,pagesize=2M 0 0", "fail"),
    ("memory.thp", "sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never", "warn"),
    ("memory.ksm", "sys/kernel/mm/ksm/run", "1", "warn"),
    ("memory.numa_balancing", "proc/sys/kernel/numa_balancing", "1", "warn"),
    ("kernel.rt_throttling", "proc/sys/kernel/sched_rt_runtime_us", "950000", "fail"),
    ("kernel.fair_server", "sys/kernel/debug/sched/fair_server/cpu6/runtime", "50000000", "warn"),
    ("kernel.stat_interval", "proc/sys/vm/stat_interval", "1", "info"),
    ("kernel.timer_migration", "proc/sys/kernel/timer_migration", "1", "info"),
    ("kernel.workqueues", "sys/devices/virtual/workqueue/cpumask", "ff", "warn"),
    ("kernel.machine_check", "sys/devices/system/machinecheck/machinecheck0/ignore_ce", "0", "info"),
    ("kernel.unprivileged_bpf", "proc/sys/kernel/unprivileged_bpf_disabled", "0", "info"),
    ("kernel.daemons", "proc/78/comm", "power-profiles-", "info"),
    ("kernel.iommu", "proc/cmdline", "quiet", "info"),
    ("kernel.daemons", "proc/sys/net/netfilter/nf_conntrack_count", "5", "info"),
    ("kernel.version", "proc/sys/kernel/osrelease", "6.1.0", "warn"),
    ("kernel.version", "proc/sys/kernel/osrelease", "5.3.0", "fail"),
    ("kernel.config", "boot/config-6.12.30-1-amd64", "CONFIG_HZ=250", "fail"),
    ("kernel.bpf_jit", "proc/sys/net/core/bpf_jit_enable", "0", "warn"),
    ("nic.link:ens1f0np0", f"{NET}/operstate", "down", "fail"),
    ("nic.pcie:ens1f0np0", f"{NET}/device/current_link_width", "8", "warn"),
    ("nic.pcie:ens1f0np0", "sys/module/pcie_aspm/parameters/policy", "[default] performance", "warn"),
    ("nic.steering:ens1f0np0", f"{NET}/queues/rx-0/rps_cpus", "00000000,0000000f", "warn"),
    ("nic.xps:ens1f0np0", f"{NET}/queues/tx-0/xps_cpus", "40", "info"),
    ("nic.drops:ens1f0np0", f"{NET}/statistics/rx_missed_errors", "3", "info"),
    ("limits.memberships", "proc/sys/net/ipv4/igmp_max_memberships", "10", "warn"),
    ("limits.backlog", "proc/sys/net/core/netdev_max_backlog", "1000", "info"),
    ("clock.source", "sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet", "fail"),
    ("clock.counter", "proc/cpuinfo", "flags\t: fpu constant_tsc", "warn"),
    ("disk.mount", "proc/mounts", "/dev/md0 / xfs ro 0 0", "fail"),
    ("disk.scheduler", "sys/block/nvme0n1/queue/scheduler", "none [bfq]", "warn"),
    ("disk.interrupts", f"{IRQ}/43/effective_affinity_list", "6", "warn"),
]


@pytest.mark.parametrize(("check", "path", "text", "status"), BROKEN_FILES)
def test_a_broken_file_turns_its_check(check: str, path: str, text: str, status: str, tmp_path: Path) -> None:
    recorded = unpack("bare-metal", tmp_path)
    recorded.write(path, text)
    assert found(recorded)[check].status == status


BROKEN_FACTS: list[tuple[str, str, Any, str]] = [
    ("rings", "rings", [512, 8192], "warn"),
    ("coalescing", "coalescing", [True, 0, 0], "warn"),
    ("coalescing", "coalescing", [False, 8, 0], "warn"),
    ("pause", "pause", [True, False], "warn"),
    ("offloads", "features", {"rx-lro": True}, "warn"),
    ("stamps", "rx_filter", "ptpv2-event", "fail"),
    ("queues", "queues", [4, 16], "warn"),
    ("vlan_tags", "features", {"rx-vlan-hw-parse": True}, "warn"),
]


@pytest.mark.parametrize(("check", "fact", "value", "status"), BROKEN_FACTS)
def test_a_broken_setting_of_the_nic_turns_its_check(
    check: str, fact: str, value: Any, status: str, tmp_path: Path
) -> None:
    recorded = unpack("bare-metal", tmp_path)
    recorded.facts["nics"]["ens1f0np0"][fact] = value
    assert found(recorded)[f"nic.{check}:ens1f0np0"].status == status


def test_a_realtime_priority_is_enough_by_limit_or_by_capability(tmp_path: Path) -> None:
    recorded = unpack("bare-metal", tmp_path)
    for priority, held, status in ((50, 0, "ok"), (49, 0, "info"), (0, 1 << 23, "ok")):
        recorded.write("proc/self/limits", f"Max realtime priority     {priority}    {priority}")
        recorded.write("proc/self/status", f"CapEff:\t{held:016x}")
        assert found(recorded)["limits.realtime"].status == status


@pytest.mark.parametrize(
    ("path", "text", "told"),
    [
        ("sys/kernel/realtime", "1", "PREEMPT_RT"),
        ("sys/kernel/debug/sched/preempt", "none (voluntary) full", "voluntary"),
    ],
)
def test_preemption_is_told(path: str, text: str, told: str, tmp_path: Path) -> None:
    recorded = unpack("bare-metal", tmp_path)
    recorded.write(path, text)
    assert found(recorded)["kernel.preemption"].found == told


@pytest.mark.parametrize(("interval", "status"), [("0", "ok"), ("300", "info")])
def test_a_poll_for_machine_checks_is_told_with_its_period(interval: str, status: str, tmp_path: Path) -> None:
    recorded = unpack("bare-metal", tmp_path)
    folder = "sys/devices/system/machinecheck/machinecheck0"
    recorded.write(f"{folder}/ignore_ce", "0")
    recorded.write(f"{folder}/check_interval", interval)
    result = found(recorded)["kernel.machine_check"]
    assert (result.status, interval in result.found) == (status, True)


def test_a_capture_in_copy_mode_fails_where_zero_copy_is_required(tmp_path: Path) -> None:
    recorded = unpack("bare-metal", tmp_path)
    recorded.facts["captured"][0]["zero_copy"] = False
    result = found(recorded)["nic.zero_copy:ens1f0np0"]
    assert (result.status, result.found) == ("fail", "copy mode")


def test_an_xdp_program_without_a_capture_is_a_foreign_one(tmp_path: Path) -> None:
    recorded = unpack("bare-metal", tmp_path)
    recorded.facts["captured"] = []
    assert found(recorded)["nic.xdp:ens1f0np0"].status == "warn"


def test_an_unsynchronised_clock_fails(tmp_path: Path) -> None:
    recorded = unpack("bare-metal", tmp_path)
    recorded.facts["clock"] = {"is_synchronised": False, "told": "free-running", "tai_s": None}
    results = found(recorded)
    assert (results["clock.sync"].status, results["clock.tai"].status) == ("fail", "warn")


def test_a_busy_sibling_is_told_and_an_isolated_one_is_not(tmp_path: Path) -> None:
    recorded = unpack("bare-metal", tmp_path)
    recorded.write(f"{CPU}/smt/active", "1")
    recorded.write(f"{CPU}/cpu6/topology/thread_siblings_list", "2,6")
    assert found(recorded)["cores.siblings"].status == "warn"
    recorded.write(f"{CPU}/cpu6/topology/thread_siblings_list", "6-7")
    assert found(recorded)["cores.siblings"].status == "ok"


@pytest.mark.parametrize(
    ("siblings", "fix"),
    [
        ("6,14", f"kernel command line: nosmt; or echo 0 > /{CPU}/cpu14/online"),
        (
            "2,6",
            "not nosmt, which would take 6 away: [loop] core = 2 instead of 6 (the first thread of its core; one loop "
            f"on each), then nosmt; or at each boot: echo 0 > /{CPU}/cpu2/online",
        ),
        (
            "0,6",
            "not nosmt, which would take 6 away: [loop] core = 0 instead of 6 (the first thread of its core; one loop "
            "on each), then nosmt",
        ),
    ],
)
def test_nosmt_is_advised_only_where_the_loops_own_core_stays(siblings: str, fix: str, tmp_path: Path) -> None:
    recorded = unpack("bare-metal", tmp_path)
    recorded.write(f"{CPU}/smt/active", "1")
    recorded.write(f"{CPU}/cpu6/topology/thread_siblings_list", siblings)
    assert found(recorded)["cores.siblings"].fix == fix


def test_two_loops_on_the_threads_of_one_core_share_it_isolated_or_not(tmp_path: Path) -> None:
    recorded = unpack("bare-metal", tmp_path)
    recorded.write(f"{CPU}/smt/active", "1")
    for core in (6, 7):
        recorded.write(f"{CPU}/cpu{core}/topology/thread_siblings_list", "6-7")
    host = recorded.host()
    both = replace(host, needs=replace(host.needs, cores=frozenset({6, 7})))
    result = {each.id: each for each in examine(both)}["cores.siblings"]
    assert (result.status, result.found) == ("warn", "shared: core 6 with 7, core 7 with 6")
    assert result.fix == (
        "not nosmt, which would take 7 away: [loop] core = 6 instead of 7 (the first thread of its core; one loop on "
        "each), then nosmt"
    )


def test_a_latency_limit_makes_deep_states_harmless(tmp_path: Path) -> None:
    recorded = unpack("bare-metal", tmp_path)
    recorded.write(f"{CPU}/cpu6/cpuidle/state2/disable", "0")
    (recorded.root / "dev").mkdir()
    (recorded.root / "dev/cpu_dma_latency").write_bytes((2_000_000_000).to_bytes(4, "little"))
    assert found(recorded)["cores.idle_states"].status == "warn"
    (recorded.root / "dev/cpu_dma_latency").write_bytes((1).to_bytes(4, "little"))
    assert found(recorded)["cores.idle_states"].status == "ok"
    (recorded.root / "dev/cpu_dma_latency").unlink()
    for limit, status in (("0", "warn"), ("800", "warn"), ("10", "ok"), ("n/a", "ok")):
        recorded.write(f"{CPU}/cpu6/power/pm_qos_resume_latency_us", limit)
        assert found(recorded)["cores.idle_states"].status == status


SMALL = "sys/devices/system/node/node1/hugepages/hugepages-2048kB/free_hugepages"


def test_huge_pages_that_a_capture_of_ours_holds_are_there(tmp_path: Path) -> None:
    recorded = unpack("bare-metal", tmp_path)
    recorded.write(SMALL, "0")
    assert found(recorded)["memory.hugepages"].status == "ok"  # it demands them, and it runs
    recorded.facts["captured"] = []
    recorded.write(SMALL, "63")
    assert found(recorded)["memory.hugepages"].status == "fail"
    recorded.write(SMALL, "64")
    assert found(recorded)["memory.hugepages"].status == "ok"


def test_huge_pages_that_a_capture_may_hold_or_not_are_unknown(tmp_path: Path) -> None:
    recorded = unpack("bare-metal", tmp_path)
    source = recorded.settings.source.model_copy(update={"umem_hugepages": "prefer"})
    recorded.settings = recorded.settings.model_copy(update={"source": source})
    recorded.write(SMALL, "0")
    assert found(recorded)["memory.hugepages"].status == "unknown"
    recorded.facts["captured"] = []
    assert found(recorded)["memory.hugepages"].status == "warn"


def test_huge_pages_of_rings_count_by_their_size(tmp_path: Path) -> None:
    recorded = unpack("bare-metal", tmp_path)
    recorded.write("sys/devices/system/node/node1/hugepages/hugepages-1048576kB/free_hugepages", "0")
    for held, status in (({2 << 20: 600}, "fail"), ({1 << 30: 1}, "ok")):
        host = replace(recorded.host(), held_pages=held)
        assert {result.id: result.status for result in examine(host)}["memory.hugepages"] == status


def test_a_banned_core_lets_irqbalance_run(tmp_path: Path) -> None:
    recorded = unpack("bare-metal", tmp_path)
    recorded.write("proc/77/comm", "irqbalance")
    recorded.write("etc/default/irqbalance", "IRQBALANCE_BANNED_CPULIST=6-7")
    assert found(recorded)["irq.irqbalance"].status == "ok"


def test_locked_memory_is_enough_by_limit_or_by_capability(tmp_path: Path) -> None:
    recorded = unpack("bare-metal", tmp_path)
    recorded.write("proc/self/limits", "Max locked memory         65536    65536     bytes")
    assert found(recorded)["limits.memlock"].status == "ok"  # CAP_IPC_LOCK
    recorded.write("proc/self/status", "CapEff:\t0000000000000000")
    assert found(recorded)["limits.memlock"].status == "fail"
