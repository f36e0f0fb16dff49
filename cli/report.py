"""`nanotape report`: a day of an archive, as text, and as one HTML file with pictures."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from nanotape.cli.options import AsJson, talk


def report(
    archives: Annotated[
        list[Path], typer.Argument(metavar="ARCHIVE... DATE", help="Archives, or globs; then YYYY-MM-DD.")
    ],
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write a page with pictures, too.")
    ] = None,
    tz: Annotated[str | None, typer.Option(metavar="ZONE", help="Zone of the day. Default: UTC.")] = None,
    as_json: AsJson = False,
) -> None:
    """Report on a day: completeness, losses and gaps, A and B, peaks, clock. Exit status 1: unexplained or lost."""
    from nanotape.storage.atomic_file import asked_for
    from nanotape.storage.reader import open_archive
    from nanotape.storage.report import day_report
    from nanotape.storage.report_page import report_page
    from nanotape.storage.report_text import report_lines

    *paths, date = archives
    if not paths:
        raise typer.BadParameter("archives and then a day expected, found one word")
    found = day_report(open_archive(paths), str(date), tz)
    if html is not None:
        with asked_for(html) as file:
            file.write(report_page(found).encode())
        talk(f"{html}: written")
    if as_json:
        facts = {**asdict(found), "shares": found.shares, "fine": found.sheet.is_fine}
        sys.stdout.write(json.dumps(facts) + "\n")
    else:
        sys.stdout.write("".join(f"{line}\n" for line in report_lines(found)))
    raise typer.Exit(0 if found.sheet.is_fine else 1)
