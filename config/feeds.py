"""The table `[feeds]`: how sequences are followed, and when silence is worth an event."""

from typing import Annotated

from nanotape.config.channel import Section
from nanotape.config.measures import DURATION, Quantity
from nanotape.config.rules import Whole

SECOND_NS = 10**9
QUIET_MAXIMUM_NS = 7 * 86400 * SECOND_NS


class FeedSettings(Section):
    """How the feeds of all channels are followed."""

    reorder_window: Annotated[int, Quantity(DURATION, 0, 60 * SECOND_NS)] = 10_000_000
    """How late a packet may come that others have overtaken: then it is but reordered, and nothing is missing;
    nanoseconds in the code."""
    stale_after: Annotated[int, Quantity(DURATION, 0, QUIET_MAXIMUM_NS)] = 30 * SECOND_NS
    """Time without a packet, heartbeats included, after which a line is told to be stale, within its session; `0s`:
    never; nanoseconds in the code."""
    reset_distance: Annotated[int, Whole(1000, 1 << 40)] = 100_000
    """Messages that a sequence must fall behind to be one that has begun anew, where the framing does not say so."""
