"""Checks of limits and buffers: of this process, and of the kernel's sockets."""

from __future__ import annotations

from nanotape.capture.host.check import Check, Verdict, fail, info, ok, warn
from nanotape.capture.host.facts import Host
from nanotape.capture.host.root import Unreadable

_CAPABILITIES = {"CAP_NET_ADMIN": 12, "CAP_NET_RAW": 13, "CAP_IPC_LOCK": 14, "CAP_BPF": 39}
_IPC_LOCK, _SYS_NICE = 14, 23
BACKLOG = 10_000
GROUPS_MINIMUM = 20
_MIB = 1 << 20


def _capabilities(host: Host) -> int:
    status = dict(line.partition(":")[::2] for line in host.root.lines("proc/self/status"))
    try:
        return int(status["CapEff"], 16)
    except (KeyError, ValueError):
        raise Unreadable("/proc/self/status: tells no CapEff") from None


def memlock(host: Host) -> Verdict:
    """Row 41: of this process; systemd sets that of the service (LimitMEMLOCK)."""
    row = next((line for line in host.root.lines("proc/self/limits") if line.startswith("Max locked memory")), None)
    if row is None:
        raise Unreadable("/proc/self/limits: tells no locked memory")
    soft = row.removeprefix("Max locked memory").split()[0]
    need = sum(octets for _, octets in host.needs.umem_bytes_per_queue) + sum(
        each.bytes for each in host.needs.ring_pages
    )
    told = soft if soft == "unlimited" else f"{int(soft) // _MIB} MiB"
    wanted = f"unlimited, {need // _MIB} MiB, or CAP_IPC_LOCK"
    if soft == "unlimited" or int(soft) >= need:
        return ok(told, wanted)
    if _capabilities(host) >> _IPC_LOCK & 1:
        return ok(f"{told}, passed by with CAP_IPC_LOCK", wanted)
    return fail(told, "LimitMEMLOCK=infinity in the unit, or `ulimit -l unlimited`", wanted)


def capabilities(host: Host) -> Verdict:
    """Row 41: what starting a capture needs; the service has them from systemd."""
    held = _capabilities(host)
    lacking = [name for name, bit in _CAPABILITIES.items() if not held >> bit & 1]
    if not lacking:
        return ok("all")
    needed = [name for name in lacking if name == "CAP_NET_RAW" or host.needs.afxdp]
    told = f"this process lacks {', '.join(lacking)}"
    if not needed or not (host.needs.afxdp or host.needs.interfaces):
        return info(told)
    return info(told, "start it by systemd (nanotape service install), which gives them to the holder alone")


def realtime(host: Host) -> Verdict:
    """Row 41: of this process; the service has it from its unit (LimitRTPRIO)."""
    if not host.needs.realtime:
        return info("no loop runs with SCHED_FIFO ([loop] realtime)")
    row = next((line for line in host.root.lines("proc/self/limits") if line.startswith("Max realtime priority")), None)
    if row is None:
        raise Unreadable("/proc/self/limits: tells no realtime priority")
    soft = row.removeprefix("Max realtime priority").split()[0]
    wanted = f"{host.needs.realtime}, or CAP_SYS_NICE"
    if soft == "unlimited" or int(soft) >= host.needs.realtime:
        return ok(soft, wanted)
    if _capabilities(host) >> _SYS_NICE & 1:
        return ok(f"{soft}, passed by with CAP_SYS_NICE", wanted)
    return info(f"{soft}: this process", f"start it by systemd; elsewhere ulimit -r {host.needs.realtime}", wanted)


def busy_poll(host: Host) -> Verdict:
    """Row 38: of plain sockets only."""
    found = host.root.number("proc/sys/net/core/busy_read")
    if not host.needs.sockets:
        return info(f"{found}; no socket source")
    return ok(f"{found} us") if found else info("0", "sysctl net.core.busy_read=50 net.core.busy_poll=50")


def receive_buffer(host: Host) -> Verdict:
    """Row 39."""
    found = host.root.number("proc/sys/net/core/rmem_max")
    if not host.needs.receive_buffer:
        return info(f"{found:,}; no socket source")
    need = host.needs.receive_buffer
    return (
        ok(f"{found:,}", f"{need:,}")
        if found >= need
        else warn(f"{found:,}", f"sysctl net.core.rmem_max={need}", f"{need:,}")
    )


def backlog(host: Host) -> Verdict:
    """Row 39: of packet and plain sockets; AF_XDP never sees it."""
    found = host.root.number("proc/sys/net/core/netdev_max_backlog")
    told = f"{found:,}"
    return ok(told) if found >= BACKLOG else info(told, f"sysctl net.core.netdev_max_backlog={BACKLOG}")


def memberships(host: Host) -> Verdict:
    """Row 39: the kernel's limit is for one socket; the holder's joins are spread over sockets by it."""
    found = host.root.number("proc/sys/net/ipv4/igmp_max_memberships")
    wanted = max(host.needs.groups, GROUPS_MINIMUM)
    if found >= wanted:
        return ok(f"{found} for {host.needs.groups} groups", f"{wanted}")
    return warn(
        f"{found} for {host.needs.groups} groups", f"sysctl net.ipv4.igmp_max_memberships={wanted}", f"{wanted}"
    )


def socket_losses(host: Host) -> Verdict:
    """Row 39: growth where it was measured."""
    measured = host.measured
    if measured is None:
        raise Unreadable("not measured: nanotape doctor --measure 5")
    if measured.udp_errors is None or measured.softnet_drops is None:
        raise Unreadable("/proc/net/snmp or softnet_stat: could not be read twice")
    told = f"{measured.udp_errors} in sockets, {measured.softnet_drops} in the backlog, in {measured.seconds:.0f} s"
    if measured.squeezed:
        told += f"; {measured.squeezed} rounds cut short (net.core.netdev_budget)"
    if measured.udp_errors or measured.softnet_drops:
        return warn(told, "see who: ss -uamn; larger buffers: sysctl net.core.rmem_max, netdev_max_backlog")
    return ok(told)


CHECKS = (
    Check(
        "limits.memlock",
        "unlimited or the size of rings and packet memory",
        "memory that is not locked may be taken away",
        memlock,
    ),
    Check(
        "limits.capabilities",
        "CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF, CAP_IPC_LOCK for the holder",
        "without them no capture starts",
        capabilities,
    ),
    Check("limits.realtime", "the priority of [loop] realtime", "else the loop runs as others do", realtime),
    Check(
        "limits.memberships", "at least the groups of an interface", "joins beyond it fail with ENOBUFS", memberships
    ),
    Check(
        "limits.receive_buffer",
        "at least source.receive_buffer",
        "the kernel cuts what a socket asks for",
        receive_buffer,
    ),
    Check("limits.backlog", f"at least {BACKLOG:,}", "bursts for sockets wait there", backlog),
    Check("limits.busy_poll", "50 for sockets", "a socket that polls its NIC waits for no interrupt", busy_poll),
    Check("limits.socket_losses", "no growth", "what the kernel drops behind the NIC", socket_losses),
)
"""Of the theme `limits`."""
