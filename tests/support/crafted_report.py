"""A report of `nanotape bench` with every part in it, in round figures that a test can follow."""

from __future__ import annotations

import copy
from typing import Any

from nanotape.cli.bench.model import PartResult
from nanotape.cli.bench.report import Circumstances, assemble
from nanotape.cli.bench.summary import by_contender
from nanotape.cli.bench.targets import judge

RATES = (250_000, 1_000_000, 0)
TOOLS = {"nanotape, zstd 1": (0.4, 0), "tcpdump": (1.0, 0), "dumpcap": (1.6, 40)}
"""CPU us a packet, and % lost at the maximum."""


def _ring() -> PartResult:
    repetitions = [
        {
            "contender": f"{size} B{readers}",
            "ring_ns": size / 8 + number,
            "memcpy_ns": size / 10,
            "ratio": 1.25,
            "exact": True,
            "steal": 0.0,
        }
        for number in range(3)
        for size in (64, 242, 1400)
        for readers in ("", ", 1 reader", ", 3 readers")
    ]
    targets = [judge("ring", 31.25), judge("ring / memcpy", 1.25)]
    summary = by_contender(repetitions, ("ring_ns", "memcpy_ns", "ratio", "steal"))
    return PartResult("ring", "memory into the ring", repetitions, summary, targets, ["A note of the ring."])


def _record() -> PartResult:
    repetitions = [
        {"contender": f"{kind}, {place}", "mpps": mpps, "bytes_per_packet": 60.0, "rss_mib": 120.0, "exact": True}
        for kind, mpps in {"none": 4.5, "lz4": 3.5, "zstd 1": 2.5, "zstd 3": 1.5}.items()
        for place in ("tmpfs", "disk")
    ]
    repetitions.append({"contender": "zstd 1 alone", "mpps": 2.9, "bytes_per_packet": 59.0, "rss_mib": None})
    targets = [
        judge("record zstd 1", 2.5, "zstd 1 alone takes 345 ns of the 400 ns a packet"),
        judge("record uncompressed", 4.5),
        judge("memory", 120.0),
    ]
    summary = by_contender(repetitions, ("mpps", "bytes_per_packet", "rss_mib"))
    return PartResult("record", "ring to Arrow", repetitions, summary, targets, [])


def _wire() -> PartResult:
    repetitions = [
        {
            "contender": tool,
            "rate": rate,
            "pps": rate or 2_700_000,
            "sent": 10_000_000,
            "lost": 0 if rate else lost * 100_000,
            "cpu_us": cpu,
            "unexplained": 0,
            "steal": 0.02,
        }
        for tool, (cpu, lost) in TOOLS.items()
        for rate in RATES
    ]
    targets = [judge("wire", 0), judge("cpu zstd 1", 0.4), judge("cpu uncompressed", 0.3)]
    return PartResult("wire", "veth to disk", repetitions, by_contender(repetitions, ("cpu_us",)), targets, [])


def _latency() -> PartResult:
    repetitions = [
        {
            "contender": mode,
            "rate": rate,
            "p50": base,
            "p99": base * 2,
            "p99_9": base * 20,
            "max": base * 300,
            "steal": 0.0,
        }
        for mode, base in {"bare loop": 500, "in the ring": 560, "UDP socket": 4000}.items()
        for rate in (1_000, 300_000)
    ]
    targets = [judge("latency p50 over bare", 60), judge("latency p99", 1120), judge("latency p99.9", 11200)]
    return PartResult("latency", "stamp to ring", repetitions, by_contender(repetitions, ("p50", "p99")), targets, [])


def _path() -> PartResult:
    repetitions = [
        {"contender": name, "mpps": mpps, "lost": 0}
        for name, mpps in {"the ring": 21.0, "the recorder": 1.9, "the disk": 3.4}.items()
    ]
    return PartResult("path", "each stage by itself", repetitions, by_contender(repetitions, ("mpps", "lost")), [], [])


def _tuning() -> PartResult:
    repetitions = [{"contender": name, "ns": ns} for name, ns in {"batch 32": 50.0, "batch 64": 45.0}.items()]
    return PartResult("tuning", "settings of the loop", repetitions, by_contender(repetitions, ("ns",)), [], [])


PARTS = [_ring(), _wire(), _latency(), _record(), _path(), _tuning()]
ABSENT = {"sustain": "this machine | has no disk"}
AROUND = Circumstances("1.2.3", "2026-11-20T20:37:00+00:00", False, {"CPU": "made of card", "cores": "2"})


def report(parts: list[PartResult] | None = None, absent: dict[str, str] | None = None) -> dict[str, Any]:
    """The crafted report, or one of some of its parts; the caller's own."""
    made = assemble(AROUND, PARTS if parts is None else parts, ABSENT if absent is None else absent)
    return copy.deepcopy(made)
