"""`nanotape channels`: which configured lines arrive, and why others may not.

Exit status 1: one should and does not. A table, or one JSON object, on stdout; what limits the answer on stderr.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from nanotape.capture.channels import ALARMS, Channels, LineState
from nanotape.capture.channels import channels as look
from nanotape.cli.options import AsJson, ConfigFile, talk
from nanotape.config import DEFAULT_FILE, Settings, load

_HEAD = ("channel", "line", "state", "packets/s", "last packet", "last sequence", "gaps", "missing", "twice", "bad")
_LEFT = 3


def channels(
    ring: Annotated[str | None, typer.Argument(metavar="RING", help="Name of a ring. Default: all.")] = None,
    config: ConfigFile = None,
    interval: Annotated[
        float, typer.Option(min=0.1, max=600.0, metavar="SECONDS", help="How long to look at what comes.")
    ] = 3.0,
    as_json: AsJson = False,
) -> None:
    """Say of each configured line whether it arrives, how fast, what is missing, and where to look if it does not."""
    settings = load(config) if config or DEFAULT_FILE.exists() else Settings()
    found = look(settings, ring, interval)
    for note in found.notes:
        talk(note)
    if as_json:
        report = {"fine": found.is_fine, **asdict(found)}
        sys.stdout.write(json.dumps(report) + "\n")
    elif found.lines:
        sys.stdout.write("\n".join(_page(found)) + "\n")
    else:
        talk("no channel is configured: add [[channel]], or let nanotape discover write them")
    raise typer.Exit(0 if found.is_fine else 1)


def _page(found: Channels) -> list[str]:
    rows = [_HEAD, *(_row(line) for line in found.lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    page = []
    for row, line in zip(rows, (None, *found.lines), strict=True):
        cells = (
            cell.ljust(width) if column < _LEFT else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        page.append("  ".join(cells).rstrip())
        page += [f"    look at: {advice}" for advice in (line.look_at if line else ())]
    return [*page, "", _verdict(found)]


def _row(line: LineState) -> tuple[str, ...]:
    return (
        line.channel,
        line.line,
        line.state,
        "-" if line.rate_pps is None else f"{line.rate_pps:,.1f}",
        "-" if line.last_packet_ns is None else _time(line.last_packet_ns),
        "-" if line.last_seq is None else " ".join(filter(None, (line.session, line.key, f"{line.last_seq:,}"))),
        *("-" if each is None else f"{each:,}" for each in (line.gaps, line.missing, line.duplicates, line.bad)),
    )


def _time(utc_ns: int) -> str:
    return f"{datetime.fromtimestamp(utc_ns // 10**9, UTC):%Y-%m-%d %H:%M:%S}"


def _verdict(found: Channels) -> str:
    wrong = [line for line in found.lines if line.state in ALARMS]
    closed = sum(line.state == "closed" for line in found.lines)
    told = f"{len(found.lines):,} line{'s' * (len(found.lines) != 1)}, looked at for {found.seconds:g} s: "
    if not wrong:
        return told + ("all that should arrive do" + (f"; outside their session: {closed:,}" if closed else ""))
    return told + f"should arrive and do not: {len(wrong):,}"
