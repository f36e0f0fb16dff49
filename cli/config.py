"""`nanotape config`: checks a configuration, prints its JSON Schema, shows what is in force and where it came from."""

import json
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from nanotape.config import ConfigError, Settings, load
from nanotape.config.show import effective, effective_json, json_schema, summary, summary_text

app = typer.Typer(help="Check and show the configuration.", no_args_is_help=True)

File = Annotated[
    Path | None,
    typer.Option(
        "-c", "--config", metavar="FILE", help="Configuration; conf.d/*.toml beside it is read too.", show_default=False
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON to stdout.")]


@app.command()
def check(file: File = None, as_json: Json = False) -> None:
    """Say whether the configuration is fine: exit status 0, or 2 with a line for each thing to correct."""
    try:
        settings = load(file)
    except ConfigError as error:
        if as_json:
            _write_json({"fine": False, "errors": list(error.lines)})
        _refuse(error)
    if as_json:
        _write_json({"fine": True, "errors": [], **summary(settings)})
    else:
        sys.stdout.write(summary_text(settings) + "\n")


@app.command()
def schema() -> None:
    """Print the JSON Schema of a configuration file."""
    _write_json(json_schema())


@app.command()
def show(file: File = None, as_json: Json = False) -> None:
    """Print the configuration in force as TOML, with where each value came from."""
    settings = _loaded(file)
    if as_json:
        _write_json(effective_json(settings))
    else:
        sys.stdout.write(effective(settings))


def _loaded(file: Path | None) -> Settings:
    try:
        return load(file)
    except ConfigError as error:
        _refuse(error)


def _refuse(error: ConfigError) -> NoReturn:
    sys.stderr.write(f"{error}\n")
    raise typer.Exit(2) from None


def _write_json(value: object) -> None:
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
