"""`nanotape retain`: looks once whether the archive has room, and deletes what was recorded first where it has not."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from nanotape.cli.options import AsJson, ConfigFile, talk
from nanotape.cli.record import upkeep_options
from nanotape.config import DEFAULT_FILE, Settings, load
from nanotape.storage.archive import Archive
from nanotape.storage.clock import SystemClock
from nanotape.storage.retention import Retention, RetentionPolicy

_MIB = 2**20


def retain(
    archive: Annotated[
        Path | None, typer.Argument(metavar="[ARCHIVE]", help="Archive. Default: that of the configuration.")
    ] = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Delete what archive.keep_free, max_bytes and grace leave no room for, once; a recorder at work does so itself.

    Exit status 1: there is too little room, and nothing more that may be deleted.
    """
    settings = load(config) if config or DEFAULT_FILE.exists() else Settings()
    policy = upkeep_options(settings).retention or RetentionPolicy(host=settings.host)
    path = archive or Path(settings.paths.archive)
    retention = Retention(Archive(path), policy, SystemClock(), talk)
    deleted = retention.enforce()
    size = sum(each.bytes for each in deleted)
    if as_json:
        told = {"deleted": len(deleted), "bytes": size, "is_exhausted": retention.is_exhausted}
        sys.stdout.write(json.dumps(told) + "\n")
    else:
        talk(f"{path}: {len(deleted):,} files deleted, {size / _MIB:,.1f} MiB")
        if retention.is_exhausted:
            talk(f"{path}: too little room, and nothing is left to delete but the newest of each ring; make room")
    raise typer.Exit(1 if retention.is_exhausted else 0)
