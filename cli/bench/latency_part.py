"""`latency`: from a packet's stamp to the ring, and to a reader's hand, beside what one would use instead."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from nanotape.cli.bench.errors import BenchError
from nanotape.cli.bench.latency_stage import Stage, huge_bytes
from nanotape.cli.bench.latency_verdict import BARE, CORE, PACKET, READER, RING, SOCKET, caveats, clean, targets
from nanotape.cli.bench.model import Options, PartResult, Tell
from nanotape.cli.bench.native import cores
from nanotape.cli.bench.steal import Steal
from nanotape.cli.bench.summary import by_contender
from nanotape.cli.scene import scene

NAME = "latency"
TITLE = "From a packet's stamp to who receives it"

NEEDS_ROOT = True

PERCENTILES = ("p50", "p99", "p99_9", "max")
"""Of a repetition, in nanoseconds."""

_WITH_HOLDER = {"bare": BARE, "loop": RING, "reader": READER}
_WITHOUT = {"socket": SOCKET, "packet": PACKET, "stalls": CORE}
# Short, and once more after steal: where others share the machine, a long run never goes without.
_SECONDS = {1_000: 2.0, 50_000: 1.0, 300_000: 1.0}
_TRIES = 4
_QUICK_S = 0.2
_WARM_UP_S = 0.1


def measure(options: Options, tell: Tell) -> PartResult:
    """Measures.

    Args:
        options: Of these, `quick` and `repetitions`.
        tell: Takes one line for each measurement.

    Returns:
        Repetitions with `contender`, `rate` (packets a second), percentiles in nanoseconds, `steal`, and what else
        nanotape-bench tells.

    Raises:
        CaptureError: This machine cannot do it; the text says what is missing.
    """
    if len(set(cores())) < 2:
        raise BenchError("latency: expected two cores, one for the sender and one for the receiver, found one")
    repetitions: list[dict[str, Any]] = []
    with scene("bench", huge_bytes()) as wire:
        stage = Stage(wire)
        for number in range(1 if options.quick else options.repetitions):
            for one in _one_repetition(stage, options.quick):
                repetitions.append({"repetition": number} | one)
                tell(_line(repetitions[-1]))
    return PartResult(NAME, TITLE, repetitions, _summary(repetitions), targets(repetitions), caveats(repetitions))


def _one_repetition(stage: Stage, quick: bool) -> Iterator[dict[str, Any]]:
    """Each contender at each rate, those that are compared with each other one right after the other."""
    for contenders, context in ((_WITH_HOLDER, stage.holder()), (_WITHOUT, contextlib.nullcontext())):
        with context:
            for rate, seconds in _SECONDS.items():
                for mode, contender in contenders.items():
                    packets = round(rate * (_QUICK_S if quick else seconds))
                    for one in _tries(stage, mode, rate, packets, 1 if quick else _TRIES):
                        yield {"contender": contender, "rate": rate} | one


def _tries(stage: Stage, mode: str, rate: int, packets: int, most: int) -> Iterator[dict[str, Any]]:
    """Once; once more as long as there was steal."""
    for _ in range(most):
        with Steal() as steal:
            told = stage.run(mode, rate, packets, round(rate * _WARM_UP_S))
        yield {**_delays(told), "steal": steal.share} | told
        if steal.share == 0:
            return


def _delays(told: dict[str, Any]) -> dict[str, int | None]:
    """The percentiles, taken out of what was told; None where nothing waited at all."""
    delays = told.pop("delay_ns")
    return {name: delays.get(name) or None for name in ("min", "p50", "p90", "p99", "p99_9", "max")}


def _line(one: dict[str, Any]) -> str:
    times = ", ".join(f"{name} {_time(one[key])}" for key, name in (("p50", "p50"), ("p99_9", "p99.9")))
    return f"latency: {one['contender']}, {one['rate']:,} packets/s: {times}, steal {one['steal']:.2%}"


def _time(nanoseconds: int | None) -> str:
    return "-" if nanoseconds is None else f"{nanoseconds / 1000:,.1f} us"


def _summary(repetitions: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """By contender and rate, of what counts; the rates in order, so that those that are compared stand together."""
    counted = [one for one in repetitions if one in clean(repetitions, one["contender"], one["rate"])]
    rows = [one | {"contender": f"{one['contender']}, {one['rate']:,}/s"} for one in counted]
    return by_contender(sorted(rows, key=lambda one: int(one["rate"])), (*PERCENTILES, "steal"))
