"""SIGINT, SIGTERM and SIGHUP as a readable descriptor: whoever waits in `select` sees them at once.

Ends nothing itself, and leaves a hangup ignored where `nohup` has it so.
"""

import os
import signal

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopSignals:
    """SIGINT, SIGTERM and SIGHUP as a readable descriptor, for as long as the `with` lasts."""

    def __enter__(self) -> "StopSignals":
        """Takes the signals over; in the main thread only."""
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.caught = False
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
        """Readable once a signal has come."""
        return self._read

    def _on_signal(self, *_: object) -> None:
        if not self.caught:
            self.caught = True
            os.write(self._write, b"!")
