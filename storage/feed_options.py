"""How a recorder looks after feeds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

MILLISECOND_NS = 10**6


class Hours(Protocol):
    """When a channel trades: `nanotape.config.session.Session`."""

    def is_open(self, utc_ns: int) -> bool:
        """Whether packets are to be expected at a moment."""


@dataclass(frozen=True, slots=True)
class Quiet:
    """When a channel's silence is worth an event."""

    after_ns: int | None
    """Without a packet for so long; None: never."""
    hours: Hours | None = None
    """None: always."""


@dataclass(frozen=True, slots=True)
class FeedOptions:
    """Of one recorder."""

    quiet: Mapping[str, Quiet] = field(default_factory=dict)
    """By channel; of one that is not named silence is never told."""
    is_live: bool = True
    """Stamps are of now: else neither silence nor the counters of this host say anything."""
    goes_on: bool = True
    """Another recorder follows, with this ring or the next of its name: what is known is kept. An import ends."""
    facts_path: Path | None = None
    """Where the facts of each line are written every second, for `nanotape channels`; None: nowhere."""
    links: Callable[[], Sequence[Any]] | None = None
    """Looks at the interfaces: `nanotape.capture.link_watch.LinkWatch.look`; None: nobody does."""
