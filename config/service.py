"""The tables of a running service: who may steer it, where it is watched, what it says, who is told of events."""

from typing import Annotated, Literal

from nanotape.config.channel import Section
from nanotape.config.network import Address
from nanotape.config.rules import Account, Choice, Command, Whole


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


class LogSettings(Section):
    """What the processes of a running service say on standard error."""

    format: Annotated[Literal["text", "json"], Choice()] = "text"
    """`text`: a line each; under systemd the journal gets them with their process and ring as fields. `json`: an object
    on each line."""
    repeats: Annotated[int, Whole(1, 1_000_000)] = 20
    """How often a minute a line is said that differs in nothing but numbers; what is held back is counted."""


class EventSettings(Section):
    """Who is told of events that need somebody: those of severity `warning` and `error`."""

    on_event: Annotated[tuple[str, ...], Command()] = ()
    """Program and arguments that are run for each such event, with the event as one more: an object of JSON; as the
    recorder's user, one after the other, never waited for."""
    syslog: bool = False
    """Whether each such event is a line of the host's syslog, facility `daemon`."""
