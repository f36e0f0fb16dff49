"""The tables of a running service: `[control]`, who may steer it by its socket."""

from typing import Annotated

from nanotape.config.channel import Section
from nanotape.config.rules import Account


class ControlSettings(Section):
    """Who may steer a running service by its control socket."""

    group: Annotated[str | None, Account(root_allowed=True)] = None
    """Group whose members may ask, rotate, mark, reload and stop besides root and the service's own user; a name or a
    number; not set: `user.group`."""
