"""Checks of memory: huge pages where the NIC is, and nothing that moves or scans pages behind the loop's back."""

from __future__ import annotations

from nanotape.capture.host.check import Check, NicCheck, Verdict, fail, info, ok, warn
from nanotape.capture.host.facts import Host
from nanotape.capture.host.needs import HugePages
from nanotape.capture.host.root import HostRoot, Unreadable, cpu_text

NODES = "sys/devices/system/node"
_USUAL_MOUNT = "/dev/hugepages"
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
    node = nic_node(host)
    where = "" if node is None else f" on node {node}"
    goal = "free: " + ", ".join(f"{need.pages} of {_size(need.page_bytes)}" for need in wanted) + where
    free = {need.page_bytes: free_pages(host, need.page_bytes) for need in wanted}
    held = {need.page_bytes: _held(host, need.page_bytes) for need in wanted}
    told = "; ".join(
        f"{free[size]} of {_size(size)} free" + (f", {held[size]} held by captures here" if held[size] else "")
        for size in free
    )
    lacking = [need for need in wanted if free[need.page_bytes] + held[need.page_bytes] < need.pages]
    if not lacking:
        return ok(told, goal)
    if _packet_memory_pages(host) and not any(need.is_required for need in lacking):
        raise Unreadable(f"{told}; a capture runs, and only its own start says whether its packet memory is among them")
    fix = "; ".join(f"echo {pages_in_all(host, need)} > {pages_file(need.page_bytes, node)}" for need in lacking)
    judge = fail if any(need.is_required for need in lacking) else warn
    return judge(told + where, f"{fix} (at boot: nanotape tune)", goal)


def _size(page_bytes: int) -> str:
    return f"{page_bytes // _MIB} MiB"


def _held(host: Host, page_bytes: int) -> int:
    """By rings, and by packet memory where a capture that demands huge pages runs: else it would not."""
    packet_memory = page_bytes == _UMEM_PAGE_BYTES and host.needs.umem_required
    return host.held_pages.get(page_bytes, 0) + (_packet_memory_pages(host) if packet_memory else 0)


def _packet_memory_pages(host: Host) -> int:
    """Of 2 MiB, that the captures that run have asked for."""
    running = {each.interface for each in host.captured if each.kind == "afxdp"}
    sizes = [octets * _queues(host.root, name) for name, octets in host.needs.umem_bytes_per_queue if name in running]
    return sum(-(-size // _UMEM_PAGE_BYTES) for size in sizes)


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


def pages_in_all(host: Host, need: HugePages) -> int:
    """To be reserved so that ours are free: the kernel's number is of all, and others use some of them."""
    path = pages_file(need.page_bytes, nic_node(host)).lstrip("/")
    used = host.root.number(path) - free_pages(host, need.page_bytes) - _held(host, need.page_bytes)
    return max(used, 0) + need.pages


def hugetlbfs(host: Host) -> Verdict:
    """Row 15: where ring files go."""
    if not host.needs.ring_pages:
        return info("no ring asks for huge pages")
    mounts = [line.split() for line in host.root.lines("proc/mounts")]
    found = {each[1]: _mounted_page_bytes(each[3]) for each in mounts if len(each) > 3 and each[2] == "hugetlbfs"}
    told = ", ".join(f"{place} ({_size(size)})" for place, size in found.items()) or "no hugetlbfs is mounted"
    lacking = [need for need in host.needs.ring_pages if need.page_bytes not in found.values()]
    if not lacking:
        return ok(told)
    size, place = lacking[0].page_bytes // _MIB, mount_place(host.root, lacking[0].page_bytes)
    fix = f"mkdir -p {place}; mount -t hugetlbfs -o pagesize={size}M none {place}"
    return (fail if any(each.is_required for each in lacking) else warn)(told, fix, f"hugetlbfs of {size} MiB pages")


def mount_place(root: HostRoot, page_bytes: int) -> str:
    """Where the units see it: they have a /dev of their own, with /dev/hugepages in it and no other hugetlbfs."""
    mounted = {line.split()[1] for line in root.lines("proc/mounts") if line.count(" ") > 1}
    if page_bytes == _UMEM_PAGE_BYTES and _USUAL_MOUNT not in mounted:
        return _USUAL_MOUNT
    return f"/run/hugepages-{page_bytes // _MIB}M"


def _mounted_page_bytes(options: str) -> int:
    """`pagesize=1024M`; without, which old kernels leave out, the default."""
    told = dict(word.partition("=")[::2] for word in options.split(",")).get("pagesize", "")
    units = {"K": _KIB, "M": _MIB, "G": 1 << 30}
    return int(told[:-1]) * units[told[-1]] if told[:-1].isdigit() and told[-1] in units else _UMEM_PAGE_BYTES


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
