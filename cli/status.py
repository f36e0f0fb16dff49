"""`nanotape status`: one screen that says whether data is being lost, and what to do; exit status 1 when so."""

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from nanotape.capture.clock.findings import clock_findings
from nanotape.capture.clock.status import told_status
from nanotape.capture.findings import (
    Finding,
    Severity,
    headline,
    never_started,
    nothing_there,
    ring_findings,
    unreadable,
)
from nanotape.capture.health import ReaderHealth, RingHealth
from nanotape.capture.listing import UnreadableRing
from nanotape.capture.looks import healths
from nanotape.cli.clock_text import clock_line
from nanotape.cli.options import AsJson, ConfigFile
from nanotape.config import DEFAULT_FILE, Settings, load
from nanotape.tui import words

_MIB, _GIB = 2**20, 2**30
_LAG_TOLD = 0.1


def status(
    ring: Annotated[str | None, typer.Argument(metavar="RING", help="Name or file of a ring. Default: all.")] = None,
    config: ConfigFile = None,
    interval: Annotated[
        float, typer.Option(min=0.1, max=60.0, metavar="SECONDS", help="Time between the two looks.")
    ] = 1.0,
    as_json: AsJson = False,
) -> None:
    """Say whether packets are captured, lost and recorded, what is wrong, and what to do. Exit status 1: an error."""
    settings = load(config) if config or DEFAULT_FILE.exists() else Settings()
    found = healths(settings, ring, interval)
    rings = [each for each in found if isinstance(each, RingHealth)]
    findings = [
        finding
        for each in found
        for finding in (ring_findings(each) if isinstance(each, RingHealth) else [unreadable(each)])
    ]
    absent = _absent(settings, found) if ring is None else []
    findings += map(never_started, absent)
    if not found:
        findings = [nothing_there(ring, settings.paths.shm_dir)]
    clock = told_status(settings, time.time_ns())
    findings += clock_findings(clock)
    said = headline(rings, findings, absent)
    is_fine = all(finding.severity is not Severity.ERROR for finding in findings)
    if as_json:
        report = {"fine": is_fine, "headline": said, "rings": [asdict(each) for each in rings]}
        others = [asdict(each) for each in found if isinstance(each, UnreadableRing)]
        report |= {"clock": None if clock is None else dict(clock.system)}
        report |= {"unreadable": others, "findings": [asdict(finding) for finding in findings]}
        sys.stdout.write(json.dumps(report) + "\n")
    else:
        clocks = [clock_line(clock, each) for each in clock.clocks] if clock else []
        lines = [said, *(line for each in rings for line in _ring(each)), *clocks, *_findings(findings)]
        sys.stdout.write("\n".join(lines) + "\n")
    raise typer.Exit(0 if is_fine else 1)


def _absent(settings: Settings, found: Sequence[RingHealth | UnreadableRing]) -> list[str]:
    """Those of several configured rings that this host does not have; of one alone others may take the place."""
    there = {each.name for each in found}
    return [name for name in settings.rings if name not in there] if len(settings.rings) > 1 and found else []


def _ring(health: RingHealth) -> list[str]:
    lost = ", ".join(f"{stage} {count:,}" for stage, count in health.lost.items())
    now = ", ".join(f"{stage} {count:,}" for stage, count in health.lost_now.items())
    balanced = "balanced" if health.is_offered_known else "balanced from the ring on: what was sent to it nobody counts"
    books = {None: "not to be judged while packets move", 0: balanced}.get(
        health.unexplained, f"{health.unexplained or 0:,} packets UNEXPLAINED"
    )
    last = "" if health.last_packet_s is None else f", last packet {words.seconds(health.last_packet_s)} ago"
    writer = f" (process {health.writer_pid})" if health.capturing else ""
    rows = [
        ("capturing" if health.capturing else "stopped", _rates(health) + last + writer),
        ("lost", f"{now or 'nothing'} in {health.interval_s:.1f} s; {lost or 'nothing'} since the ring was made"),
        ("books", books),
        *((("recording" if reader.records else "reading"), _reader(reader)) for reader in health.readers),
        ("space", _space(health)),
    ]
    odd = {"of no channel": health.other, "unparsed": health.unparsed, "with a bad stamp": health.bad_stamps}
    told = "".join(f", {count:,} {name}" for name, count in odd.items() if count)
    head = (
        f"{health.name}: {health.capacity_bytes / _MIB:,.0f} MiB on {health.memory}, {health.packets:,} packets{told}"
    )
    return ["", head, *(f"  {name:<11}{text}" for name, text in rows)]


def _rates(health: RingHealth) -> str:
    return f"{health.packets_s:,.0f} packets/s, {health.bits_s / 1e6:,.1f} Mbit/s"


def _reader(reader: ReaderHealth) -> str:
    if not reader.alive:
        return f"{reader.name}: DIED, was process {reader.pid}"
    lag = "of an earlier ring"
    if reader.lag_bytes is not None and reader.lag_share is not None:
        lag = f"lag {reader.lag_bytes / _MIB:,.1f} MiB ({reader.lag_share:.1%})"
        lag += "" if reader.holds_s is None else f", the ring holds {words.seconds(reader.holds_s)} more"
        if reader.lapped_in_s is not None and reader.lag_share > _LAG_TOLD:  # less is but the beat of its writing
            lag += f", lapped in {words.seconds(reader.lapped_in_s)} at this rate"
    counts = (
        f", {reader.recorded:,} recorded, {reader.write_failures or 0:,} not written"
        if reader.recorded is not None
        else ""
    )
    return f"{reader.name} (process {reader.pid}): {lag}{counts}, lost {reader.lost:,}"


def _space(health: RingHealth) -> str:
    if health.space is None:
        return "unknown"
    full = "" if health.full_in_s is None else f", full in {words.seconds(health.full_in_s)} at this rate"
    room = f"{health.space.free_bytes / _GIB:,.1f} GiB free ({health.space.free_share:.1%})"
    return f"{health.space.path}: {room}{full}"


def _findings(findings: list[Finding]) -> list[str]:
    lines = [""]
    for finding in findings:
        where = f"{finding.ring}: " if finding.ring else ""
        lines.append(f"{finding.severity.value:<9}{where}{finding.what}")
        if finding.do:
            lines.append(f"{'':<9}do: {finding.do}")
    return lines
