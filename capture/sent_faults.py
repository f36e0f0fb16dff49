"""What a simulated exchange did wrong on purpose, in feed sequences: what a receiver finds can be compared with it.

Counts are of what came to pass: less than was asked for when the stream ended before or within it.
"""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class SentGap:
    """Datagrams of one line that were made but not sent, on purpose."""

    first_packet: int
    packets: int
    withheld: int
    """Datagrams; fewer than `packets` when the stream ended within the gap or before it."""
    first_sequence: int | None
    """Of the first message withheld (the next one expected, if only heartbeats were); None: the gap was not reached."""
    messages: int
    session: str | None = None
    """Of the first sequence; None: not reached."""


@dataclasses.dataclass(frozen=True, slots=True)
class SentDuplicate:
    """Datagrams of one line that were sent twice, each right after itself."""

    first_packet: int
    packets: int
    repeated: int
    """Datagrams sent a second time."""
    first_sequence: int | None
    """Of the first message sent twice; None: not reached."""
    messages: int
    """Sent a second time; none of a heartbeat."""
    session: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class SentReorder:
    """A datagram of one line that was sent after some that follow it."""

    first_packet: int
    packets: int
    passed: int
    """Datagrams that went before it, withheld ones counted too."""
    first_sequence: int | None
    """Of its first message; None: not reached."""
    messages: int
    session: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class SentRestart:
    """The sequence began at 1 again, in the stream and so on every line."""

    packet: int
    new_session: bool
    session: str
    """In which it began."""
    expected_sequence: int | None
    """What would have come next on this line; None: not reached."""
