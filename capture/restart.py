"""Has a supervisor execute itself anew, as it is installed now, while its holders and captures go on.

Whatever speaks against it is looked for before anything is ended: a configuration that is another by now (that is for
a reload), a source that is read once, a program that does not even tell its version.
"""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from nanotape.capture.errors import ReloadRefused, ServiceError
from nanotape.capture.inheritance import InheritedRing, leave
from nanotape.capture.privilege import lent_to_holder
from nanotape.capture.services import Services
from nanotape.config import Settings
from nanotape.config.reload_diff import reload_diff

_REHEARSAL_S = 60.0
_NOT_READ_TWICE = ("pcap", "synthetic")


class Restart:
    """Of one supervisor."""

    def __init__(
        self,
        services: Services,
        reread: Callable[[], Sequence[Settings]],
        wake: Callable[[], None],
        command: Sequence[str] | None = None,
    ) -> None:
        """Changes nothing yet.

        Args:
            services: What runs.
            reread: Reads the configuration of all its rings as it is now.
            wake: Has the supervisor look at `is_asked`.
            command: What to execute; None: what this process was started with.
        """
        self._services, self._reread, self._wake = services, reread, wake
        self._command = [sys.executable, *sys.orig_argv[1:]] if command is None else list(command)
        self._lock = threading.Lock()
        self.is_asked = False
        """It is to be done, soon."""

    def __call__(self) -> Mapping[str, Any]:
        """Has it done soon, if nothing speaks against it.

        Returns:
            The rings.

        Raises:
            ConfigError: The configuration is wrong; nothing is changed.
            ReloadRefused: It is another one, or cannot go on; nothing is changed.
            ServiceError: What is installed now does not run; nothing is changed.
        """
        with self._lock:
            self._check()
            self._rehearse()
            self.is_asked = True
        self._wake()
        return {"rings": [run.name for run in self._services.runs]}

    def _check(self) -> None:
        wanted = {each.ring.name: each for each in self._reread()}
        runs = [run for run in self._services.runs if not run.has_ended]
        if set(wanted) != {run.name for run in self._services.runs}:
            raise ReloadRefused("rings: are others by now: stop and start the service; nothing is changed")
        changed = sorted({key for run in runs for key in reload_diff(run.settings, wanted[run.name]).changed})
        if changed:
            raise ReloadRefused(f"{', '.join(changed)}: changed meanwhile: reload first (nanotape ctl reload)")
        for run in runs:
            if run.settings.source.effective_kind in _NOT_READ_TWICE:
                raise ReloadRefused(
                    f"source.kind: {run.settings.source.kind} cannot be gone on with by another process: "
                    "stop and start the service; nothing is changed"
                )

    def _rehearse(self) -> None:
        """What does not even say what it is would leave nobody to watch over what goes on."""
        words = len(self._command) - len(sys.argv) + 1
        try:
            done = subprocess.run(
                [*self._command[:words], "--version"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_REHEARSAL_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ServiceError(f"{self._command[0]}: does not run as it is installed now: {error}") from None
        if done.returncode != 0:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            raise ServiceError(
                f"{' '.join(self._command[:words])}: does not run as it is installed now (exit status "
                f"{done.returncode}{': ' + said[-1] if said else ''}); nothing is changed"
            )

    def execute(self, rings: Mapping[str, InheritedRing], environment: Mapping[str, str]) -> NoReturn:
        """In the main thread, once all is let go of: this process is another program from then on.

        Args:
            rings: What goes on.
            environment: To be added to ours.

        Raises:
            ServiceError: It cannot be executed; what goes on ends with this process.
        """
        added = dict(environment)
        leave(rings, added)
        try:
            with lent_to_holder():  # or its next holder would have no capability
                os.execve(self._command[0], self._command, {**os.environ, **added})  # noqa: S606 - our own command
        except OSError as error:
            raise ServiceError(f"{self._command[0]}: cannot be executed: {error.strerror}; start it again") from None
