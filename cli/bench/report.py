"""The report: one object for programs, with the targets last, and the same as text."""

import json
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from nanotape.cli.bench.model import PartResult
from nanotape.cli.bench.plot import number
from nanotape.cli.bench.targets import all_targets, promise, target_json

Report = dict[str, Any]
_HEADINGS = {
    "ring_ns": "ring, ns",
    "memcpy_ns": "memcpy, ns",
    "ratio": "ring / memcpy",
    "mpps": "Mpps",
    "wall_mpps": "Mpps by the wall clock",
    "bytes_per_packet": "bytes a packet",
    "pps": "packets/s",
    "lost_share": "lost, share",
    "cpu_us": "CPU, us a packet",
    "sender_cpu_us": "sender's CPU, us a packet",
    "bytes_a_packet": "bytes a packet",
    **{name: f"{name.replace('_', '.')}, ns" for name in ("p50", "p99", "p99_9", "max")},
    "highest_lossless_pps": "highest without loss, packets/s",
    "peak_mib": "peak memory, MiB",
    "growth_mib_a_minute": "growth, MiB a minute",
    "ns": "ns a packet",
    "mb_s": "MB/s",
    "rss_mib": "memory, MiB",
    "steal": "steal, share",
}


@dataclass(frozen=True, slots=True)
class Circumstances:
    """When and where it was measured."""

    version: str
    when: str
    """UTC, ISO 8601."""
    quick: bool
    machine: dict[str, str]


def assemble(around: Circumstances, parts: Sequence[PartResult], absent: dict[str, str]) -> Report:
    """The whole report.

    Args:
        around: When and where.
        parts: What was measured.
        absent: Why the other parts were not, by name.
    """
    return {
        "nanotape": around.version,
        "when": around.when,
        "quick": around.quick,
        "machine": around.machine,
        "parts": [
            {
                "name": part.name,
                "title": part.title,
                "repetitions": part.repetitions,
                "summary": part.summary,
                "notes": part.notes,
            }
            for part in parts
        ],
        "absent": absent,
        "targets": [target_json(target) for target in all_targets(parts, absent)],
    }


def inexact(report: Report) -> list[str]:
    """What does not add up: a line for each repetition with packets that nobody accounts for, or with other bytes."""
    return [
        f"{part['name']}: {each.get('contender', 'a repetition')}: packets that nobody accounts for, or other bytes"
        for part in report["parts"]
        for each in part["repetitions"]
        if each.get("exact") is False or each.get("unexplained")
    ]


def text(report: Report) -> str:
    """For people, on a terminal."""
    blocks = [
        [f"nanotape {report['nanotape']}, {report['when']}" + (", quick: not for speed" if report["quick"] else "")]
    ]
    blocks.append(aligned([[name, value] for name, value in report["machine"].items()]))
    for part in report["parts"]:
        headings, rows = summary_table(part["summary"])
        blocks.append(
            [f"{part['name']}: {part['title']}", *aligned([headings, *rows]), steal_line(part), *part["notes"]]
        )
    caution = " (of a quick run: they say little)" if report["quick"] else ""
    blocks.append([f"targets{caution}", *aligned([["name", "measured", "target", "met", ""], *target_rows(report)])])
    return "\n\n".join("\n".join(block) for block in blocks)


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns below each other; the first to the left, as are those of text at the end of a row."""
    widths = [max((len(row[at]) for row in rows if at < len(row)), default=0) for at in range(max(map(len, rows)))]
    return [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip() for row in rows
    ]


def target_rows(report: Report) -> Iterator[list[str]]:
    """Name, measured, target, met, why."""
    for target in report["targets"]:
        kept = promise(target["name"])
        value = "not measured" if target["value"] is None else f"{number(target['value'])} {target['unit']}"
        met = {True: "yes", False: "NO", None: "-"}[target["met"]]
        yield [target["name"], value, f"{kept.sense} {number(target['target'])}", met, target.get("why", "")]


def summary_table(summary: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Headings and rows of medians with their spread; figures that nothing measured have no column."""
    figures = [
        figure
        for figure in dict.fromkeys(figure for each in summary.values() if isinstance(each, dict) for figure in each)
        if any(figure_text(each.get(figure)) for each in summary.values() if isinstance(each, dict))
    ]
    rows = [
        [contender, *(figure_text(each.get(figure)) for figure in figures)]
        for contender, each in summary.items()
        if isinstance(each, dict)
    ]
    return ["", *(_HEADINGS.get(figure, figure.replace("_", " ")) for figure in figures)], rows


def figure_text(value: Any) -> str:
    """A median with its spread, or what is no figure as it stands; empty: not measured."""
    if isinstance(value, dict):
        if value.get("median") is None:
            return ""
        spread = "" if value["min"] == value["max"] else f" ({number(value['min'])} to {number(value['max'])})"
        return number(value["median"]) + spread
    if isinstance(value, int | float) and not isinstance(value, bool):
        return number(value)
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)


def steal_line(part: dict[str, Any]) -> str:
    """What the hypervisor took while the part was measured: of all runs, and of each round through the contenders."""
    known = [each for each in part["repetitions"] if each.get("steal") is not None]
    shares = sorted(each["steal"] for each in known)
    if not shares:
        return "Steal time was not measured."
    taken = sum(share > 0 for share in shares)
    return (
        f"Steal time in {taken} of {len(shares)} repetitions; median {shares[len(shares) // 2]:.2%}, "
        f"at most {shares[-1]:.2%} of the machine."
    ) + _by_round(known)


def _by_round(repetitions: Sequence[dict[str, Any]]) -> str:
    """Means; those that carry no number of their round belong to the first that has none of their kind yet."""
    rounds: dict[int, list[float]] = {}
    seen: Counter[tuple[Any, Any]] = Counter()
    for each in repetitions:
        kind = (each.get("contender"), each.get("rate"))
        rounds.setdefault(each.get("repetition", seen[kind]), []).append(each["steal"])
        seen[kind] += 1
    means = [f"{statistics.mean(shares):.2%}" for _, shares in sorted(rounds.items())]
    return f" Mean of each round: {', '.join(means)}." if len(means) > 1 else ""
