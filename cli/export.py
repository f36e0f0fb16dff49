"""`nanotape export`: packets of an archive as pcapng, for Wireshark, tcpdump and everything else."""

import importlib.metadata
import json
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from nanotape.cli.options import AsJson, talk
from nanotape.config.quantity import parse_duration
from nanotape.storage import open_archive
from nanotape.storage.answer import stamp_text
from nanotape.storage.errors import FilterError, QueryError
from nanotape.storage.export import ExportOptions, ExportReport, export
from nanotape.storage.frame_stream import FrameChoice
from nanotape.storage.selection import Selection

_ZST_SUFFIX = ".zst"


def export_archive(
    archive: Annotated[list[str], typer.Argument(metavar="ARCHIVE...", help="Archives, or globs; several as one.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help='pcapng; "-": standard output.')],
    where: Annotated[
        str | None, typer.Option(metavar="SQL", help="A condition over the columns of packets: dst_port = 5000.")
    ] = None,
    filter_text: Annotated[
        str | None, typer.Option("--filter", metavar="FILTER", help="As tcpdump takes it: udp port 5000.")
    ] = None,
    feed: Annotated[list[str] | None, typer.Option(help="Only of this feed; may be repeated.")] = None,
    channel: Annotated[list[str] | None, typer.Option(help="Only of this channel; may be repeated.")] = None,
    line: Annotated[list[str] | None, typer.Option(help="Only of this line; may be repeated.")] = None,
    start: Annotated[
        str | None, typer.Option(metavar="TIME", help="From this moment on: 2026-11-20 09:30, or ...Z.")
    ] = None,
    end: Annotated[str | None, typer.Option(metavar="TIME", help="Up to this moment, excluded.")] = None,
    tz: Annotated[str | None, typer.Option(metavar="ZONE", help="Zone of TIMEs that name none. Default: UTC.")] = None,
    last: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Only so long before the newest of them: 30s.")
    ] = None,
    around: Annotated[str | None, typer.Option(metavar="EVENT", help="Only about the event of this id.")] = None,
    pad: Annotated[
        str, typer.Option(metavar="DURATION", help="With --around: before its start, after its end.")
    ] = "1s",
    zstd: Annotated[
        bool, typer.Option("--zstd", help="Compress, in frames that can be sought. Default: if FILE ends in .zst.")
    ] = False,
    memory: Annotated[int, typer.Option(min=64, metavar="MIB", help="Sorts beyond it on disk.")] = 512,
    as_json: AsJson = False,
) -> None:
    """Export chosen packets as pcapng: nanoseconds, interfaces, drop counts, events as comments."""
    to_stdout = output == Path("-")
    if to_stdout and as_json:
        raise typer.BadParameter("--json: reports on standard output, where the packets go; name a file")
    try:
        choice = FrameChoice(
            Selection.of(feed=feed or None, channel=channel or None, line=line or None, start=start, end=end, tz=tz),
            where,
            _duration("--last", last) if last is not None else None,
            around,
            _duration("--pad", pad),
        )
        application = f"nanotape {importlib.metadata.version('nanotape')}"
        options = ExportOptions(choice, filter_text, zstd or output.suffix == _ZST_SUFFIX, application, memory << 20)
        with _bar() as bar:
            path = None if to_stdout else output
            report = export(open_archive(archive), path, sys.stdout.buffer, options, _teller(bar))
    except (FilterError, QueryError) as error:
        talk(str(error))
        raise typer.Exit(2) from None
    if as_json:
        sys.stdout.write(json.dumps(asdict(report)) + "\n")
    else:
        _tell(report, output)


def _duration(option: str, text: str) -> int:
    try:
        return parse_duration(text)
    except ValueError:
        raise typer.BadParameter(f"{option}: a duration such as 30s or 250ms expected, found {text!r}") from None


def _bar() -> AbstractContextManager[Progress | None]:
    console = Console(stderr=True)
    if not console.is_terminal:
        return nullcontext()
    columns = (
        TextColumn("exporting"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("packets"),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, transient=True)


def _teller(bar: Progress | None) -> Callable[[int, int], None] | None:
    if bar is None:
        return None
    task = bar.add_task("exporting", total=None)
    return lambda done, total: bar.update(task, completed=done, total=total)


def _tell(report: ExportReport, output: Path) -> None:
    if report.first_ns is None or report.last_ns is None:
        talk(f"{output}: no packet was chosen")
        return
    said = [f"{report.packets:,} packets of {report.rings:,} rings, {report.bytes:,} bytes of frames"]
    said += [f"{report.drops:,} drops told"] if report.drops else []
    said += [f"{report.comments:,} events as comments"] if report.comments else []
    said += [f"{report.truncated:,} cut short"] if report.truncated else []
    talk(f"{output}: {', '.join(said)}, {stamp_text(report.first_ns)} to {stamp_text(report.last_ns)}")
