"""Programs that are not ours: where they lie, and what they print. Only starts and reads them."""

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence

Run = Callable[[Sequence[str], float], str]
"""Runs a command for so many seconds at most, and gives all that it printed.

Raises OSError where it cannot be started, TimeoutError where it did not end.
"""

_SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")


def found_tool(name: str) -> str | None:
    """Its path; None: it is not installed. Looked for where a user's PATH does not lead too: pmc lies in /usr/sbin."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", os.defpath), *_SYSTEM_FOLDERS]))


def run_command(command: Sequence[str], timeout_s: float) -> str:
    """Output and errors of a command together: what it cannot do, pmc says in between."""
    program, *arguments = command
    try:
        done = subprocess.run(
            [found_tool(program) or program, *arguments],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout_s,
        )
    except subprocess.TimeoutExpired:
        raise TimeoutError(f"{program} has not ended within {timeout_s:g} s") from None
    return done.stdout.decode("utf-8", "replace")
