"""How a holder hands over to its heir (native/holder/succession.h): a socket pair, one end of it the service's alone.

So nobody else can ask for what the holder holds; and its end is how the holder learns that the service is gone.
"""

import contextlib
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass

from nanotape.capture.child import PREPARED, Child
from nanotape.capture.errors import ServiceError


class Succession:
    """Of one holder."""

    def __init__(self, ours: socket.socket, theirs: socket.socket | None = None) -> None:
        """Takes the two ends; that of the holder only as long as it is started."""
        self._ours, self._theirs = ours, theirs

    @classmethod
    @contextlib.contextmanager
    def made(cls) -> Iterator["Succession"]:
        """One for a holder that is started meanwhile; closed where that fails."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        made = cls(ours, theirs)
        try:
            yield made
        except BaseException:
            made.close()
            raise
        finally:
            theirs.close()

    @classmethod
    def inherited(cls, ours: int) -> "Succession":
        """That of a holder which an earlier program of this process started."""
        return cls(socket.socket(fileno=ours))

    @property
    def ours(self) -> int:
        """The service's end, by which an heir asks."""
        return self._ours.fileno()

    @property
    def passed(self) -> tuple[int, ...]:
        """What the holder is to have."""
        assert self._theirs is not None  # noqa: S101 - the holder is being started
        return (self._theirs.fileno(),)

    @property
    def options(self) -> list[str]:
        """Of the holder's command."""
        return ["--succession", str(*self.passed)]

    @property
    def inherit_options(self) -> list[str]:
        """Of the heir's command, which has `ours` too."""
        return ["--succeed", str(self.ours)]

    def close(self) -> None:
        """A holder that still runs ends. May be called twice."""
        self._ours.close()


class Cue:
    """What an heir that is prepared waits for."""

    def __init__(self) -> None:
        """Makes the pipe."""
        self.given, self._ours = os.pipe()

    @classmethod
    @contextlib.contextmanager
    def made(cls) -> Iterator["Cue"]:
        """One for an heir that is started meanwhile; closed where that fails."""
        made = cls()
        try:
            yield made
        except BaseException:
            made.close()
            raise
        finally:
            os.close(made.given)

    def give(self) -> None:
        """Lets the heir take over."""
        with contextlib.suppress(BrokenPipeError):  # whoever waits for it sees that it died
            os.write(self._ours, b"\n")

    def close(self) -> None:
        """An heir that waits ends. May be called twice."""
        if self._ours >= 0:
            os.close(self._ours)
            self._ours = -1


@dataclass(frozen=True, slots=True)
class Heir:
    """A holder that is started, and not in charge yet."""

    child: Child
    succession: Succession
    cue: Cue

    def wait_prepared(self, timeout_s: float) -> None:
        """Waits until it has all that it needs; until then, and after, the holder that runs is in charge.

        Raises:
            ServiceError: It cannot; nothing of it is left.
        """
        self._wait(PREPARED, timeout_s)

    def take_over(self, timeout_s: float) -> None:
        """Has it take over, and waits until it is in charge.

        Raises:
            ServiceError: It did not; nothing of it is left, and the holder that runs goes on unless it has died too.
        """
        self.cue.give()
        self._wait(b"\nready\n", timeout_s)
        self.cue.close()

    def dismiss(self) -> None:
        """Ends it; the holder that runs goes on. May be called twice."""
        self.cue.close()
        self.child.stop()
        self.succession.close()

    def _wait(self, word: bytes, timeout_s: float) -> None:
        try:
            self.child.wait_ready(timeout_s, word=word)
        except ServiceError:
            self.dismiss()
            raise
