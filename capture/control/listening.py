"""The control server of a supervisor, as its configuration has it."""

from collections.abc import Callable, Sequence
from pathlib import Path

from nanotape.capture.accounts import accounts, group_number
from nanotape.capture.control.protocol import socket_path
from nanotape.capture.control.server import ControlServer
from nanotape.capture.control.steering import Steering
from nanotape.config import Settings


def control_server(rings: Sequence[Settings], steering: Steering, log: Callable[[str], None]) -> ControlServer:
    """One that listens for each of some rings of one configuration.

    Args:
        rings: Each ring's settings, at least one.
        steering: Does what is asked.
        log: Takes one line at a time.

    Raises:
        AccountUnknown: This host does not know `control.group`.
    """
    settings = rings[0]
    named = settings.control.group
    gid = accounts(settings.user).ring_gid if named is None else group_number(named, "control.group")
    sockets = {each.ring.name: socket_path(Path(each.paths.run_dir), each.ring.name) for each in rings}
    return ControlServer(sockets, gid, steering.act, log)
