"""The promises of the benchmark, in the order in which they are reported, and what came of each.

Every report names all of them: what was not measured says why.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from nanotape.cli.bench.model import PartResult, Target


@dataclass(frozen=True, slots=True)
class Promise:
    """One row of the table of targets."""

    name: str
    part: str
    """Which measures it; of several, the worst counts."""
    sense: Literal["at most", "at least"]
    target: float
    unit: str
    meaning: str

    def is_met(self, value: float) -> bool:
        """Whether a value keeps it."""
        return value <= self.target if self.sense == "at most" else value >= self.target

    def is_worse(self, one: float, other: float) -> bool:
        """Whether `one` is further from keeping it than `other`."""
        return one > other if self.sense == "at most" else one < other


PROMISES = (
    Promise("ring", "ring", "at most", 40, "ns a packet", "242-byte frames from memory into the ring, no reader"),
    Promise("ring / memcpy", "ring", "at most", 1.5, "x", "the same, beside a plain memcpy of the same bytes"),
    Promise("wire", "wire", "at most", 0, "packets lost", "at the generator's maximum, without a long steal stall"),
    Promise("sustain", "sustain", "at most", 0, "packets lost", "60 s at 1 Mpps to disk, zstd 1"),
    Promise("latency p50 over bare", "latency", "at most", 100, "ns", "XDP stamp to in the ring, beside a bare loop"),
    Promise("latency p99", "latency", "at most", 2_000, "ns", "XDP stamp to in the ring"),
    Promise("latency p99.9", "latency", "at most", 30_000, "ns", "XDP stamp to in the ring, without steal"),
    Promise("record zstd 1", "record", "at least", 3, "Mpps a core", "ring to Arrow, simulated ITCH, to tmpfs"),
    Promise("record uncompressed", "record", "at least", 4, "Mpps a core", "the same, without compression, to tmpfs"),
    Promise("cpu uncompressed", "wire", "at most", 0.65, "x", "NIC to file, busy time, beside the best other tool"),
    Promise("cpu zstd 1", "wire", "at most", 0.75, "x", "the same, compressed; the other tools do not compress"),
    Promise("memory", "record, sustain", "at most", 300, "MiB", "the recorder's peak, beside the ring"),
)
_BY_NAME = {promise.name: promise for promise in PROMISES}


def promise(name: str) -> Promise:
    """The promise of that name; KeyError: there is none."""
    return _BY_NAME[name]


def judge(name: str, value: float | None, why: str = "") -> Target:
    """What came of one promise.

    Args:
        name: Of the promise.
        value: In its unit; None: not measured.
        why: What stands in the way, or why it was not measured; empty where nothing does.
    """
    kept = promise(name)
    met = None if value is None else kept.is_met(value)
    return Target(name, value, kept.unit, kept.target, met, why)


def all_targets(parts: Iterable[PartResult], absent: dict[str, str]) -> list[Target]:
    """One target for each promise, in their order.

    Args:
        parts: What was measured.
        absent: Why a part is not among them, by its name.
    """
    offered = [target for part in parts for target in part.targets]
    return [_worst(kept, [target for target in offered if target.name == kept.name], absent) for kept in PROMISES]


def _worst(kept: Promise, offered: list[Target], absent: dict[str, str]) -> Target:
    worst: Target | None = None
    for target in offered:
        if target.value is not None and (
            worst is None or worst.value is None or kept.is_worse(target.value, worst.value)
        ):
            worst = target
    if worst is not None:
        return judge(kept.name, worst.value, worst.why)
    if offered:
        return judge(kept.name, None, offered[0].why)
    reasons = [absent[part] for part in kept.part.split(", ") if part in absent]
    return judge(kept.name, None, reasons[0] if reasons else f"part {kept.part} was not run")


def target_json(target: Target) -> dict[str, Any]:
    """For the report; `why` only where there is one."""
    row = {name: getattr(target, name) for name in ("name", "value", "unit", "target", "met")}
    return row | ({"why": target.why} if target.why else {})
