"""`nanotape jitter --core N`: what takes a core away from a thread that spins on it, so that isolation is proved."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from nanotape.capture.errors import PlaceUnusable
from nanotape.capture.host.jitter import Jitter, measure_jitter
from nanotape.capture.host.jitter_picture import duration, svg, text
from nanotape.cli.options import AsJson, talk

_SHOWN = 8


def jitter(
    core: Annotated[int, typer.Option("--core", min=0, max=1023, metavar="N", help="Number of the CPU.")],
    seconds: Annotated[
        float, typer.Option("--seconds", min=0.1, max=86400.0, metavar="S", help="How long to spin.")
    ] = 10.0,
    threshold: Annotated[
        int, typer.Option("--threshold", min=1, max=10**9, metavar="NS", help="From which length on a gap counts.")
    ] = 1000,
    picture: Annotated[
        Path | None, typer.Option("--svg", metavar="FILE", help="Also write the histogram as a picture.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure what interrupts a thread that spins on a core: gaps, percentiles, histogram, and its interrupts."""
    talk(f"spinning on core {core} for {seconds:g} s")
    found = measure_jitter(core, seconds, threshold)
    if as_json:
        sys.stdout.write(json.dumps(asdict(found)) + "\n")
    else:
        sys.stdout.write("\n".join(_page(found)) + "\n")
    if picture is not None:  # last: what was measured for hours is not lost for a wrong name
        _write(picture, svg(found))


def _write(path: Path, content: str) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_text(content, encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise PlaceUnusable(f"{path}: cannot be written: {error.strerror}; name another file") from None


def _page(found: Jitter) -> list[str]:
    lines = [
        f"core {found.core}: {found.gaps:,} gaps of {duration(found.threshold_ns)} and more in {found.seconds:.1f} s, "
        f"{found.gap_share:.4%} of the time",
    ]
    if found.min_ns is not None and found.mean_ns is not None:
        named = {"min": found.min_ns, "mean": found.mean_ns, **found.percentiles_ns, "max": found.longest_ns}
        lines.append("  " + ", ".join(f"{name} {duration(value)}" for name, value in named.items()))
    if found.gaps > found.gaps_kept:
        lines.append(f"  (percentiles are of the first {found.gaps_kept:,} gaps: take a larger --threshold)")
    lines += ["", *text(found), "", _interrupts(found)]
    return lines


def _interrupts(found: Jitter) -> str:
    if found.interrupts is None:
        return "interrupts on this core: unknown: /proc/interrupts cannot be read"
    shown = list(found.interrupts.items())[:_SHOWN]
    told = ", ".join(f"{name} {count:,}" for name, count in shown)
    more = len(found.interrupts) - len(shown)
    return f"interrupts on this core: {told or 'none'}" + (f", and {more} kinds more" if more else "")
