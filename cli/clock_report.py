"""`nanotape clock report`: how far an archive's clocks could be trusted, as text, as JSON, and as a picture."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from nanotape.cli.options import AsJson, talk


def report(
    archives: Annotated[list[Path], typer.Argument(metavar="ARCHIVE...", help="Archives, or globs.")],
    start: Annotated[
        str | None, typer.Option(metavar="MOMENT", help="From then on. Default: from the first row on.")
    ] = None,
    end: Annotated[str | None, typer.Option(metavar="MOMENT", help="Up to then. Default: up to the last row.")] = None,
    tz: Annotated[str | None, typer.Option(metavar="ZONE", help="Zone of both. Default: UTC.")] = None,
    svg: Annotated[Path | None, typer.Option("--svg", metavar="FILE", help="Write a picture, too.")] = None,
    as_json: AsJson = False,
) -> None:
    """Report on the clocks of an archive by day: bounds kept, holdovers, changes of master, how it was measured.

    Exit status 0: all of the time is recorded, and each clock was known to be within 100 us of UTC; 1: not so.
    """
    from nanotape.storage.atomic_file import asked_for
    from nanotape.storage.clock_plot import clock_plot
    from nanotape.storage.clock_report import clock_report
    from nanotape.storage.clock_report_text import report_facts, report_lines
    from nanotape.storage.reader import open_archive

    found = clock_report(open_archive(archives), start=start, end=end, tz=tz)
    if svg is not None:
        with asked_for(svg) as file:
            file.write(clock_plot(found).encode())
        talk(f"{svg}: written")
    if as_json:
        sys.stdout.write(json.dumps(report_facts(found)) + "\n")
    else:
        sys.stdout.write("".join(f"{line}\n" for line in report_lines(found)))
    raise typer.Exit(0 if found.is_fine else 1)
