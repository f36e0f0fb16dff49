"""Checks of how a captured interface spreads packets: RX queues, RSS table, flow rules, stripped tags, RPS, RFS, XPS.

A capture takes all RX queues that there are when it starts: whatever goes anywhere else it does not see.
"""

from __future__ import annotations

from nanotape.capture.host.check import NicCheck, Verdict, fail, info, ok, warn
from nanotape.capture.host.cores import CPU
from nanotape.capture.host.facts import FlowRule, Host
from nanotape.capture.host.root import Unreadable, cpu_mask, cpu_text

_RFS_ENTRIES = "proc/sys/net/core/rps_sock_flow_entries"
_SHOWN = 3


def queues(host: Host, interface: str) -> Verdict:
    """Row 35: RSS and steering spread flows over queues; each needs a place in the loop's round."""
    found = host.nics.queues(interface)
    loops = max(len(host.needs.cores), 1)
    told = f"{found.now} of {found.most}"
    if found.now <= loops:
        return ok(told)
    return warn(told, f"ethtool -L {interface} combined {loops}", f"{loops}: one for each loop")


def captured_queues(host: Host, interface: str) -> frozenset[int] | None:
    """Those that a running AF_XDP capture has; None: none runs there, and one that starts takes them all."""
    found = [each for each in host.captured if each.interface == interface and each.kind == "afxdp"]
    return frozenset(each.queue for each in found) if found else None


def spread(host: Host, interface: str) -> Verdict:
    """Row 35 (`ethtool -x`): the table must not name a queue that the capture lacks, as after `ethtool -L`."""
    have = captured_queues(host, interface)
    count = host.nics.queues(interface).now
    if count == 1 and have in (None, {0}):
        return ok("one queue: nothing is spread")
    used = frozenset(host.nics.spread(interface))
    if not used:
        raise Unreadable(f"{interface}: its RSS table is empty: its driver does not tell")
    told = f"UDP goes to queues {cpu_text(used)} of {count}, {_hashed(host, interface)}"
    missed = used - (frozenset(range(count)) if have is None else have)
    if missed:
        fix = f"start the capture anew, which takes all queues; or ethtool -L {interface} combined {len(have or used)}"
        return fail(f"{told}; nobody captures {cpu_text(missed)}", fix)
    return ok(told)


def _hashed(host: Host, interface: str) -> str:
    try:
        return f"by {', '.join(host.nics.hash_fields(interface)) or 'nothing'}"
    except Unreadable:
        return "by fields that its driver does not tell"


def flow_rules(host: Host, interface: str) -> Verdict:
    """Row 35 (`ethtool -n`): they come before RSS; one of a configured group must leave it to the capture."""
    rules = host.nics.flow_rules(interface)
    have = captured_queues(host, interface) or frozenset(range(host.nics.queues(interface).now))
    flows = [(group, port) for name, group, port in host.needs.flows if name == interface]
    taking = [rule for rule in rules if any(rule.takes(group, port) for group, port in flows)]
    lost = [rule for rule in taking if not rule.spreads and (rule.function or rule.queue not in have)]
    if lost:
        told = "; ".join(f"rule {rule.location} {_fate(rule)}" for rule in lost[:_SHOWN])
        fix = "; ".join(f"ethtool -N {interface} delete {rule.location}" for rule in lost)
        return fail(f"{told}: of a configured group", fix)
    if not rules:
        return ok("none")
    return ok(f"{len(rules)}, {len(taking)} of configured groups, all to captured queues")


def _fate(rule: FlowRule) -> str:
    if rule.function:
        return f"sends to virtual function {rule.function - 1}"
    return "discards" if rule.queue is None else f"sends to queue {rule.queue}, which nobody captures"


def stripped_tags(host: Host, interface: str) -> Verdict:
    """Row 33: an XDP program sees no tag that the NIC took off."""
    if interface not in host.needs.afxdp:
        return info("no AF_XDP source takes from it: other sources are told the tag")
    if not host.nics.features(interface).get("rx-vlan-hw-parse"):
        return ok("off")
    return warn("rx-vlan-offload on", f"ethtool -K {interface} rxvlan off")


def steering(host: Host, interface: str) -> Verdict:
    """Row 35: RPS moves packets to other CPUs, by a software interrupt each."""
    moved = _masks(host, interface, "rx-", "rps_cpus")
    busy = {path: cpus for path, cpus in moved.items() if cpus}
    if not busy:
        return ok("rps off")
    told = ", ".join(f"{_queue_of(path)}: {cpu_text(cpus)}" for path, cpus in busy.items())
    return warn(told, "; ".join(f"echo 0 > /{path}" for path in busy))


def flow_steering(host: Host, interface: str) -> Verdict:
    """Row 35: RFS is RPS that follows readers about; both its numbers must be set for it to work."""
    counts = {path: host.root.number(path) for path in queue_files(host, interface, "rx-", "rps_flow_cnt")}
    if not any(counts.values()):
        return ok("rfs off")
    entries = host.root.number(_RFS_ENTRIES)
    told = f"rps_flow_cnt {max(counts.values())}, rps_sock_flow_entries {entries}"
    fix = "; ".join(f"echo 0 > /{path}" for path, count in counts.items() if count)
    return warn(told, fix) if entries else info(f"{told}: off, for the second is 0")


def sending_cpus(host: Host, interface: str) -> Verdict:
    """Row 35: XPS; a capture sends nothing but joins, so it costs only what others send from there."""
    chosen = _masks(host, interface, "tx-", "xps_cpus")
    own = {path: cpus for path, cpus in chosen.items() if cpus & host.needs.cores}
    if not own:
        return ok("xps off" if not any(chosen.values()) else "not on the loop's cores")
    told = ", ".join(f"{_queue_of(path)}: {cpu_text(cpus)}" for path, cpus in own.items())
    rest = host.root.cpus(f"{CPU}/online") - host.needs.cores
    kept = {path: cpu_mask(cpus & rest) for path, cpus in own.items()}
    return info(told, "; ".join(f"echo {mask} > /{path}" for path, mask in kept.items()))


def queue_files(host: Host, interface: str, kind: str, leaf: str) -> list[str]:
    """Files of that name of each queue, `rx-` or `tx-`, that are there.

    Raises:
        Unreadable: No queue has it: a kernel without RPS, RFS or XPS, or no such interface.
    """
    folder = f"sys/class/net/{interface}/queues"
    paths = [f"{folder}/{name}/{leaf}" for name in host.root.names(folder) if name.startswith(kind)]
    found = [path for path in paths if host.root.exists(path)]
    if not found:
        raise Unreadable(f"/{folder}: no queue has {leaf}")
    return found


def _masks(host: Host, interface: str, kind: str, leaf: str) -> dict[str, frozenset[int]]:
    found = {path: _mask(host, path) for path in queue_files(host, interface, kind, leaf)}
    readable = {path: cpus for path, cpus in found.items() if cpus is not None}
    if not readable:
        raise Unreadable(f"/sys/class/net/{interface}/queues: the kernel does not tell {leaf}")
    return readable


def _mask(host: Host, path: str) -> frozenset[int] | None:
    """None: a NIC of one queue has the file, and refuses to be read."""
    try:
        return host.root.mask(path)
    except Unreadable:
        return None


def _queue_of(path: str) -> str:
    return path.rsplit("/", 2)[1]


CHECKS = (
    NicCheck(
        "nic.queues", "one for each loop", "each queue needs memory, a socket and a turn; flows spread over all", queues
    ),
    NicCheck("nic.rss", "only to queues that are captured", "the others' packets nobody sees", spread),
    NicCheck("nic.flow_rules", "configured groups to captured queues", "a rule comes before RSS", flow_rules),
    NicCheck("nic.vlan_tags", "not stripped", "an XDP program takes the packet for an untagged one", stripped_tags),
    NicCheck("nic.steering", "rps_cpus 0", "it hands packets to other cores by interrupts", steering),
    NicCheck("nic.rfs", "rps_flow_cnt 0", "it moves flows to the cores of their readers", flow_steering),
    NicCheck("nic.xps", "not on the loop's cores", "what others send is finished where they sent it", sending_cpus),
)
"""Of the theme `nic`, as to queues."""
