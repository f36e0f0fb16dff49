"""What interrupts a core: a native thread that spins there for some seconds, and the core's interrupts meanwhile.

Needs no privilege. Whoever shares the core is slowed for as long: one on which a capture's loop spins is refused.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nanotape.capture.errors import HostError
from nanotape.capture.host.measure import between, pinned_loops, sample
from nanotape.capture.host.root import HostRoot, Unreadable
from nanotape.native import ffi, lib

PERCENTILES = (50.0, 90.0, 99.0, 99.9, 99.99, 99.999)
KEPT = 1 << 20
"""Gaps whose length is noted; those beyond are counted."""


class JitterRefused(HostError):
    """Raised when a core is not to be measured: it is not there, not for this process, or a capture's loop is on it."""


@dataclass(frozen=True, slots=True)
class Jitter:
    """Of one core. Lengths are of gaps of at least the threshold, unless they say otherwise."""

    core: int
    seconds: float
    threshold_ns: int
    looks: int
    """At the clock."""
    look_ns: int
    """What one costs, at the least."""
    gaps: int
    gap_share: float
    """Of the time, from 0 to 1."""
    min_ns: int | None
    """This and the following: None: there was no gap."""
    mean_ns: float | None
    max_ns: int | None
    percentiles_ns: dict[str, int]
    """By name: p50 to p99.999; empty: there was no gap."""
    gaps_kept: int
    """Of those that the percentiles are of: the first."""
    longest_ns: int
    """Of all looks."""
    histogram: tuple[int, ...]
    """Of all looks: bucket b: 2^(b-1) to 2^b - 1 ns."""
    interrupts: dict[str, int] | None
    """That came on this core meanwhile, by name, most first; None: /proc/interrupts cannot be read."""


def measure_jitter(
    core: int,
    seconds: float,
    threshold_ns: int,
    sleep: Callable[[float], object] = time.sleep,
    root: HostRoot | None = None,
) -> Jitter:
    """Spins on a core for some seconds.

    Args:
        core: Number of the CPU.
        seconds: How long.
        threshold_ns: Length from which on two looks at the clock are a gap.
        sleep: Waits meanwhile.
        root: Whose /proc/interrupts; None: this host's.

    Raises:
        JitterRefused: There is no such core for this process, or a capture would lose packets.
    """
    root = root or HostRoot()
    _leave_loops_alone(root, core)
    started, fault = ffi.new("struct nt_jitter **"), ffi.new("struct nt_fault *")
    before = sample(root)
    if lib.nt_jitter_start(started, core, threshold_ns, KEPT, fault):
        raise JitterRefused(ffi.string(fault.text).decode("utf-8", "replace"))
    try:
        sleep(seconds)
        facts = ffi.new("struct nt_jitter_facts *")
        noted = lib.nt_jitter_stop(started[0], facts)
        came = between(before, sample(root), seconds)
        lengths = np.frombuffer(ffi.buffer(noted, facts.gaps_kept * 8), np.uint64).copy()
    finally:
        lib.nt_jitter_destroy(started[0])
    most_first = sorted(came.interrupts_on({core}).items(), key=lambda each: -each[1])
    return _jitter(core, threshold_ns, facts, lengths, dict(most_first) if before.interrupts else None)


def _leave_loops_alone(root: HostRoot, core: int) -> None:
    """Two that spin on one core have half of it each; beside a loop with SCHED_FIFO we would never end."""
    try:
        pids = [fields.get("Tgid", "") for cpu, fields in pinned_loops(root) if cpu == core]
    except Unreadable:
        return
    if pids:
        raise JitterRefused(
            f"core {core}: the loop of a capture (process {pids[0]}) spins there, and would lose packets: end it, "
            "or see its own gaps (nanotape rings)"
        )


def _jitter(
    core: int, threshold_ns: int, facts: Any, lengths: npt.NDArray[np.uint64], interrupts: dict[str, int] | None
) -> Jitter:
    seen = bool(len(lengths))
    found = np.percentile(lengths, PERCENTILES, method="inverted_cdf") if seen else ()
    return Jitter(
        core=core,
        seconds=facts.spun_ns / 1e9,
        threshold_ns=threshold_ns,
        looks=facts.looks,
        look_ns=facts.shortest_ns,
        gaps=facts.gaps,
        gap_share=facts.gaps_ns / facts.spun_ns if facts.spun_ns else 0.0,
        min_ns=int(lengths.min()) if seen else None,
        mean_ns=facts.gaps_ns / facts.gaps if seen else None,
        max_ns=facts.longest_ns if seen else None,
        percentiles_ns={f"p{name:g}": int(value) for name, value in zip(PERCENTILES, found, strict=False)},
        gaps_kept=facts.gaps_kept,
        longest_ns=facts.longest_ns,
        histogram=tuple(facts.histogram),
        interrupts=interrupts,
    )
