"""The configuration of channels and their lines: what is captured, and what it is called."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from nanotape.config.measures import DURATION, Quantity
from nanotape.config.network import Address, Interface, Vlan
from nanotape.config.rules import Choice, Text, Whole, refused

FRAMING_BYTES = 31
Role = Literal["incremental", "snapshot", "definition", "retransmit"]


class Section(BaseModel):
    """A table of the configuration: nothing unknown in it, nothing changed after it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Line(Section):
    """One flow of a channel: the same packets usually come on two lines, A and B."""

    name: Annotated[str, Text(15)] = "A"
    """Name of the line, unique in its channel; 15 bytes at most."""
    group: Annotated[str, Address(multicast=True)] = Field(examples=["233.252.0.1"])
    """Multicast address that the packets are sent to, IPv4 or IPv6."""
    port: Annotated[int, Whole(1, 65535)] = Field(examples=[30001])
    """UDP destination port."""
    source: Annotated[str | None, Address(multicast=False)] = None
    """Address of the one sender to take, which makes the join source-specific; not set: any sender."""
    interface: Annotated[str | None, Interface()] = None
    """Interface on which the line arrives; not set: `source.interface`."""
    vlan: Annotated[int | Literal["any"] | None, Vlan()] = None
    """Outermost 802.1Q id of the frames; `any`: whatever tags they have, or none; not set: untagged."""
    ring: Annotated[str | None, Text(63, safe=True)] = None
    """Name of the ring that takes the line; not set: the channel's, else the ring whose source has the line's
    interface."""


def _at_least_one(lines: tuple[Line, ...]) -> tuple[Line, ...]:
    if not lines:  # pydantic's own min_length also complains where a line was there but wrong
        raise refused("at least one line", "add a [[channel.line]]")
    return lines


class Channel(Section):
    """One stream of a feed, on one line or more."""

    name: Annotated[str, Text(63)] = Field(examples=["itch-1"])
    """Name of the channel, unique in the configuration; 63 bytes at most; `other` is taken."""
    feed: Annotated[str, Text(47, safe=True)] = Field(examples=["nasdaq-itch"])
    """Feed that the channel belongs to; a folder of the archive bears this name; 47 bytes at most."""
    framing: Annotated[str, Text(FRAMING_BYTES, safe=True)] = "none"
    """Packet header that carries the sequence numbers: one of those that are built in (docs/framings.md), or a
    `[framing.NAME]`; `none`: the payload is not looked into."""
    role: Annotated[Role, Choice()] = "incremental"
    """What the channel carries."""
    session: Annotated[str | None, Text(63)] = None
    """Name of the `[session.NAME]` that the channel keeps to; not set: always on."""
    stale_after: Annotated[int | None, Quantity(DURATION, 0, 7 * 86400 * 10**9)] = None
    """Time without a packet after which a line is told to be stale; `0s`: never; not set: `feeds.stale_after`."""
    ring: Annotated[str | None, Text(63, safe=True)] = None
    """Name of the ring that takes those lines which name none; not set: as their interfaces say."""
    line: Annotated[tuple[Line, ...], Field(strict=False), AfterValidator(_at_least_one)] = Field(
        examples=[[{"group": "233.252.0.1", "port": 30001}]], json_schema_extra={"minItems": 1}
    )
    """The lines, each a `[[channel.line]]` of its own; at least one."""


class ChannelDefaults(Section):
    """What the channels of a CSV file have where the file does not say."""

    feed: Annotated[str | None, Text(47, safe=True)] = None
    """See `channel.feed`; not set: the file has to say."""
    framing: Annotated[str | None, Text(FRAMING_BYTES, safe=True)] = None
    """See `channel.framing`."""
    role: Annotated[Role | None, Choice()] = None
    """See `channel.role`."""
    session: Annotated[str | None, Text(63)] = None
    """See `channel.session`."""
    ring: Annotated[str | None, Text(63, safe=True)] = None
    """See `channel.ring`."""
    stale_after: Annotated[int | None, Quantity(DURATION, 0, 7 * 86400 * 10**9)] = None
    """See `channel.stale_after`."""
    interface: Annotated[str | None, Interface()] = None
    """See `channel.line.interface`."""
    source: Annotated[str | None, Address(multicast=False)] = None
    """See `channel.line.source`."""
    vlan: Annotated[int | Literal["any"] | None, Vlan()] = None
    """See `channel.line.vlan`."""
