"""Checks of each captured interface: slot, rings, coalescing, pause, offloads, stamps, XDP, and its drops."""

from __future__ import annotations

from nanotape.capture.host.check import NicCheck, Verdict, fail, info, ok, warn
from nanotape.capture.host.facts import Host
from nanotape.capture.host.root import Unreadable

GROWS = ("rx_missed_errors", "rx_fifo_errors", "rx_over_errors", "rx_crc_errors")
"""Counters of /sys/class/net/IF/statistics that mean a packet is gone."""
MERGING = ("rx-gro", "rx-lro", "rx-gro-hw", "rx-gro-list", "rx-udp-gro-forwarding")
"""Offloads that make one frame of several."""
_SHORT = {"rx-gro": "gro", "rx-lro": "lro"}


def link(host: Host, interface: str) -> Verdict:
    """Whether it is there and has a carrier."""
    folder = f"sys/class/net/{interface}"
    if not host.root.exists(folder):
        if not host.root.exists("sys/class/net"):
            raise Unreadable("/sys/class/net: cannot be listed")
        return fail("no such interface", "ip link; correct `interface` in the configuration")
    state = host.root.text(f"{folder}/operstate")
    mtu = host.root.optional(f"{folder}/mtu")
    if state in ("up", "unknown"):
        return ok(f"{state}, MTU {mtu or 'unknown'}")
    return fail(state, f"ip link set {interface} up; else see to the cable")


def pcie(host: Host, interface: str) -> Verdict:
    """Row 29."""
    device = f"sys/class/net/{interface}/device"
    now, most = (
        tuple(host.root.text(f"{device}/{which}_link_{what}") for what in ("speed", "width"))
        for which in ("current", "max")
    )
    policy = host.root.optional("sys/module/pcie_aspm/parameters/policy")
    aspm = policy.partition("[")[2].partition("]")[0] if policy else "unknown"
    told = f"{now[0]} x{now[1]} of {most[0]} x{most[1]}, ASPM {aspm}"
    if now != most:
        return warn(told, "another slot, or reseat the card")
    if aspm not in ("performance", "unknown"):
        return warn(told, "kernel command line: pcie_aspm.policy=performance")
    return ok(told)


def rings(host: Host, interface: str) -> Verdict:
    """Row 30."""
    found = host.nics.rings(interface)
    told = f"{found.now} of {found.most}"
    return (
        ok(told) if found.now >= found.most else warn(told, f"ethtool -G {interface} rx {found.most}", f"{found.most}")
    )


def coalescing(host: Host, interface: str) -> Verdict:
    """Row 31."""
    found = host.nics.coalescing(interface)
    told = f"adaptive-rx {_switch(found.adaptive)}, rx-usecs {found.usecs}"
    if not found.adaptive and found.usecs == 0:
        return ok(told)
    return warn(told, f"ethtool -C {interface} adaptive-rx off rx-usecs 0")


def pause(host: Host, interface: str) -> Verdict:
    """Row 32."""
    receives, sends = host.nics.pause(interface)
    told = f"rx {_switch(receives)}, tx {_switch(sends)}"
    if not receives and not sends:
        return ok(told)
    return warn(told, f"ethtool -A {interface} autoneg off rx off tx off")


def offloads(host: Host, interface: str) -> Verdict:
    """Row 33."""
    features = host.nics.features(interface)
    merging = [name for name in MERGING if features.get(name)]
    if not merging:
        return ok("none merges frames")
    words = " ".join(f"{_SHORT.get(name, name)} off" for name in merging)
    return warn(f"{', '.join(merging)} on", f"ethtool -K {interface} {words}")


def _switch(is_on: bool) -> str:
    return "on" if is_on else "off"


def stamps(host: Host, interface: str) -> Verdict:
    """Row 34; hardware that can do it and does not is the fault."""
    can, told = host.nics.stamps_all(interface)
    if not can:
        return warn(f"its hardware stamps not every packet: {told}", "a NIC that does, or a switch that stamps")
    now = host.nics.rx_filter(interface)
    if now == "all":
        return ok("rx filter all")
    fix = f"hwts_filter full in ptp4l's configuration; without PTP: hwstamp_ctl -i {interface} -r 1"
    return fail(f"rx filter {now}", fix)


def drops(host: Host, interface: str) -> Verdict:
    """Row 40: growth where it was measured, else since the interface is up."""
    folder = f"sys/class/net/{interface}/statistics"
    fix = f"ethtool -S {interface}: see which; larger rings (-G), fewer merges, a free core"
    if host.measured is not None:
        grown = {name: host.measured.nic.get((interface, name)) for name in GROWS}
        if all(count is None for count in grown.values()):
            raise Unreadable(f"/{folder}: could not be read twice")
        lost = {name: count for name, count in grown.items() if count}
        told = ", ".join(f"{name} +{count}" for name, count in lost.items())
        return (
            fail(f"{told} in {host.measured.seconds:.0f} s", fix)
            if lost
            else ok(f"none in {host.measured.seconds:.0f} s")
        )
    counts = {name: host.root.number(f"{folder}/{name}") for name in GROWS}
    lost = {name: count for name, count in counts.items() if count}
    told = ", ".join(f"{name} {count:,}" for name, count in lost.items())
    return (
        info(f"{told}, when is not known", "see whether they grow: nanotape doctor --measure 5") if lost else ok("none")
    )


def driver_drops(host: Host, interface: str) -> Verdict:
    """Row 40: what the driver itself counts; names differ from one to the next."""
    if host.measured is None:
        raise Unreadable("not measured: nanotape doctor --measure 5")
    grown = {name: count for (owner, name), count in host.measured.driver.items() if owner == interface}
    if not grown:
        raise Unreadable(f"{interface}: its driver has no counter that is known to tell of losses")
    lost = ", ".join(f"{name} +{count}" for name, count in grown.items() if count)
    if lost:
        return fail(lost, f"ethtool -S {interface}; larger rings: ethtool -G {interface} rx, and a free core")
    return ok(f"none of {len(grown)} counters")


def zero_copy(host: Host, interface: str) -> Verdict:
    """What a bind truly gave; only a capture that runs knows."""
    if interface not in host.needs.afxdp:
        return info("no AF_XDP source takes from it")
    running = [each for each in host.captured if each.interface == interface and each.kind == "afxdp"]
    if not running:
        raise Unreadable("no capture runs there: whether its driver does it shows at the bind")
    slow = [each for each in running if each.skb_mode or not each.zero_copy]
    if not slow:
        return ok("zero-copy")
    told = "generic (SKB) mode" if slow[0].skb_mode else "copy mode"
    fix = "see docs/sources.md for drivers that have it; a newer driver, or fewer queues"
    return fail(told, fix) if interface in host.needs.zerocopy_required else warn(told, fix)


def foreign_program(host: Host, interface: str) -> Verdict:
    """Row 42: an XDP program of others takes the packets first, or refuses ours."""
    number = host.nics.xdp_program(interface)
    if number is None:
        return ok("none")
    if any(each.interface == interface and each.kind == "afxdp" for each in host.captured):
        return ok(f"program {number}, of the capture that runs")
    return warn(
        f"program {number} is attached, and no capture runs",
        f"bpftool prog show id {number}; ip link set {interface} xdp off",
    )


CHECKS = (
    NicCheck("nic.link", "up", "nothing arrives on a port that is down", link),
    NicCheck("nic.pcie", "current = max, ASPM performance", "a slower slot drops bursts that the port takes", pcie),
    NicCheck(
        "nic.rings", "rx = max", "a burst while the loop is away must fit; smaller ones are kinder to the cache", rings
    ),
    NicCheck("nic.coalescing", "adaptive-rx off, rx-usecs 0", "packets wait in the NIC else", coalescing),
    NicCheck("nic.pause", "off", "a full port would stop the switch, and with it everybody else's feed", pause),
    NicCheck("nic.offloads", "nothing merges frames", "merged frames are no packets of the feed any more", offloads),
    NicCheck(
        "nic.stamps",
        "every packet stamped in hardware (rx filter all)",
        "the kernel's stamp is late by what the packet waited",
        stamps,
    ),
    NicCheck("nic.drops", "no growth", "what the NIC drops nobody can capture", drops),
    NicCheck("nic.driver_drops", "no growth", "losses that a driver counts under names of its own", driver_drops),
    NicCheck("nic.zero_copy", "zero-copy really on", "a copy in the kernel costs a core at high rates", zero_copy),
    NicCheck(
        "nic.xdp", "no foreign XDP program", "it sees packets first, and ours cannot be attached", foreign_program
    ),
)
"""Of the theme `nic`."""
