"""Checks of memory: huge pages where the NIC is, and nothing that moves or scans pages behind the loop's back."""

from __future__ import annotations

from nanotape.capture.host.check import Check, NicCheck, Verdict, fail, info, ok, warn
from nanotape.capture.host.facts import Host
from nanotape.capture.host.needs import HugePages
from nanotape.capture.host.root import HostRoot, Unreadable, cpu_text

NODES = "sys/devices/system/node"
_UMEM_PAGE_BYTES = 2 << 20
_KIB, _MIB = 1 << 10, 1 << 20


def numa(host: Host, interface: str) -> Verdict:
    """Row 14."""
    if not host.needs.cores:
        return info("no core is configured ([loop] core)")
    device = f"sys/class/net/{interface}/device"
    if not host.root.exists(device):
        raise Unreadable(f"/{device}: absent: no such interface, or no hardware behind it")
    node = host.root.number(f"{device}/numa_node") if host.root.exists(f"{device}/numa_node") else -1
    if node < 0:
        if host.root.cpus(f"{NODES}/online") == {0}:
            return ok("one node")
        raise Unreadable(f"/{device}/numa_node: -1: the firmware does not say")
    local = host.root.cpus(f"{NODES}/node{node}/cpulist")
    told = f"{interface} on node {node}, with {cpu_text(local)}"
    if host.needs.cores <= local:
        return ok(told)
    far = cpu_text(host.needs.cores - local)
    return fail(f"{told}; core {far} is on another", f"[loop] core: one of {cpu_text(local)}")


def nic_node(host: Host) -> int | None:
    """Node of the first configured NIC that tells; None: none does."""
    for interface in host.needs.interfaces:
        told = host.root.optional(f"sys/class/net/{interface}/device/numa_node")
        if told is not None and told.lstrip("-").isdigit() and int(told) >= 0:
            return int(told)
    return None


def needed_pages(host: Host) -> list[HugePages]:
    """By size of page: rings, and packet memory of as many queues as each NIC has."""
    needs = host.needs
    found = list(needs.ring_pages)
    for interface, octets in needs.umem_bytes_per_queue:
        count = octets * _queues(host.root, interface)
        found.append(HugePages(_UMEM_PAGE_BYTES, count, needs.umem_required))
    sizes = sorted({each.page_bytes for each in found})
    groups = [[each for each in found if each.page_bytes == size] for size in sizes]
    return [
        HugePages(group[0].page_bytes, sum(each.pages for each in group) * group[0].page_bytes,
                  any(each.is_required for each in group))
        for group in groups
    ]  # fmt: skip


def _queues(root: HostRoot, interface: str) -> int:
    folder = f"sys/class/net/{interface}/queues"
    names = root.names(folder) if root.exists(folder) else []
    return max(sum(name.startswith("rx-") for name in names), 1)


def hugepages(host: Host) -> Verdict:
    """Row 15: free pages and those that we hold, on the NIC's node."""
    wanted = needed_pages(host)
    if not wanted:
        return info("none are asked for")
    lacking, told, required = [], [], False
    for need in wanted:
        free = free_pages(host, need.page_bytes)
        held = host.ring_huge_bytes // need.page_bytes if need is wanted[0] else 0
        size = f"{need.page_bytes // _MIB} MiB"
        told.append(f"{free} of {size} free" + (f", {held} held by rings here" if held else ""))
        if free + held < need.pages:
            lacking.append(f"{need.pages} of {size}")
            required = required or need.is_required
    node = nic_node(host)
    where = "" if node is None else f" on node {node}"
    goal = "free: " + ", ".join(f"{need.pages} of {need.page_bytes // _MIB} MiB" for need in wanted) + where
    if not lacking:
        return ok("; ".join(told), goal)
    fix = "; ".join(f"echo {need.pages} > {pages_file(need.page_bytes, node)}" for need in wanted)
    return (fail if required else warn)("; ".join(told) + where, f"{fix} (at boot: nanotape tune)", goal)


def pages_file(page_bytes: int, node: int | None) -> str:
    """Where pages are reserved, as an absolute path."""
    leaf = f"hugepages/hugepages-{page_bytes // _KIB}kB/nr_hugepages"
    return f"/sys/kernel/mm/{leaf}" if node is None else f"/{NODES}/node{node}/{leaf}"


def free_pages(host: Host, page_bytes: int) -> int:
    """On the NIC's node; of all nodes where none is known.

    Raises:
        Unreadable: The kernel does not tell.
    """
    path = pages_file(page_bytes, nic_node(host)).lstrip("/").replace("nr_hugepages", "free_hugepages")
    return host.root.number(path)


def hugetlbfs(host: Host) -> Verdict:
    """Row 15: where ring files go."""
    if not host.needs.ring_pages:
        return info("no ring asks for huge pages")
    mounts = [line.split() for line in host.root.lines("proc/mounts")]
    found = [each[1] for each in mounts if len(each) > 2 and each[2] == "hugetlbfs"]
    if found:
        return ok(", ".join(found))
    fix = "mount -t hugetlbfs -o pagesize=2M none /dev/hugepages"
    required = any(each.is_required for each in host.needs.ring_pages)
    return (fail if required else warn)("no hugetlbfs is mounted", fix)


def huge_by_itself(host: Host) -> Verdict:
    """Row 16."""
    found = host.root.chosen("sys/kernel/mm/transparent_hugepage/enabled")
    if found in ("never", "madvise"):
        return ok(found)
    return warn(found, "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled (transparent_hugepage=madvise)")


def merging(host: Host) -> Verdict:
    """Row 17; absent where the kernel has no CONFIG_KSM, and then nothing merges."""
    found = host.root.text("sys/kernel/mm/ksm/run")
    return ok("off") if found == "0" else warn(found, "echo 2 > /sys/kernel/mm/ksm/run")


def balancing(host: Host) -> Verdict:
    """Row 18."""
    found = host.root.text("proc/sys/kernel/numa_balancing")
    return ok("off") if found == "0" else warn(found, "sysctl kernel.numa_balancing=0")


def swap(host: Host) -> Verdict:
    """Row 19."""
    areas = [line.split()[0] for line in host.root.lines("proc/swaps")[1:]]
    if not areas:
        return ok("none")
    swappiness = host.root.optional("proc/sys/vm/swappiness")
    if swappiness is not None and swappiness.isdigit() and int(swappiness) <= 1:
        return ok(f"{', '.join(areas)}, vm.swappiness {swappiness}")
    return warn(f"{', '.join(areas)}, vm.swappiness {swappiness or 'unknown'}", "sysctl vm.swappiness=1, or swapoff -a")


CHECKS = (
    NicCheck(
        "memory.numa", "the loop's cores on the NIC's node", "each packet crosses between sockets otherwise", numa
    ),
    Check(
        "memory.hugepages",
        "enough free on the NIC's node",
        "ordinary pages cost a TLB miss each few packets; `require` refuses to start",
        hugepages,
    ),
    Check("memory.hugetlbfs", "hugetlbfs mounted", "a ring's file lies there", hugetlbfs),
    Check("memory.thp", "never or madvise", "khugepaged moves pages while the loop writes them", huge_by_itself),
    Check("memory.ksm", "0", "the scan for equal pages takes locks and time", merging),
    Check("memory.numa_balancing", "0", "it unmaps pages to see who uses them: faults in the loop", balancing),
    Check("memory.swap", "none, or swappiness 1", "a reader or the recorder whose pages went out falls behind", swap),
)
"""Of the theme `memory`."""
