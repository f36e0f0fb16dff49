"""The end from outside: a signal leaves the terminal as it was found, and a terminal that is gone takes the app along.

Without it SIGTERM would leave an operator's shell without echo, and an app whose SSH session is gone would go on.
"""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

PATIENCE_S = 5.0
"""For an end in order."""
SIGNALS = (signal.SIGTERM, signal.SIGHUP)


def end_with_signals(end: Callable[[], object]) -> None:
    """Has the loop that runs call it at each of them, also where they were ignored, as under nohup."""
    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        with suppress(RuntimeError, ValueError):  # not in the main thread: whose program it is looks after them
            loop.add_signal_handler(number, end)


def end_at_last(status: int = 0, after_s: float = PATIENCE_S) -> None:
    """Ends the process, unless it has ended by then: Textual waits without end for what a terminal that is gone took.

    Nothing is lost by it: top keeps nothing.
    """
    timer = threading.Timer(after_s, os._exit, (status,))
    timer.daemon = True
    timer.start()


def has_terminal() -> bool:
    """Whether somebody could still type and see: a terminal that was hung up is none any more."""
    with suppress(OSError, ValueError):
        return os.isatty(sys.__stdin__.fileno()) if sys.__stdin__ else False
    return False
