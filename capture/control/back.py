"""Waits until a service that executes itself anew is back: its control socket answers, and another capture runs."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nanotape.capture.commands import CAPTURE
from nanotape.capture.control.client import ask
from nanotape.capture.errors import ControlError

_PATIENCE_S, _PAUSE_S = 90.0, 0.1


def wait_back(
    socket: Path,
    before: Mapping[str, int | None],
    ask: Callable[[Path, Mapping[str, Any]], Mapping[str, Any]] = ask,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Returns as soon as it is.

    Args:
        socket: Of a ring of the service.
        before: Its processes, as they were.
        ask: Asks a service.
        clock: Seconds.
        pause: Waits so many.

    Raises:
        ControlError: It is not within a minute and a half.
    """
    deadline = clock() + _PATIENCE_S
    while clock() < deadline:
        try:
            capture = ask(socket, {"do": "status"})["processes"][CAPTURE]
        except ControlError:  # it is between two lives
            capture = None
        if capture not in (None, before[CAPTURE]):
            return
        pause(_PAUSE_S)
    raise ControlError(f"restart: expected the service back within {_PATIENCE_S:.0f} s, it is not; see its messages")
