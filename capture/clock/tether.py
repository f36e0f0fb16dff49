"""Runs another program in its own place, which ends when the thread that started it does: `tether.py PARENT PROGRAM`.

Started by its path, without the package around it: importing that would take longer than all else.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_NOT_STARTED = 127


def main(arguments: list[str]) -> int:
    """Becomes the program; returns only where that cannot be."""
    parent, *command = arguments
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0) != 0 or os.getppid() != int(parent):
        return 0  # it ended before we asked
    try:
        os.execvp(command[0], command)  # noqa: S606 - no shell is wanted
    except OSError as error:
        sys.stderr.write(f"{command[0]}: cannot be started: {error.strerror}\n")
    return _NOT_STARTED


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
