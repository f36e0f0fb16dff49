"""The command lines of a service's processes: which program, as whom, in which network namespace."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from nanotape.capture.accounts import Accounts
from nanotape.capture.places import Places
from nanotape.config import Settings
from nanotape.native import executable

HOLDER, CAPTURE, RECORDER = "holder", "capture", "recorder"

RECORDER_NICE = 5
"""How much the recorder gives way: where the two share a core the capture goes first, for a ring holds out for longer
than an RX ring."""


@dataclass(frozen=True, slots=True)
class ServiceOptions:
    """What to start, and around it."""

    record: bool = False
    """Whether to record too."""
    record_options: Sequence[str] = ()
    """Further options of the recorder's command."""
    wrap: Sequence[str] = ()
    """Put before the command of what opens sockets and interfaces: `ip netns exec NAME`."""
    talk: IO[Any] | None = None
    """Where the processes' standard error goes; None: to ours."""
    borrow_from: Path | None = None
    """Socket of a holder that runs already; None: the service starts its own where one is needed."""


@dataclass(frozen=True, slots=True)
class Commands:
    """What to run for each part of one service."""

    settings: Settings
    options: ServiceOptions
    owners: Accounts
    places: Places

    def of(self, name: str, *, resume: bool = False) -> list[str]:
        """The command of a part.

        Args:
            name: `holder`, `capture` or `recorder`.
            resume: For a capture: its predecessor had begun the same file.
        """
        return {HOLDER: self._holder, CAPTURE: self._capture, RECORDER: self._recorder}[name](resume)

    def listeners(self) -> list[str]:
        """Prints once who else on this host listens to what is captured."""
        return [*self.options.wrap, *self._native(HOLDER), "--listeners", "--die-with-parent"]

    def unpack(self, file: str) -> list[str]:
        """Decompresses standard input."""
        command = ["-m", "nanotape.capture.unpack", "--name", file, "--parent", str(os.getpid())]
        return self._python(command, self.owners.capture_uid)

    def _native(self, name: str) -> list[str]:
        return [str(executable(f"nanotape-{name}")), "--plan", str(self.places.plan)]

    def _holder(self, _resume: bool) -> list[str]:
        return [*self.options.wrap, *self._native(HOLDER), "--die-with-parent"]

    def _capture(self, resume: bool) -> list[str]:
        command = [*self._native(CAPTURE), "--die-with-parent", *self._switch(self.owners.capture_uid)]
        # Adopted sockets keep their namespace; only sockets that the capture itself opens need to be in it.
        wrap = self.options.wrap if self.settings.source.effective_kind == "socket" else ()
        return [*wrap, *command, *(["--resume"] if resume else [])]

    def _recorder(self, _resume: bool) -> list[str]:
        verb = ["-m", "nanotape.cli.main", "record", "--config", str(self.places.config), *self.options.record_options]
        command = self._python([*verb, "--supervised", str(os.getpid())], self.owners.record_uid)
        return ["nice", "-n", str(RECORDER_NICE), *command]  # before its libraries start threads, on import

    def _python(self, command: Sequence[str], uid: int) -> list[str]:
        """A part in Python: it starts as root, since its code may lie where its user cannot read."""
        # Before its libraries start threads, on import: what it renounces later, it renounces for one thread alone.
        renounce = ["setpriv", "--no-new-privs"] if self.owners.switches else []
        # -P: a module of the folder that we happen to be in is not ours.
        return [*renounce, sys.executable, "-P", *command, *self._switch(uid)]

    def _switch(self, uid: int) -> list[str]:
        return ["--user", str(uid), "--group", str(self.owners.ring_gid)] if self.owners.switches else []
