"""Options that several verbs share, with one wording."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nanotape.storage.log import Info, log_to_stderr, write_to_stderr

if TYPE_CHECKING:
    from nanotape.config import Settings

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
RingNames = Annotated[
    list[str] | None,
    typer.Option("--ring", metavar="NAME", help="Only this configured ring; may be repeated. Default: all."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]


def chosen_rings(settings: "Settings", names: list[str] | None) -> "list[Settings]":
    """The settings of each ring that `--ring` names; of all when it names none.

    Raises:
        ConfigError: There is none of a name.
    """
    return [settings.of_ring(name) for name in dict.fromkeys(names or settings.rings)]


def talk(line: str) -> None:
    """One line to the operator, on standard error: stdout belongs to data. Lost when nobody can take it.

    What verbs say is as it should be, unless the line says otherwise: the journal is told so.
    """
    if "JOURNAL_STREAM" not in os.environ:
        log_to_stderr(line)
        return
    from nanotape.storage.service_log import before_line

    kind = type(line) if hasattr(line, "level") else Info
    write_to_stderr(before_line(kind(f"nanotape: {line}")))
