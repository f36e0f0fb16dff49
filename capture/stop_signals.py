"""SIGINT, SIGTERM and SIGHUP as a readable descriptor: whoever waits in `select` sees them at once.

Ends nothing itself, and leaves a hangup ignored where `nohup` has it so.
"""

import contextlib
import os
import signal

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopSignals:
    """SIGINT, SIGTERM and SIGHUP as a readable descriptor, for as long as the `with` lasts."""

    def __init__(self, *, hangup_reloads: bool = False) -> None:
        """Takes nothing over yet.

        Args:
            hangup_reloads: Whether SIGHUP asks for the configuration to be read anew, and not for the end.
        """
        self._hangup_reloads = hangup_reloads

    def __enter__(self) -> "StopSignals":
        """Takes the signals over; in the main thread only."""
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.caught = False
        """One to end by has come."""
        self._must_reload = False
        self._before = {
            number: signal.signal(number, self._on_signal)
            for number in _STOP_SIGNALS
            if not (number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN)  # nohup
        }
        return self

    def __exit__(self, *_: object) -> None:
        """Gives them back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._read)
        os.close(self._write)

    def fileno(self) -> int:
        """Readable once a signal to end by has come; a hangup that asks for a reload leaves it alone."""
        return self._read

    def stop(self) -> None:
        """As if one to end by had come; from any thread."""
        self.caught = True
        self._wake()

    def wake(self) -> None:
        """Has whoever waits look around, and go on; from any thread."""
        self._wake()

    def take_reload(self) -> bool:
        """Whether a hangup has come since it was asked last; it is forgotten then."""
        was_asked, self._must_reload = self._must_reload, False
        return was_asked and not self.caught

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError, OSError):
            os.write(self._write, b"!")

    def _on_signal(self, number: int, *_: object) -> None:
        if number == signal.SIGHUP and self._hangup_reloads:
            self._must_reload = True
        elif not self.caught:
            self.caught = True
            self._wake()
