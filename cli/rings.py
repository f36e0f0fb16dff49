"""`nanotape rings`: the rings of this host, with writers, sources and readers; removes one on request."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from nanotape.capture.host.jitter_picture import duration
from nanotape.capture.listing import RingFacts, UnreadableRing, list_rings, remove_ring
from nanotape.cli.options import AsJson, ConfigFile
from nanotape.config import DEFAULT_FILE, Settings, load


def rings(
    config: ConfigFile = None,
    remove: Annotated[
        str | None, typer.Option("--remove", metavar="NAME", help="Remove a ring that no process writes.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the rings of this host: where they are, who writes and reads them, how far behind each reader is."""
    settings = load(config) if config or DEFAULT_FILE.exists() else Settings()
    shm, run = Path(settings.paths.shm_dir), Path(settings.paths.run_dir)
    if remove:
        remove_ring(remove, shm)
        return
    found = list_rings(shm, run)
    if as_json:
        sys.stdout.write(json.dumps([asdict(ring) for ring in found]) + "\n")
    else:
        _print(found, shm)
    raise typer.Exit(1 if any(isinstance(ring, UnreadableRing) for ring in found) else 0)


def _print(found: tuple[RingFacts | UnreadableRing, ...], shm: Path) -> None:
    console = Console()
    if not found:
        console.print(f"no rings in {shm}")
    for ring in found:
        if isinstance(ring, UnreadableRing):
            console.print(f"{ring.name}: {ring.error}", markup=False)
            continue
        writer = f"writer {ring.writer_pid}" if ring.writer_alive else "no writer"
        console.print(
            f"{ring.name}: {ring.capacity_bytes >> 20} MiB on {ring.memory}, epoch {ring.epoch}, {writer}, "
            f"{ring.packets:,} packets",
            markup=False,
        )
        if ring.fallback_reason:
            console.print(f"  not on huge pages: {ring.fallback_reason}", markup=False)
        if ring.gaps is not None:
            console.print(
                f"  late rounds of its loop: {ring.gaps.count:,} of {duration(ring.gaps.threshold_ns)} and more, "
                f"the longest {duration(ring.gaps.longest_ns)}",
                markup=False,
            )
        table = Table("reader", "pid", "alive", "lag MiB", "records", "lost", "recorded", box=None, pad_edge=False)
        for reader in ring.readers:
            lag = "-" if reader.lag_bytes is None else f"{reader.lag_bytes / 2**20:.1f}"
            recorded = "-" if reader.recorded is None else f"{reader.recorded:,}"
            alive = "yes" if reader.alive else "no"
            table.add_row(reader.name, str(reader.pid), alive, lag, f"{reader.records:,}", f"{reader.lost:,}", recorded)
        if ring.readers:
            console.print(table)
