"""`nanotape compact`: turns segments into Parquet, beside a recorder at work and out of its way."""

import json
import os
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import psutil
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from nanotape.cli.options import AsJson, ConfigFile, talk
from nanotape.config import DEFAULT_FILE, Settings, load
from nanotape.storage.archive import Archive
from nanotape.storage.clock import SystemClock
from nanotape.storage.compact import CompactOptions, CompactReport, compact
from nanotape.storage.hooks import Hook, HookLimits

_MIB = 2**20


def compact_archive(
    archive: Annotated[
        Path | None, typer.Argument(metavar="[ARCHIVE]", help="Archive. Default: that of the configuration.")
    ] = None,
    config: ConfigFile = None,
    date: Annotated[
        str | None, typer.Option(metavar="YYYY-MM-DD", help="Only this day, and merge it even if it is not over.")
    ] = None,
    merge: Annotated[bool, typer.Option(help="Merge small Parquet files of days that are over.")] = True,
    level: Annotated[
        int | None,
        typer.Option(min=1, max=22, help="Level of zstd, from 9 on much slower. Default: archive.compression_level."),
    ] = None,
    grace: Annotated[
        float | None,
        typer.Option(min=0.0, metavar="SECONDS", help="How long what was compacted stays. Default: archive.grace."),
    ] = None,
    memory: Annotated[
        int, typer.Option(min=8, metavar="MIB", help="Rows sorted at once; five times as much is used.")
    ] = 128,
    as_json: AsJson = False,
) -> None:
    """Turn complete segments into Parquet, check it, and merge small files. May be killed and repeated."""
    settings = load(config) if config or DEFAULT_FILE.exists() else Settings()
    _give_way(settings)
    chosen = settings.archive
    grace_ns = chosen.grace if grace is None else int(grace * 1e9)
    options = CompactOptions(date, merge, level or chosen.compression_level, grace_ns, memory * _MIB)
    with _bar() as bar:
        task = bar.add_task("compacting", total=None) if bar else None

        def tell(done: int, total: int) -> None:
            if bar and task is not None:
                bar.update(task, completed=done, total=total)

        report = compact(Archive(archive or settings.paths.archive), options, log=talk, progress=tell)
    hook = Hook("post_compact", chosen.post_compact, SystemClock(), talk, limits=HookLimits(waiting=1 << 20))
    for path in report.paths:
        if path.exists():  # or it is merged already
            hook.add(path)
    hook.close(None)
    if as_json:
        sys.stdout.write(json.dumps(asdict(report), default=str) + "\n")
    else:
        _tell(report)
    raise typer.Exit(1 if report.errors else 0)


def _give_way(settings: Settings) -> None:
    """Idle priority, and off the cores of capture loops where there are others."""
    process = psutil.Process()
    process.nice(19)
    process.ionice(psutil.IOPRIO_CLASS_IDLE)
    loops = {settings.of_ring(name).loop.core for name in settings.rings}
    others = os.sched_getaffinity(0) - loops
    if others:
        os.sched_setaffinity(0, others)


def _bar() -> AbstractContextManager[Progress | None]:
    console = Console(stderr=True)
    if not console.is_terminal:
        return nullcontext()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("rows"),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, transient=True)


def _tell(report: CompactReport) -> None:
    for day in report.days:
        share = f" ({day.bytes_out / day.bytes_in:.0%})" if day.bytes_in else ""
        talk(
            f"{day.table} {day.date}: {day.inputs:,} files in, {day.files:,} out, {day.rows:,} rows, "
            f"{day.bytes_in / _MIB:,.1f} to {day.bytes_out / _MIB:,.1f} MiB{share}, {day.seconds:.1f} s"
        )
    freed = f"; {report.freed_bytes / _MIB:,.1f} MiB freed" if report.freed_bytes else ""
    talk(
        f"{len(report.paths):,} new files, {len(report.errors):,} left as they are{freed}"
        if report.days
        else f"nothing to compact{freed}"
    )
