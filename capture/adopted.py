"""A child process that an earlier program of this very process started (`inheritance`): waited for by its id alone."""

import contextlib
import os
import select
import subprocess
from typing import IO

_UNKNOWN = 255


class AdoptedProcess:
    """As much of `subprocess.Popen` as `Child` needs."""

    def __init__(self, pid: int, stdout: int) -> None:
        """Takes both over.

        Args:
            pid: A child of this process.
            stdout: The pipe that its standard output goes to.
        """
        self.pid = pid
        self.stdout: IO[bytes] = os.fdopen(stdout, "rb")
        self._status: int | None = None

    def poll(self) -> int | None:
        """Exit status, negative the signal that killed it; None while it runs."""
        if self._status is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:
                self._status = _UNKNOWN
            else:
                self._status = os.waitstatus_to_exitcode(status) if pid else None
        return self._status

    def wait(self, timeout: float | None = None) -> int:
        """Waits for its end.

        Raises:
            subprocess.TimeoutExpired: It has not come.
        """
        with contextlib.suppress(ProcessLookupError):
            pidfd = os.pidfd_open(self.pid) if self.poll() is None else -1
            if pidfd >= 0:
                try:
                    select.select([pidfd], [], [], timeout)
                finally:
                    os.close(pidfd)
        status = self.poll()
        if status is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
        return status
