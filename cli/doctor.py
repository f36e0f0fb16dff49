"""`nanotape doctor`: whether this host is fit to capture, check by check, worst first; exit status 1 on a fail.

Changes nothing; `nanotape tune` writes what would mend it.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer

from nanotape.capture.host.arrivals import Arrivals, arrivals
from nanotape.capture.host.check import WORST_FIRST, Result, worst_first
from nanotape.capture.host.live import this_host
from nanotape.capture.host.table import examine
from nanotape.cli.options import AsJson, ConfigFile, talk
from nanotape.config import DEFAULT_FILE, Settings, load

_DEFAULT_LOOK_S = 3.0


def doctor(
    config: ConfigFile = None,
    measure: Annotated[
        float,
        typer.Option(
            "--measure",
            min=0.0,
            max=600.0,
            metavar="SECONDS",
            help="Also measure: interrupts, drops, stolen time for so long, then the disk.",
        ),
    ] = 0.0,
    show_arrivals: Annotated[
        bool,
        typer.Option("--arrivals", help="Also which channels arrive: from the capture, or by joining where none runs."),
    ] = False,
    everything: Annotated[bool, typer.Option("--all", help="Show what is ok, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say whether this host is fit to capture: what was found, what is wanted, why, and what mends it."""
    settings = load(config) if config or DEFAULT_FILE.exists() else Settings()
    if measure:
        talk(f"measuring for {measure:g} s")
    host = this_host(settings, measure)
    results = worst_first(examine(host))
    came = arrivals(settings, measure or _DEFAULT_LOOK_S, captures_run=bool(host.captured)) if show_arrivals else None
    if as_json:
        report: dict[str, Any] = {"checks": [asdict(result) for result in results]}
        report |= {"arrivals": asdict(came)} if came else {}
        sys.stdout.write(json.dumps(report) + "\n")
    else:
        sys.stdout.write("\n".join([*_page(results, everything), *(_arrivals(came) if came else ())]) + "\n")
    failed = any(result.status == "fail" for result in results) or (came is not None and not came.is_fine)
    raise typer.Exit(1 if failed else 0)


def _page(results: Sequence[Result], everything: bool) -> list[str]:
    counts = Counter(result.status for result in results)
    lines: list[str] = []
    for result in results:
        if result.status == "ok" and not everything:
            continue
        lines.append(f"{result.status:<8} {result.id}: {result.found}")
        if result.status != "ok":
            lines.append(f"{'':<8} wanted: {result.wanted}: {result.why}")
        if result.fix:
            lines.append(f"{'':<8} fix: {result.fix}")
    return [*lines, "", ", ".join(f"{counts[status]} {status}" for status in WORST_FIRST)]


def _arrivals(came: Arrivals) -> list[str]:
    lines = [
        "",
        f"arrivals in {came.seconds:g} s, by {'the capture' if came.source == 'capture' else 'joins of our own'}:",
    ]
    for line in came.lines:
        packets = "-" if line.packets is None else f"{line.packets:,} packets"
        where = f"{line.group}:{line.port} on {line.interface}"
        lines.append(f"  {line.state:<12} {line.channel} {line.line}  {where}  {packets}")
        lines += [f"{'':<15}look at: {each}" for each in line.look_at]
    return lines if came.lines else [*lines, "  no channel is configured"]
