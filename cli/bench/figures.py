"""Which plots a report has: from the parts' repetitions and summaries to SVG text."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nanotape.cli.bench import record_part, ring_part
from nanotape.cli.bench.latency_verdict import clean
from nanotape.cli.bench.plot import Axis, Bar, Point, bars, lines

Part = dict[str, Any]
"""One of a report's `parts`."""

_PERCENTILES = {"p50": "p50", "p99": "p99", "p99_9": "p99.9", "max": "max"}


@dataclass(frozen=True, slots=True)
class Figure:
    """One plot."""

    name: str
    """Of its file, without `.svg`."""
    alt: str
    """What it shows, for who cannot see it."""
    svg: str


def figures(part: Part) -> list[Figure]:
    """The plots of a part; none where it measured nothing that can be drawn."""
    makers: dict[str, Callable[[Part], list[Figure]]] = {
        "ring": _ring,
        "wire": _wire,
        "latency": _latency,
        "record": _record,
        "path": _path,
        "tuning": _tuning,
    }
    maker = makers.get(part["name"])
    return maker(part) if maker and part["repetitions"] else []


def _bar(part: Part, contender: str, figure: str) -> Bar:
    found = part["summary"].get(contender, {}).get(figure, {})
    return Bar(found.get("median"), found.get("min"), found.get("max"))


def _ring(part: Part) -> list[Figure]:
    rows = []
    for size in ring_part.FRAME_BYTES:
        each = [_bar(part, ring_part.contender(size, readers), "ring_ns") for readers in ring_part.READERS]
        rows.append((f"{size} bytes", [*each, _bar(part, ring_part.contender(size, 0), "memcpy_ns")]))
    names = ["into the ring", "with 1 reader", "with 3 readers", "memcpy"]
    alt = "Nanoseconds a packet from memory into the ring, by frame size and readers, beside a memcpy"
    return [Figure("ring", alt, bars("Memory into the ring", "ns a packet", names, rows))]


def _record(part: Part) -> list[Figure]:
    rows = [
        (name, [_bar(part, record_part.contender(name, place), "mpps") for place in record_part.PLACES])
        for name in record_part.COMPRESSIONS
    ]
    rows.append((record_part.FLOOR, [_bar(part, record_part.FLOOR, "mpps"), Bar(None)]))
    alt = "Millions of packets that the recorder writes in one CPU second, by compression, on tmpfs and on disk"
    return [Figure("record", alt, bars("Ring to Arrow", "Mpps of one core", record_part.PLACES, rows))]


def _path(part: Part) -> list[Figure]:
    stages = [(stage, [_bar(part, stage, "mpps")]) for stage in part["summary"]]
    alt = "Millions of packets a second that each stage takes by itself"
    return [Figure("path", alt, bars("Each stage by itself", "Mpps", ("stage",), stages))]


def _tuning(part: Part) -> list[Figure]:
    settings = [(name, [_bar(part, name, "ns")]) for name in part["summary"]]
    alt = "Nanoseconds a packet of a backlog, by batch, prefetch distance and depth of the RX ring"
    return [Figure("tuning", alt, bars("A backlog into the ring", "ns a packet", ("setting",), settings))]


def _medians(part: Part, figure: str) -> dict[str, dict[float, float]]:
    """By contender and rate."""
    found: dict[str, dict[float, list[float]]] = {}
    for each in part["repetitions"]:
        if each.get(figure) is not None and each.get("rate") is not None:
            found.setdefault(each["contender"], {}).setdefault(each["rate"], []).append(each[figure])
    return {
        contender: {rate: statistics.median(values) for rate, values in rates.items()}
        for contender, rates in found.items()
    }


def _wire(part: Part) -> list[Figure]:
    repetitions = [each | {"lost_percent": _lost_percent(each)} for each in part["repetitions"]]
    part = part | {"repetitions": repetitions}
    lost, offered, cost = (_medians(part, name) for name in ("lost_percent", "pps", "cpu_us"))
    series: list[tuple[str, list[Point]]] = [
        (name, sorted((offered.get(name, {}).get(rate, rate) / 1e6, share) for rate, share in rates.items()))
        for name, rates in lost.items()
    ]
    found = []
    if series:
        svg = lines("Loss by offered rate", Axis("Mpps that the generator reached"), Axis("% lost"), series)
        found.append(Figure("wire-loss", "Share of packets lost by offered rate, for each tool", svg))
    if cost:
        rates = sorted({rate for each in cost.values() for rate in each}, key=lambda rate: rate or float("inf"))
        rows = [(name, [Bar(each.get(rate)) for rate in rates]) for name, each in cost.items()]
        names = [rate_text(rate) for rate in rates]
        svg = bars("CPU on the capturing side", "us a packet", names, rows)
        found.append(Figure("wire-cpu", "CPU microseconds a packet on the capturing side, by tool and rate", svg))
    return found


def _lost_percent(repetition: dict[str, Any]) -> float | None:
    sent, lost = repetition.get("sent"), repetition.get("lost")
    return None if not sent or lost is None else 100 * lost / sent


def _latency(part: Part) -> list[Figure]:
    """Of the repetitions that count, as in the table."""
    repetitions = part["repetitions"]
    counted = [one for one in repetitions if one in clean(repetitions, one["contender"], one["rate"])]
    part = part | {"repetitions": counted}
    by_percentile = {name: _medians(part, name) for name in _PERCENTILES}
    rates = sorted({each["rate"] for each in part["repetitions"] if each.get("rate")})
    contenders = list(dict.fromkeys(each["contender"] for each in part["repetitions"]))
    found = []
    for rate in rates:
        series: list[tuple[str, list[Point]]] = []
        for contender in contenders:
            known = [by_percentile[name].get(contender, {}).get(rate) for name in _PERCENTILES]
            points = [(float(at), value) for at, value in enumerate(known) if value is not None]
            series += [(contender, points)] if points else []
        across = Axis("share of the packets", labels=list(_PERCENTILES.values()))
        svg = lines(f"Latency at {rate:,} packets a second", across, Axis("ns", logarithmic=True), series)
        alt = f"Percentiles of the latency at {rate:,} packets a second, by way of capture, in ns"
        found.append(Figure(f"latency-{rate}", alt, svg))
    return found


def rate_text(rate: float) -> str:
    """Packets a second as one reads them; 0 is as fast as the generator goes."""
    return f"{rate / 1e6:g} Mpps" if rate else "maximum"
