"""Framings: where a feed's packet header has its sequence numbers, as a table that decoders follow.

The built-in ones stand in framings.toml beside this module, in the very form of a `[framing.NAME]` of the
configuration. Offsets count from the start of the UDP payload.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from nanotape.config.channel import Section
from nanotape.config.rules import Choice, Whole, refused

HEADER_MAXIMUM_BYTES = 255
EXPECT_MAXIMUM = 4
NO_FRAMING = "none"

Status = Literal["data", "heartbeat", "retransmit", "snapshot", "reset", "end", "unsequenced", "bad"]

_OFFSET = Whole(0, HEADER_MAXIMUM_BYTES)
_WORD = Whole(0, (1 << 63) - 1)


class Number(Section):
    """A whole number of the header."""

    offset: Annotated[int, _OFFSET]
    """First byte."""
    width: Annotated[int, Whole(1, 8)]
    """Bytes."""
    mask: Annotated[int | None, Whole(1, (1 << 63) - 1)] = None
    """Bits of it that count, moved down to the lowest; not set: all."""

    @property
    def end(self) -> int:
        """Bytes that the header needs for it."""
        return self.offset + self.width


class Label(Section):
    """What a sequence belongs to: a number, or text."""

    offset: Annotated[int, _OFFSET]
    """First byte."""
    width: Annotated[int, Whole(1, 16)]
    """Bytes; 8 at most of a number."""
    mask: Annotated[int | None, Whole(1, (1 << 63) - 1)] = None
    """Bits of a number that count, moved down to the lowest; not set: all."""
    signed: bool = False
    """Whether the highest bit of a number is a sign."""
    text: bool = False
    """ASCII, padded with spaces or NULs; else a number, shown in decimal digits."""

    @property
    def end(self) -> int:
        """Bytes that the header needs for it."""
        return self.offset + self.width

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not self.text and self.width > 8:
            raise refused("a number of at most 8 bytes", "set text = true, or a smaller width")
        if self.signed and (self.text or self.mask is not None):
            raise refused("signed of a whole number only", "set no mask and no text with it")
        return self


class Expect(Section):
    """What has to stand in a header of this framing."""

    offset: Annotated[int, _OFFSET]
    """First byte."""
    width: Annotated[int, Whole(1, 8)]
    """Bytes."""
    values: Annotated[tuple[Annotated[int, _WORD], ...], Field(strict=False)]
    """Accepted numbers, 4 at most."""

    @property
    def end(self) -> int:
        """Bytes that the header needs for it."""
        return self.offset + self.width

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not 1 <= len(self.values) <= EXPECT_MAXIMUM:
            raise refused(f"1 to {EXPECT_MAXIMUM} values")
        return self


class Length(Section):
    """A length that the header states."""

    offset: Annotated[int, _OFFSET]
    """First byte."""
    width: Annotated[int, Whole(1, 8)]
    """Bytes."""
    add: Annotated[int, Whole(-HEADER_MAXIMUM_BYTES, HEADER_MAXIMUM_BYTES)] = 0
    """Bytes that it does not count."""

    @property
    def end(self) -> int:
        """Bytes that the header needs for it."""
        return self.offset + self.width


class Flag(Section):
    """A number of one byte, or of some bits of it, that says what the packet is."""

    offset: Annotated[int, _OFFSET]
    """The byte."""
    mask: Annotated[int | None, Whole(1, 255)] = None
    """Bits of it that count, moved down to the lowest; not set: all."""
    values: dict[str, Annotated[Status, Choice()]]
    """What each value means; the values in decimal digits."""
    other: Annotated[Status, Choice()] = "data"
    """What any other value means."""

    @property
    def end(self) -> int:
        """Bytes that the header needs for it."""
        return self.offset + 1

    @model_validator(mode="after")
    def _bytes(self) -> Self:
        for value in self.values:
            if not (value.isascii() and value.isdigit() and int(value) < 256):
                raise refused(f'values from "0" to "255", not "{value}"')
        return self


class Send(Section):
    """The exchange's send time."""

    form: Annotated[Literal["ns", "us", "ms", "s", "s+ns"], Choice()]
    """Unit since 1970, UTC; `s+ns`: seconds, and nanoseconds apart."""
    offset: Annotated[int, _OFFSET]
    """First byte."""
    width: Annotated[int, Whole(1, 8)]
    """Bytes."""
    ns_offset: Annotated[int | None, _OFFSET] = None
    """First of the four bytes of the nanoseconds; with `s+ns` only."""

    @property
    def end(self) -> int:
        """Bytes that the header needs for it."""
        return max(self.offset + self.width, 0 if self.ns_offset is None else self.ns_offset + 4)

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.form == "s+ns") != (self.ns_offset is not None):
            raise refused('ns_offset with form "s+ns", and only then')
        return self


class Messages(Section):
    """How messages follow the header: each states its own length."""

    at: Annotated[int, _OFFSET]
    """First byte of the first message."""
    length: Number
    """Of the message, counted from its start."""
    add: Annotated[int, Whole(-HEADER_MAXIMUM_BYTES, HEADER_MAXIMUM_BYTES)] = 0
    """Bytes of the message, its length included, that the length does not count."""
    type: Label | None = None
    """Its type, counted from its start; not set: none is shown."""
    skip: Annotated[int, _OFFSET] = 0
    """Bytes at a message's start that are not of its content: the length of MoldUDP64."""


class Framing(Section):
    """The header of a feed's packets."""

    endian: Annotated[Literal["big", "little"], Choice()]
    """Order of the bytes of each number."""
    header: Annotated[int, Whole(1, HEADER_MAXIMUM_BYTES)]
    """Bytes of the header; a shorter payload is `bad`."""
    sequence: Number
    """Sequence of the packet's first message, or of the packet."""
    sequence_high: Number | None = None
    """What stands above its 32 bits."""
    count: Number | None = None
    """Messages in the packet, by which the sequence grows; not set: by 1."""
    session: Label | None = None
    """A change of it is a new sequence."""
    key: Label | None = None
    """Unit, segment, group: each has a sequence of its own."""
    expect: Annotated[tuple[Expect, ...], Field(strict=False)] = ()
    """What has to stand in the header, 4 at most; else the packet is `bad`."""
    length: Length | None = None
    """Has to come to the payload's length; else the packet is `bad`."""
    status: Flag | None = None
    """What the packet is; not set: data."""
    heartbeat_count: Annotated[int | None, _WORD] = None
    """Count of a heartbeat; not set: none is told by it."""
    end_count: Annotated[int | None, _WORD] = None
    """Count of an end of session; not set: none is told by it."""
    heartbeat_next: bool = False
    """Whether heartbeats and ends of session carry the sequence that comes next."""
    heartbeat_idle: Annotated[int | None, _WORD] = None
    """Sequence of heartbeats outside of trading, which say nothing though others carry the next; not set: none."""
    unsequenced: Annotated[int | None, _WORD] = None
    """Sequence of packets that have none; not set: there are no such packets."""
    send: Send | None = None
    """When it was sent; not set: the header does not say."""
    chain: Length | None = None
    """The whole length of a header with its content, where several share a datagram; not set: one a datagram."""
    messages: Messages | None = None
    """How messages follow; not set: the packet is not split."""

    @model_validator(mode="after")
    def _inside(self) -> Self:
        parts = {
            "sequence": self.sequence, "sequence_high": self.sequence_high, "session": self.session, "key": self.key,
            "length": self.length, "status": self.status, "send": self.send, "chain": self.chain,
        }  # fmt: skip
        for name, part in parts.items():
            if part is not None and part.end > self.header:
                raise refused(f"{name} inside the header's {self.header} bytes; it ends at {part.end}")
        if len(self.expect) > EXPECT_MAXIMUM:
            raise refused(f"at most {EXPECT_MAXIMUM} tables of expect")
        if any(each.end > self.header for each in self.expect):
            raise refused(f"expect inside the header's {self.header} bytes")
        if self.count is None and (self.heartbeat_count, self.end_count) != (None, None):
            raise refused("count too, where heartbeat_count or end_count is set")
        if self.chain is not None and (self.count is not None or self.unsequenced is not None):
            raise refused(
                "neither count nor unsequenced with chain: each of its headers counts 1, and status tells which"
            )
        return self


def _built_in() -> Mapping[str, Framing]:
    text = Path(__file__).with_name("framings.toml").read_text(encoding="utf-8")
    return MappingProxyType({name: Framing.model_validate(table) for name, table in tomllib.loads(text).items()})


BUILT_IN = _built_in()
"""Framings that every configuration may name."""
