"""The `nanotape` command: one verb a module, errors as one line on stderr; 0 fine, 1 something wrong, 2 usage."""

import importlib.metadata
import sys
from typing import Annotated

import typer

from nanotape.capture.errors import CaptureError, HostError, ServiceError
from nanotape.cli import capture, config, demo, discover, record, rings, run, simulate, status, tail
from nanotape.config import ConfigError
from nanotape.storage.errors import StorageError

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
app.command("simulate")(simulate.simulate)
app.command("rings")(rings.rings)
app.command("status")(status.status)
app.command("discover")(discover.discover)
app.command("tail")(tail.tail)
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
    try:
        app()
    except (ConfigError, CaptureError, StorageError) as error:
        if not (isinstance(error, ServiceError) and error.told):
            sys.stderr.write("".join(f"nanotape: {line}\n" for line in str(error).splitlines()))
        sys.exit(_status(error))
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has gone: nobody to tell
        sys.exit(1)


def _status(error: Exception) -> int:
    if isinstance(error, ServiceError):
        return error.status
    return 2 if isinstance(error, ConfigError | HostError) else 1


if __name__ == "__main__":
    main()
