"""`nanotape import`: puts capture files into an archive, where every other verb works on them."""

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from nanotape.capture.stop_signals import StopSignals
from nanotape.cli.options import AsJson, talk
from nanotape.cli.record import recorder_options
from nanotape.config import Settings, load
from nanotape.storage.capture_files import capture_paths
from nanotape.storage.import_options import Damage, ImportOptions, ImportReport, chosen_switch
from nanotape.storage.import_options import Progress as Reached
from nanotape.storage.import_ring import without_interfaces
from nanotape.storage.pcap_import import OnProgress, import_captures


def import_pcap(
    captures: Annotated[
        list[Path],
        typer.Argument(metavar="PCAP...", help="Capture files (pcap, pcapng, also .gz and .zst), or folders of them."),
    ],
    archive: Annotated[
        Path, typer.Option("--to", metavar="ARCHIVE", help="Archive; made if its parent folder exists.")
    ],
    config: Annotated[
        Path | None, typer.Option("-c", "--config", metavar="FILE", help="Its [[channel]] tables name the flows.")
    ] = None,
    ring: Annotated[str, typer.Option(metavar="NAME", help="Name of the ring that the packets get.")] = "import",
    host: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name of the host that they get. Default: this host's.")
    ] = None,
    switch_stamps: Annotated[
        str | None,
        typer.Option(metavar="FORM", help="Stamps that a switch wrote into the frames; auto: see for yourself."),
    ] = None,
    switch_tai: Annotated[
        str | None, typer.Option(metavar="OFFSET", help="Subtract this from them: 37s where the switch sends TAI.")
    ] = None,
    switch_plausible: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Farthest that they may be from the file's stamps. [1s]")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Also what the archive has already, a second time.")] = False,
    as_json: AsJson = False,
) -> None:
    """Import capture files into an archive, each packet with the stamp that its file gives it."""
    settings = load(config) if config else Settings()
    channels = without_interfaces(settings.channel, talk)
    own = settings.of_ring(settings.rings[0])
    switch = chosen_switch(own.source.switch, switch_stamps, switch_tai, switch_plausible)
    options = ImportOptions(
        ring,
        host,
        again,
        channels,
        framings=settings.framings,
        reorder_window_ns=settings.feeds.reorder_window,
        reset_distance=settings.feeds.reset_distance,
        switch=switch,
        recorder=recorder_options(own),
    )
    with ExitStack() as stack:
        stop = stack.enter_context(StopSignals())
        show = stack.enter_context(_bar())
        paths = capture_paths(captures)
        report = import_captures(paths, archive, options, on_progress=show, is_stopped=lambda: stop.caught, log=talk)
    if as_json:
        sys.stdout.write(json.dumps(report.facts()) + "\n")
    else:
        _tell(report)
    raise typer.Exit(0 if report.is_good else 1)


@contextmanager
def _bar() -> Iterator[OnProgress]:
    """On a terminal a line that moves; else nothing."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    columns = (
        TextColumn("{task.fields[files]} files"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TextColumn("{task.fields[packets]:,} packets"),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None, files="0", packets=0)

        def show(reached: Reached) -> None:
            bar.update(
                task,
                description=Path(reached.file).name,
                completed=reached.bytes_read,
                total=reached.bytes,
                files=f"{reached.files_done}/{reached.files}",
                packets=reached.packets,
            )

        yield show


def _tell(report: ImportReport) -> None:
    for each in report.files:
        if each.damage:
            packets = each.packets + each.packets_before
            talk(f"{each.file}: {_damage(each.damage)}; the {packets:,} packets before it are in the archive")
    totals = report.facts()["totals"]
    stopped = f"; told to stop, {report.files_given - totals['files']:,} files left" if report.is_stopped else ""
    talk(
        f"{totals['packets']:,} packets of {totals['imported']:,} files imported, {totals['damaged']:,} damaged, "
        f"{totals['refused']:,} refused{stopped}"
    )


def _damage(damage: Damage) -> str:
    where = "its end" if damage.offset is None else f"byte {damage.offset}"
    return f"{where}{' of the compressed file' if damage.is_compressed else ''}: damaged: {damage.reason}"
