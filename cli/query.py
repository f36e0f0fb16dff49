"""`nanotape query`: SQL over one archive or several, and questions that are asked often, by name."""

import contextlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from nanotape.cli.options import talk

_LIMIT_ON_TERMINAL = 100


def query(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="ARCHIVE... [SQL]", help='Archives or globs, then SQL; "-" or nothing: SQL from stdin.'),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="A named query instead of SQL; see --list.")
    ] = None,
    list_names: Annotated[bool, typer.Option("--list", help="List the named queries.")] = False,
    show: Annotated[bool, typer.Option("--show", help="Print the SQL of the named query, and do not run it.")] = False,
    channel: Annotated[str | None, typer.Option(help="Named queries: only this channel.")] = None,
    feed: Annotated[str | None, typer.Option(help="Named queries: only this feed.")] = None,
    start: Annotated[
        str | None, typer.Option(metavar="TIME", help="Only from this moment on: 2026-11-20 09:30, or ...Z.")
    ] = None,
    end: Annotated[str | None, typer.Option(metavar="TIME", help="Only up to this moment, excluded.")] = None,
    tz: Annotated[str | None, typer.Option(metavar="ZONE", help="Zone of TIMEs that name none. Default: UTC.")] = None,
    interval: Annotated[
        str, typer.Option(metavar="DURATION", help="Named queries: width of an interval, 1ms to 1d.")
    ] = "1s",
    top: Annotated[int, typer.Option(min=1, help="Named queries: how many rows.")] = 20,
    form: Annotated[
        str, typer.Option("--format", metavar="table|csv|json|arrow|parquet", help="Of what is printed.")
    ] = "table",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write there, whole or not at all.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=0, help="Rows that a table shows. Default: all, 100 on a terminal.")
    ] = None,
    memory: Annotated[
        int | None,
        typer.Option(
            min=64,
            metavar="MIB",
            help="What the query may hold before it writes temporary files. Default: a quarter of the machine's.",
        ),
    ] = None,
) -> None:
    """Query an archive with SQL: a view for each table, arbitrated and messages; macros: see docs/query.md."""
    from nanotape.storage import answer, named_queries  # heavy, and not needed for --help

    if list_names:
        sys.stdout.write("".join(f"{each.name:<16}{each.what}\n" for each in named_queries.QUERIES.values()))
        return
    if form not in answer.FORMATS:
        raise typer.BadParameter(f"--format: one of {', '.join(answer.FORMATS)} expected, found {form}")
    paths, sql = _split(words or [], name)
    if name is not None:
        options = named_queries.Options(channel, feed, start, end, tz, interval, top)
        sql = named_queries.build(name, options)
        if named_queries.QUERIES[name].looks_back:
            start = None  # in its SQL it is
        if show:
            sys.stdout.write(sql + "\n")
            return
    if limit is None and output is None and sys.stdout.isatty():
        limit = _LIMIT_ON_TERMINAL
    found = _Question(paths, sql, start, end, tz, None if memory is None else memory * 2**20)
    _run(found, form, output, limit)


@dataclass(frozen=True, slots=True)
class _Question:
    paths: list[str]
    sql: str
    start: str | None
    end: str | None
    tz: str | None
    memory_bytes: int | None


def _run(asked: _Question, form: str, output: Path | None, limit: int | None) -> None:
    import duckdb

    from nanotape.storage import answer, open_archive
    from nanotape.storage.atomic_file import asked_for
    from nanotape.storage.unsplit_channels import unsplit_note

    try:
        reader = open_archive(asked.paths)
        found = reader.sql(
            asked.sql, start=asked.start, end=asked.end, tz=asked.tz, sealed=True, memory_bytes=asked.memory_bytes
        )
        with asked_for(output) if output else contextlib.nullcontext(sys.stdout.buffer) as target:
            rows = answer.write(found.to_arrow_reader(), form, target, limit)
    except duckdb.Error as error:
        wrong = (duckdb.ProgrammingError, duckdb.DataError, duckdb.NotSupportedError, duckdb.PermissionException)
        is_wrong_sql = isinstance(error, wrong) and "Failed to read file" not in str(error)
        talk(f"{'SQL' if is_wrong_sql else 'query'}: {' '.join(str(error).split())}")
        raise typer.Exit(2 if is_wrong_sql else 1) from None
    if output:
        talk(f"{output}: {rows:,} rows")
    if note := unsplit_note(asked.sql, reader.unsplit):
        talk(note)


def _split(words: list[str], name: str | None) -> tuple[list[str], str]:
    """Archives, and SQL: the last word, if it is not an archive."""
    is_sql = (
        bool(words)
        and name is None
        and (words[-1] == "-" or (" " in words[-1].strip() and not os.path.exists(words[-1])))
    )
    paths, sql = (words[:-1], words[-1]) if is_sql else (words, "-")
    if not paths:
        raise typer.BadParameter("an archive expected, found none; name its directory")
    if name is None and sql == "-":
        sql = sys.stdin.read()
        if not sql.strip():
            raise typer.BadParameter("SQL expected on standard input, found nothing")
    return paths, sql
