"""The `nanotape` command: one verb a module, errors as one line on stderr; 0 fine, 1 something wrong, 2 usage."""

import errno
import importlib.metadata
import os
import sys
from typing import Annotated

import typer

from nanotape.capture.errors import CaptureError, HostError, ServiceError
from nanotape.cli import (
    audit,
    bench,
    capture,
    compact,
    config,
    demo,
    discover,
    events,
    export,
    import_,
    query,
    record,
    replay,
    report,
    rings,
    run,
    simulate,
    status,
    tail,
    verify,
)
from nanotape.config import ConfigError
from nanotape.storage.errors import StorageError

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)

app = typer.Typer(
    name="nanotape",
    help="Records multicast market data: every packet, nanosecond-stamped, from the NIC to Arrow files.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("run")(run.run)
app.command("capture")(capture.capture)
app.command("record")(record.record)
app.command("demo")(demo.demo)
app.command("bench")(bench.bench)
app.command("simulate")(simulate.simulate)
app.command("rings")(rings.rings)
app.command("status")(status.status)
app.command("import")(import_.import_pcap)
app.command("compact")(compact.compact_archive)
app.command("discover")(discover.discover)
app.command("events")(events.events)
app.command("export")(export.export_archive)
app.command("report")(report.report)
app.command("query")(query.query)
app.command("replay")(replay.replay)
app.command("tail")(tail.tail)
app.command("audit")(audit.audit)
app.command("verify")(verify.verify)
app.add_typer(config.app, name="config")


def _version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"nanotape {importlib.metadata.version('nanotape')}\n")
        raise typer.Exit


@app.callback()
def nanotape(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Records multicast market data: every packet, nanosecond-stamped, from the NIC to Arrow files."""


def main() -> None:
    """Entry point: runs a verb, and turns our own errors into a line and an exit status."""
    _fill_streams()
    try:
        try:
            app()
        finally:
            sys.stdout.flush()  # here its failure can still be told
    except (ConfigError, CaptureError, StorageError) as error:
        if not (isinstance(error, ServiceError) and error.told):
            sys.stderr.write("".join(f"nanotape: {line}\n" for line in str(error).splitlines()))
        sys.exit(_status(error))
    except BrokenPipeError:  # the reader of our output has gone: nobody to tell
        _forget_output()
        sys.exit(1)
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        _forget_output()
        sys.stderr.write(
            f"nanotape: standard output: cannot be written: {error.strerror}; make room or write elsewhere\n"
        )
        sys.exit(1)


def _fill_streams() -> None:
    """Opens those of the three standard streams that were closed: else a ring's file would take their descriptors."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", closefd=False)


def _forget_output() -> None:
    """What could not be written would be tried again at the exit, and fail again."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _status(error: Exception) -> int:
    if isinstance(error, ServiceError):
        return error.status
    return 2 if isinstance(error, ConfigError | HostError) else 1


if __name__ == "__main__":
    main()
