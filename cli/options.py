"""Options that several verbs share, with one wording."""

from pathlib import Path
from typing import Annotated

import typer

from nanotape.storage.log import log_to_stderr

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "-c",
        "--config",
        metavar="FILE",
        help="Configuration; conf.d/*.toml beside it is read too. Default: /etc/nanotape/nanotape.toml.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]


def talk(line: str) -> None:
    """One line to the operator, on standard error: stdout belongs to data. Lost when nobody can take it."""
    log_to_stderr(line)
