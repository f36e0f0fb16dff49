"""What takes long, in a thread of its own that nobody waits for: not who draws, and not who ends the program."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

from textual.message import Message
from textual.message_pump import MessagePump


def run_apart(receiver: MessagePump, name: str, work: Callable[[], Message]) -> bool:
    """Starts it; False: there is no thread to be had just now.

    A worker of Textual's would be waited for when the program ends: one that hangs, in a driver or on a socket, would
    keep an operator from leaving.

    Args:
        receiver: Gets the message, unless it has gone by then.
        name: Of the thread.
        work: Does what takes long; never raises, but says so in its message.
    """

    def run() -> None:
        message = work()
        with suppress(RuntimeError):  # the loop is closed: nobody is there any more to be told
            receiver.post_message(message)

    try:
        threading.Thread(target=run, name=name, daemon=True).start()
    except RuntimeError:
        return False
    return True
