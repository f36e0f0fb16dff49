"""The `nanotape` command: one verb a module, errors as one line on stderr; 0 fine, 1 something wrong, 2 usage."""

import errno
import os
import sys
from typing import Annotated

import typer

from nanotape.cli.privilege import settle_privilege
from nanotape.cli.verbs import Verbs

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)

app = typer.Typer(
    cls=Verbs,
    name="nanotape",
    help="Records multicast market data: every packet, nanosecond-stamped, from the NIC to Arrow files.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        from nanotape.cli.version import version_lines

        sys.stdout.write("".join(f"{line}\n" for line in version_lines()))
        raise typer.Exit


@app.callback()
def nanotape(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version, and how it was built."),
    ] = False,
) -> None:
    """Records multicast market data: every packet, nanosecond-stamped, from the NIC to Arrow files."""


def main() -> None:
    """Entry point: runs a verb, and turns our own errors into a line and an exit status."""
    _fill_streams()
    try:
        try:
            settle_privilege(sys.argv[1:])
            app()
        finally:
            sys.stdout.flush()  # here its failure can still be told
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
    except Exception as error:
        sys.exit(_told(error))


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


def _told(error: Exception) -> int:
    """Says what was wrong, as far as that is ours to say, and gives the exit status."""
    # Only now: what the verb did not need is not loaded for it.
    from nanotape.capture.errors import CaptureError, ServiceError
    from nanotape.config import ConfigError
    from nanotape.storage.errors import StorageError

    if isinstance(error, MemoryError):
        _tell("no memory is left for this; give it more (ulimit -v, MemoryMax), or ask for less")
        return 1
    if not isinstance(error, ConfigError | CaptureError | StorageError):
        raise error
    if not (isinstance(error, ServiceError) and error.told):
        _tell(*str(error).splitlines())
    return exit_status(error)


def _tell(*lines: str) -> None:
    """On standard error; as errors, where that is the journal's."""
    from nanotape.storage.log import Error
    from nanotape.storage.service_log import before_line

    sys.stderr.write("".join(f"{before_line(Error(f'nanotape: {line}'))}\n" for line in lines))


def exit_status(error: Exception) -> int:
    """2: what was asked for cannot be, as it is configured and on this host; 1: it went wrong, and may go right again.

    systemd starts anew what ends with 1, and lets be what ends with 2.
    """
    from nanotape.capture.errors import HostError, ServiceError
    from nanotape.config import ConfigError

    if isinstance(error, ServiceError):
        return error.status
    return 2 if isinstance(error, ConfigError | HostError) else 1


if __name__ == "__main__":
    main()
