"""What the runs of the part `wire` come to: by contender and rate, and what came of the targets."""

import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from nanotape.cli.bench.model import Target
from nanotape.cli.bench.summary import by_contender
from nanotape.cli.bench.targets import judge
from nanotape.cli.bench.wire_nanotape import DESCRIPTORS

ZSTD, PLAIN = "nanotape, zstd 1", "nanotape, uncompressed"
VARIED = "nanotape, zstd 1, varied payload"
OURS = (ZSTD, PLAIN)
"""The targets are about these."""
_RX_RING = ("rx_dropped", "rx_ring_full")
_FIGURES = ("pps", "lost_share", "cpu_us", "sender_cpu_us", "bytes_a_packet", "steal")


def summary(repetitions: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Medians and spread at the generator's maximum, and the highest rate without loss, by contender."""
    fastest = [_with_shares(each) for each in _at(repetitions, 0)]
    found = by_contender(fastest, _FIGURES)
    for contender, figures in found.items():
        figures["highest_lossless_pps"] = highest_lossless_pps(
            [each for each in repetitions if each["contender"] == contender]
        )
    return found


def _with_shares(repetition: dict[str, Any]) -> dict[str, Any]:
    return repetition | {
        "lost_share": repetition["lost"] / max(1, repetition["sent"]),
        "bytes_a_packet": repetition["bytes"] / max(1, repetition["captured"]),
    }


def highest_lossless_pps(repetitions: Sequence[dict[str, Any]]) -> float | None:
    """The highest rate at which no repetition, and none at a lower rate, lost a packet; None: there is none.

    Args:
        repetitions: Of one contender.
    """
    best: float | None = None
    for rate in _rates(repetitions):
        at_rate = _at(repetitions, rate)
        if any(each["lost"] for each in at_rate):
            break
        best = statistics.median(each["pps"] for each in at_rate)
    return best


def losses(repetitions: Sequence[dict[str, Any]]) -> str:
    """What each contender lost at each rate, in its worst run, as a sentence."""
    said = []
    for contender in dict.fromkeys(each["contender"] for each in repetitions):
        runs = [each for each in repetitions if each["contender"] == contender]
        shares = {rate: max(each["lost"] / max(1, each["sent"]) for each in _at(runs, rate)) for rate in _rates(runs)}
        lossy = [
            f"{share:.3%} at {f'{rate / 1e6:g} Mpps' if rate else 'the maximum'}"
            for rate, share in shares.items()
            if share > 0
        ]
        said.append(f"{contender}: {', '.join(lossy) or 'nothing'}")
    return f"Lost at each rate in the worst run: {'; '.join(said)}."


def targets(repetitions: Sequence[dict[str, Any]]) -> list[Target]:
    """What came of the promises about the wire."""
    return [_wire(repetitions), _cpu("cpu uncompressed", PLAIN, repetitions), _cpu("cpu zstd 1", ZSTD, repetitions)]


def is_stalled(repetition: dict[str, Any]) -> bool:
    """Whether packets were lost at the RX ring alone, while more of the machine was stolen than it can ride out."""
    at_rx_ring = sum(repetition["lost_at"].get(stage, 0) for stage in _RX_RING)
    stolen = repetition["stolen_s"] > DESCRIPTORS / repetition["pps"]
    return bool(stolen and 0 < repetition["lost"] <= at_rx_ring)


def astray(repetition: dict[str, Any]) -> int:
    """Packets that no stage accounts for; at least one where some are there twice."""
    return max(repetition.get("unexplained") or 0, 0 if repetition.get("exact", True) else 1)


def _wire(repetitions: Sequence[dict[str, Any]]) -> Target:
    """Lost at the generator's maximum, by nanotape as it is by default; the worst of the repetitions that count.

    Packets that nobody accounts for count at any rate, with any setting, and are excused by nothing.
    """
    ours = [each for each in _at(repetitions, 0) if each["contender"] == ZSTD]
    counted = [each for each in ours if not is_stalled(each)]
    unaccounted = max((astray(each) for each in repetitions if each["contender"] in (*OURS, VARIED)), default=0)
    if not counted and not unaccounted:
        return judge("wire", None, "in every repetition more was stolen from the machine than the RX ring rides out")
    worst = max(counted, key=lambda each: each["lost"], default=None)
    whys = [_loss_told(worst)] if worst and worst["lost"] > 0 else []
    whys += [f"up to {unaccounted:,} of a run nobody accounts for"] if unaccounted else []
    if len(counted) < len(ours):
        whys.append(
            f"{len(ours) - len(counted)} of {len(ours)} runs with a steal stall beyond the RX ring are left out"
        )
    for contender, words in ((PLAIN, "uncompressed"), (VARIED, "with varied payload")):
        runs = [each for each in _at(repetitions, 0) if each["contender"] == contender and not is_stalled(each)]
        lost = max((each["lost"] for each in runs), default=0)
        whys += [f"{words} up to {lost:,} were lost"] if lost > 0 else []
    return judge("wire", max(worst["lost"] if worst else 0, unaccounted), "; ".join(whys))


def _loss_told(repetition: dict[str, Any]) -> str:
    where = ", ".join(f"{stage} {count:,}" for stage, count in repetition["lost_at"].items())
    counts = f"{repetition['lost']:,} of {repetition['sent']:,} at {repetition['pps'] / 1e6:.2f} Mpps"
    return f"{repetition['contender']} lost {counts} ({where})"


def _cpu(name: str, contender: str, repetitions: Sequence[dict[str, Any]]) -> Target:
    """Ours beside the best other, at the highest rate at which nobody lost a packet; else at the highest of all."""
    others = sorted({each["contender"] for each in repetitions} - {*OURS, VARIED})
    if not others:
        return judge(name, None, "none of the other tools is installed")
    compared = [each for each in repetitions if each["contender"] in (contender, *others)]
    runners = {rate: {each["contender"] for each in _at(compared, rate)} for rate in _rates(compared)}
    common = [rate for rate, ran in runners.items() if len(ran) > len(others)]
    if not common:
        return judge(name, None, "there is no rate at which all were run")
    lossless = [rate for rate in common if not any(each["lost"] for each in _at(compared, rate))]
    rate, fastest = (lossless or common)[-1], common[-1]
    ratio, why = _ratio(_at(compared, rate), contender)
    why += f", at {rate / 1e6:g} Mpps" if rate else ", at the generator's maximum"
    why += "" if lossless else ", where packets were lost"
    if rate and not fastest:
        why += f"; {_ratio(_at(compared, fastest), contender)[0]:.2f} x at the generator's maximum"
    harder = [each for each in _at(repetitions, rate) if each["contender"] == VARIED]
    if contender == ZSTD and harder:
        beside = [each for each in _at(compared, rate) if each["contender"] in others]
        why += f"; {_ratio([*beside, *harder], VARIED)[0]:.2f} x where a third of the payload differs"
    return judge(name, ratio, why)


def _ratio(repetitions: Sequence[dict[str, Any]], contender: str) -> tuple[float, str]:
    """CPU time a packet beside that of the best of the others, and both in words; all of one rate."""
    costs = {each["contender"]: _median_cpu(repetitions, each["contender"]) for each in repetitions}
    ours = costs.pop(contender)
    best = min(costs, key=lambda other: costs[other])
    return ours / max(costs[best], 1e-9), f"{ours:.2f} us a packet, {best} {costs[best]:.2f}"


def _rates(repetitions: Iterable[dict[str, Any]]) -> list[int]:
    """From the lowest to the generator's maximum."""
    return sorted({each["rate"] for each in repetitions}, key=lambda rate: rate or float("inf"))


def _at(repetitions: Iterable[dict[str, Any]], rate: int) -> list[dict[str, Any]]:
    return [each for each in repetitions if each["rate"] == rate]


def _median_cpu(repetitions: Iterable[dict[str, Any]], contender: str) -> float:
    return float(statistics.median(each["cpu_us"] for each in repetitions if each["contender"] == contender))
