"""`nanotape audit`: the conservation sheet of an archive, or of the rings of this host as they run."""

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from nanotape.cli.options import AsJson, ConfigFile

_DAY_NS = 86_400 * 10**9


def audit(
    archives: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[ARCHIVE]...", help="Archives, or globs. Default: the running rings."),
    ] = None,
    config: ConfigFile = None,
    start: Annotated[str | None, typer.Option(metavar="TIME", help="From this moment on.")] = None,
    end: Annotated[str | None, typer.Option(metavar="TIME", help="Up to this moment, excluded.")] = None,
    tz: Annotated[str | None, typer.Option(metavar="ZONE", help="Zone of TIMEs that name none. Default: UTC.")] = None,
    date: Annotated[str | None, typer.Option(metavar="YYYY-MM-DD", help="This day, in the zone.")] = None,
    as_json: AsJson = False,
) -> None:
    """Account for every packet by stage, and say what there is of each channel. Status 1: unexplained or lost."""
    if archives:
        is_fine = _archives(archives, _span(start, end, date, tz), tz, as_json)
    else:
        is_fine = _running(config, as_json)
    raise typer.Exit(0 if is_fine else 1)


def _span(
    start: str | None, end: str | None, date: str | None, tz: str | None
) -> tuple[int | str | None, int | str | None]:
    if date is None:
        return start, end
    if start or end:
        raise typer.BadParameter("expected either --date or --start and --end; choose one")
    from nanotape.storage.instants import day_ns

    return day_ns(date, tz)


def _archives(
    archives: list[Path], span: tuple[int | str | None, int | str | None], tz: str | None, as_json: bool
) -> bool:
    from nanotape.storage.audit import audit as audited  # heavy, and not needed for --help
    from nanotape.storage.audit_text import audit_lines
    from nanotape.storage.reader import open_archive
    from nanotape.storage.selection import Selection

    report = audited(open_archive(archives), Selection.of(start=span[0], end=span[1], tz=tz))
    if as_json:
        facts = {**asdict(report), "unexplained": report.unexplained, "lost": report.lost, "fine": report.is_fine}
        for kind in ("sources", "recorders"):
            for each, sheet in zip(facts[kind], getattr(report, kind), strict=True):
                each["unexplained"] = sheet.unexplained
        sys.stdout.write(json.dumps(facts) + "\n")
    else:
        sys.stdout.write("".join(f"{line}\n" for line in audit_lines(report)))
    return report.is_fine


def _running(config: Path | None, as_json: bool) -> bool:
    """The books of this host's rings now; exact while nothing moves."""
    from nanotape.capture.health import RingHealth
    from nanotape.capture.looks import healths
    from nanotape.config import DEFAULT_FILE, Settings, load

    settings = load(config) if config or DEFAULT_FILE.exists() else Settings()
    found = [each for each in healths(settings, None, 0.5) if isinstance(each, RingHealth)]
    if as_json:
        sys.stdout.write(json.dumps({"rings": [asdict(each) for each in found]}) + "\n")
    else:
        lines = [line for each in found for line in _ring(each)] or ["no ring on this host"]
        sys.stdout.write("".join(f"{line}\n" for line in lines))
    return all(not each.unexplained and not any(each.lost.values()) for each in found)


def _ring(health: Any) -> Iterator[str]:
    lost = ", ".join(f"{stage} {count:,}" for stage, count in health.lost.items() if count)
    yield f"ring {health.name}: {health.packets:,} packets in it since it was made; lost: {lost or 'nothing'}"
    for reader in health.readers:
        if reader.recorded is not None:
            failures = f", {reader.write_failures:,} could not be written" if reader.write_failures else ""
            yield f"  {reader.name}: {reader.recorded:,} recorded, {reader.lost:,} lost{failures}, since it began"
    if health.unexplained is None:
        yield "  packets move: the books can be judged when they rest"
    else:
        yield "  balanced" if not health.unexplained else f"  UNEXPLAINED: {health.unexplained:,} packets"
