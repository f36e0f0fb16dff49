"""What came of the promises about latency, and what a reader of the figures must know. Pure functions of them."""

import statistics
from collections.abc import Callable, Sequence
from typing import Any

from nanotape.cli.bench.model import Target
from nanotape.cli.bench.targets import judge

Repetitions = Sequence[dict[str, Any]]

BARE, RING, READER = "bare loop", "in the ring", "in a reader's hand"
SOCKET, PACKET, CORE = "UDP socket", "TPACKET_V3", "core alone"

_FULL_RATE = 0.99
_HOW = (
    "each run sends 242-byte frames from the other namespace and core, one a system call and evenly; what is late is "
    "not made up for; the first 0.1 s is left out; percentiles are exact, of all packets",
    "bare loop, in the ring, in a reader's hand: from the XDP program's stamp, which comes before the kernel copies "
    "the packet to user space; UDP socket and TPACKET_V3: from the kernel's own stamp, on the same veth with GRO on "
    "and no XDP program",
    "in the ring: the clock is read when the loop has published the batch and counted it",
    "in a reader's hand: with two cores the reader shares one with the sender, in whose system call the veth receives; "
    "its figures contain the return of that call",
    "TPACKET_V3 hands packets over by the block: when it is full, or when its time, 1 ms here, is up",
    "core alone: nobody receives; a thread that only looks at the clock notes for how long the core was taken from it, "
    "and the figures are what packets would wait for that reason alone",
)


def targets(repetitions: Repetitions) -> list[Target]:
    """The promises, each of the rate that is worst; of repetitions without steal, where there are any."""
    over = _worst(repetitions, "p50", against=BARE)
    p99, p99_9 = (_worst(repetitions, figure) for figure in ("p99", "p99_9"))
    return [
        _judge(repetitions, "latency p50 over bare", over, ""),
        _judge(repetitions, "latency p99", p99, "p99"),
        _judge(repetitions, "latency p99.9", p99_9, "p99_9"),
    ]


def caveats(repetitions: Repetitions) -> list[str]:
    """What was measured how, then what was not as it should be."""
    notes = list(_HOW)
    stolen = sum(1 for one in repetitions if one["steal"] > 0)
    notes.append(
        f"{stolen} of {len(repetitions)} runs had steal; such a one is repeated, thrice at most (not in a quick run); "
        "table, plots and targets take those without, and where there is none, the one with the least; the kernel "
        "tells steal in hundredths of a second, so that a shorter one may hide in any run"
    )
    notes += _exceptions(repetitions, "lost packets", _loses)
    notes += _exceptions(repetitions, "fell short of the rate by more than 1 %", _is_slow)
    in_ring = [one for one in repetitions if one["contender"] in (RING, READER)]
    if in_ring and not all(one["huge_pages"] for one in in_ring):
        notes.append("the ring was not on huge pages: there were none to be had")
    if in_ring and not all(one["seccomp"] for one in in_ring):
        notes.append("the loop ran without its system call filter: reading this clock source is a system call")
    return notes


def _loses(one: dict[str, Any]) -> bool:
    return bool(one["contender"] != CORE and one["received"] < one["sent"])


def _is_slow(one: dict[str, Any]) -> bool:
    return bool(one["sent"] * 1e9 < _FULL_RATE * one["rate"] * one["took_ns"])


def _exceptions(repetitions: Repetitions, what: str, holds: Callable[[dict[str, Any]], bool]) -> list[str]:
    """A note that names contenders and rates, if there are any."""
    found = dict.fromkeys(f"{one['contender']} at {one['rate']:,}/s" for one in repetitions if holds(one))
    return [f"runs that {what}: {', '.join(found)}"] if found else []


def clean(repetitions: Repetitions, contender: str, rate: int) -> Repetitions:
    """Those without steal; where all have some, that with the least."""
    of_it = [one for one in repetitions if one["contender"] == contender and one["rate"] == rate]
    without = [one for one in of_it if one["steal"] == 0]
    return without or sorted(of_it, key=lambda one: float(one["steal"]))[:1]


def _median(repetitions: Repetitions, contender: str, rate: int, figure: str) -> float | None:
    values = [one[figure] for one in clean(repetitions, contender, rate) if one.get(figure) is not None]
    return float(statistics.median(values)) if values else None


def _worst(repetitions: Repetitions, figure: str, against: str | None = None) -> tuple[float, int] | None:
    """The loop's median, less that of another contender where one is given, at the rate where it is greatest."""
    found = []
    for rate in dict.fromkeys(one["rate"] for one in repetitions):
        value = _median(repetitions, RING, rate, figure)
        base = _median(repetitions, against, rate, figure) if against else 0.0
        if value is not None and base is not None:
            found.append((value - base, rate))
    return max(found, default=None)


def _judge(repetitions: Repetitions, name: str, worst: tuple[float, int] | None, floor: str) -> Target:
    """`floor` names the figure of the core alone that tells what no receiver could do better."""
    if worst is None:
        return judge(name, None, "nothing was received")
    value, rate = worst
    target = judge(name, value)
    reasons = []
    if any(one["steal"] > 0 for one in clean(repetitions, RING, rate)):
        reasons.append(f"every run at {rate:,} packets/s had steal: this is the one with the least")
    wait_ns = _median(repetitions, CORE, rate, floor) if floor else None
    if not target.met:
        reasons.append(f"at {rate:,} packets/s")
        if wait_ns is not None and wait_ns > target.target:
            reasons.append(f"there the core alone, whoever takes it away, makes packets wait {wait_ns:,.0f} ns")
    return judge(name, value, "; ".join(reasons))
