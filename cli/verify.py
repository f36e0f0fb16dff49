"""`nanotape verify`: every file of an archive, and every sequence in it."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nanotape.cli.options import AsJson

if TYPE_CHECKING:
    from nanotape.storage.verify import VerifyReport


def verify(
    archives: Annotated[list[Path], typer.Argument(metavar="ARCHIVE...", help="Archives, or globs of them.")],
    as_json: AsJson = False,
) -> None:
    """Verify checksums, structure and ring sequences of all files. Exit status 1: something is wrong."""
    from nanotape.storage.reader import open_archive  # heavy, and not needed for --help
    from nanotape.storage.verify import verify as verified

    reports = {str(each.path): verified(each) for each in open_archive(archives).archives}
    if as_json:
        sys.stdout.write(json.dumps({path: asdict(report) for path, report in reports.items()}) + "\n")
    else:
        for path, report in reports.items():
            lines = [*report.findings, *_summary(path, report)]
            sys.stdout.write("".join(f"{line}\n" for line in lines))
    raise typer.Exit(1 if any(report.findings for report in reports.values()) else 0)


def _summary(path: str, report: "VerifyReport") -> list[str]:
    wrong = f"{len(report.findings):,} findings" if report.findings else "all is as it was written"
    lines = [f"{path}: {report.files:,} files, {report.bytes / 2**20:,.1f} MiB, {report.rows:,} rows: {wrong}"]
    for ring in report.rings:
        missing = f"{ring.missing:,} missing" if ring.missing else "none missing"
        parts = {"lost by us": ring.lost, "deleted by retention": ring.deleted, "unexplained": ring.unexplained}
        told = "".join(f", {count:,} {name}" for name, count in parts.items() if count)
        told += ", some left out on purpose" if ring.left_out is None else ""
        lines.append(
            f"  ring {ring.ring} ({ring.ring_id}): sequences {ring.first_seq:,} to {ring.last_seq:,}, {missing}{told}"
        )
    return lines
