"""`nanotape top`: the terminal UI; one frame of it as text, or one snapshot as JSON. Changes nothing, needs no root."""

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from nanotape.capture.finding import Severity
from nanotape.capture.looks import Clocks
from nanotape.cli.options import AsJson, ConfigFile
from nanotape.config import ConfigError
from nanotape.storage.pandas_refusal import refuse_pandas
from nanotape.tui.gather import Gatherer
from nanotape.tui.picture import Picture
from nanotape.tui.settings_file import SettingsFile

_COMPARED_S, _PATIENCE_S = 1.0, 2.1
_SWITCH_S = 0.001  # the thread that looks lets a key be answered, also while it reads what a recorder tells


def top(
    ring: Annotated[str | None, typer.Argument(metavar="RING", help="Name or file of a ring. Default: all.")] = None,
    config: ConfigFile = None,
    refresh: Annotated[
        float, typer.Option(min=0.1, max=60.0, metavar="SECONDS", help="Time from one look to the next.")
    ] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Print one frame as text, and end.")] = False,
    as_json: AsJson = False,
    screenshots: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where screenshots go. Default: here.", show_default=False)
    ] = None,
) -> None:
    """Show rings, channels, clocks, readers and the host live. With --once or --json, exit status 1: an error."""
    if config is not None and not config.exists():
        raise ConfigError([f"{config}: expected a configuration, found nothing there; see --config"])
    gatherer = Gatherer(SettingsFile(config), ring)
    if once or as_json:
        _print(_second_look(gatherer, Clocks()), as_json)
    if not all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):  # it draws on the last of them
        raise typer.BadParameter("it needs a terminal; --once prints one frame, --json one snapshot")
    from nanotape.tui.app import Top  # and with it Textual, which takes a while to load
    from nanotape.tui.style import theme_of

    refuse_pandas()
    sys.setswitchinterval(_SWITCH_S)
    Top(gatherer.look, refresh, screenshots, theme_of(os.environ)).run()


def _second_look(gatherer: Gatherer, clocks: Clocks) -> Picture:
    """Rates are of the time between two; a loop that seems to stand still is looked at once more."""
    gatherer.look()
    clocks.sleep(_COMPARED_S)
    picture = gatherer.look()
    if any(ring.is_assumed for ring in picture.rings):
        clocks.sleep(_PATIENCE_S)
        picture = gatherer.look()
    return picture


def _print(picture: Picture, as_json: bool) -> None:
    from nanotape.tui import snapshot

    lines = [json.dumps(snapshot.as_json(picture))] if as_json else snapshot.once_lines(picture)
    sys.stdout.write("\n".join(lines) + "\n")
    raise typer.Exit(0 if picture.severity is not Severity.ERROR else 1)
