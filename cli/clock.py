"""`nanotape clock`: how far the clocks of this host can be trusted, now or each second; `report`: of an archive."""

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated, Any

import typer

from nanotape.capture.clock.status import ClockStatus, own_status, told_status
from nanotape.cli.clock_report import report
from nanotape.cli.clock_run import run
from nanotape.cli.clock_text import clock_line, clock_page
from nanotape.cli.options import AsJson, ConfigFile, talk
from nanotape.config import DEFAULT_FILE, Settings, load

_POLL_S = 0.2

app = typer.Typer(help="Say how far the clocks of this host can be trusted.")
app.command()(report)
app.command()(run)


@app.callback(invoke_without_command=True)
def clock(
    context: typer.Context,
    config: ConfigFile = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with a line each second, until Ctrl-C.")
    ] = False,
    seconds: Annotated[
        float,
        typer.Option(min=0.0, max=600.0, metavar="SECONDS", help="How long to look where no clock service tells."),
    ] = 3.0,
    as_json: AsJson = False,
) -> None:
    """Say how far the clocks of this host can be trusted: state, offset, bound on the error, master.

    Exit status 0: every clock is locked and nothing is wrong; 1: not so.
    """
    if context.invoked_subcommand is not None:
        return
    settings = load(config) if config or DEFAULT_FILE.exists() else Settings()
    if follow:
        _follow(settings, as_json)
        return
    found = told_status(settings, time.time_ns())
    if found is None:
        talk(f"no clock service tells (nanotape run, or capture); looking for {seconds:g} s")
        found = own_status(settings, seconds)
    if as_json:
        sys.stdout.write(json.dumps(_json(found)) + "\n")
    else:
        sys.stdout.write("\n".join(clock_page(found)) + "\n")
    raise typer.Exit(0 if found.is_fine else 1)


def _follow(settings: Settings, as_json: bool) -> None:
    try:
        for found in _each_second(settings):
            lines = [json.dumps(_json(found))] if as_json else [clock_line(found, each) for each in found.clocks]
            sys.stdout.write("\n".join(lines) + "\n")
            sys.stdout.flush()
    except KeyboardInterrupt:
        return


def _each_second(settings: Settings) -> Iterator[ClockStatus]:
    """What a service tells, each once; while none does, looks of our own."""
    last_ns = 0
    while True:
        found = told_status(settings, time.time_ns()) or own_status(settings, 1.0)
        if found.at_ns != last_ns:
            last_ns = found.at_ns
            yield found
        time.sleep(_POLL_S)


def _json(found: ClockStatus) -> dict[str, Any]:
    """The system clock's fields stand at the top."""
    told = asdict(found)
    return {"fine": found.is_fine, **dict(found.system), **told}
