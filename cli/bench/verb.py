"""The verb `bench`: its options, its output, its exit status."""

import json
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, Literal

import typer

from nanotape.capture.errors import ServiceError
from nanotape.cli.bench import page
from nanotape.cli.bench.course import PARTS, Course
from nanotape.cli.bench.errors import BenchError
from nanotape.cli.bench.model import Options
from nanotape.cli.bench.native import cores
from nanotape.cli.bench.report import Report, inexact, text
from nanotape.cli.options import AsJson, talk

_REPETITIONS = 5


def bench(
    parts: Annotated[
        list[str] | None,
        typer.Argument(metavar="PART", help=f"Of {', '.join(PARTS)}. Default: all.", show_default=False),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Under two minutes, for correctness: the figures say little.")
    ] = False,
    repetitions: Annotated[
        int | None,
        typer.Option(min=1, max=1000, help="How often each is measured. Default: 5; quick: 1.", show_default=False),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="On the disk to be measured. Default: /var/tmp.", show_default=False),
    ] = None,
    source: Annotated[
        Literal["memory", "wire"] | None,
        typer.Option(
            help="Of the part path: packets from memory alone, or over a wire too. Default: wire as root.",
            show_default=False,
        ),
    ] = None,
    sink: Annotated[
        Literal["null", "tmpfs", "disk"],
        typer.Option(help="Of the part path: record to nowhere, to memory, or to disk."),
    ] = "disk",
    as_json: AsJson = False,
    write: Annotated[
        Path | None,
        typer.Option("--page", metavar="FILE", help="Write a page with plots too.", show_default=False),
    ] = None,
    earlier: Annotated[
        Path | None,
        typer.Option("--from", metavar="FILE", help="Measure nothing: report what --json printed.", show_default=False),
    ] = None,
) -> None:
    """Measure how fast this machine captures and records, beside other tools, and what became of the targets.

    Exit status 1: a part could not be measured, or packets are not accounted for. A target that is not met is a result.
    """
    wanted = _checked(parts)
    failed: list[str] = []
    if earlier is not None:
        report = _read(earlier)
    else:
        options = Options(
            quick=quick,
            repetitions=repetitions or (1 if quick else _REPETITIONS),
            folder=folder,
            source=source or ("memory" if os.geteuid() or len(set(cores())) < 2 else "wire"),
            sink=sink,
        )
        course = Course(options, talk)
        report = _interruptible(course, wanted, by_name=bool(parts))
        failed = course.failed
    if write is not None:
        page.write(report, write)
    sys.stdout.write((json.dumps(report) if as_json else text(report)) + "\n")
    wrong = inexact(report)
    for line in wrong:
        talk(line)
    raise typer.Exit(1 if failed or wrong else 0)


def _checked(parts: list[str] | None) -> tuple[str, ...]:
    unknown = [part for part in parts or () if part not in PARTS]
    if unknown:
        raise typer.BadParameter(f"expected some of {', '.join(PARTS)}, found {unknown[0]}")
    return tuple(parts or PARTS)


def _interruptible(course: Course, wanted: tuple[str, ...], *, by_name: bool) -> Report:
    """A signal ends it in order: namespaces, folders and huge pages go."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return course.run(wanted, by_name=by_name)
    except KeyboardInterrupt:
        raise ServiceError("interrupted: everything that the benchmark made is removed", 130) from None


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _read(path: Path) -> Report:
    try:
        report: Any = json.loads(path.read_text(encoding="utf-8"))
        if list(report)[-1] != "targets" or not {"parts", "machine", "when", "quick"} <= set(report):
            raise ValueError
    except OSError as error:
        raise BenchError(f"{path}: cannot be read: {error.strerror}; name what nanotape bench --json printed") from None
    except (ValueError, TypeError, IndexError):
        raise BenchError(f"{path}: expected what nanotape bench --json printed, found something else") from None
    found: Report = report
    return found
