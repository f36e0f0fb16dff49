"""The tables of a running service: `[control]`, who may steer it; `[metrics]`, where it is watched."""

from typing import Annotated

from nanotape.config.channel import Section
from nanotape.config.network import Address
from nanotape.config.rules import Account, Whole


class ControlSettings(Section):
    """Who may steer a running service by its control socket."""

    group: Annotated[str | None, Account(root_allowed=True)] = None
    """Group whose members may ask, rotate, mark, reload and stop besides root and the service's own user; a name or a
    number; not set: `user.group`."""


class MetricsSettings(Section):
    """Where Prometheus reads what a running service tells."""

    port: Annotated[int | None, Whole(1, 65535)] = None
    """TCP port of `/metrics`, such as 9464; not set: nothing is served."""
    address: Annotated[str, Address(multicast=False)] = "127.0.0.1"
    """Address of this host to listen on. Nobody is asked who it is: beyond loopback everybody may read."""
