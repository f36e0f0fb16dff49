"""What a line is: arriving, stale, silent since the start, or not to be expected now. Judged from a few facts alone."""

from __future__ import annotations

from typing import Literal, Protocol

from nanotape.config import Settings
from nanotape.config.channel import Channel

State = Literal["arriving", "stale", "silent", "quiet", "closed", "not captured"]

ALARMS: tuple[State, ...] = ("stale", "silent", "not captured")
"""States of a line that should arrive and does not."""


class Hours(Protocol):
    """When a channel trades."""

    def is_open(self, utc_ns: int) -> bool:
        """Whether packets are to be expected at a moment."""


def judge(
    packets: int | None, last_ns: int | None, now_ns: int, stale_after_ns: int | None, hours: Hours | None
) -> State:
    """What a line is.

    Args:
        packets: That came meanwhile; None: the ring knows no such line.
        last_ns: Of its newest packet, UTC; None: none is known of.
        now_ns: UTC.
        stale_after_ns: Silence that is worth an alarm; None: none is.
        hours: When it trades; None: always.
    """
    if packets is None:
        return "not captured"
    if packets:
        return "arriving"
    if hours is not None and not (hours.is_open(now_ns) and hours.is_open(now_ns - (stale_after_ns or 0))):
        return "closed"
    if stale_after_ns is None:
        return "quiet"
    if last_ns is None:
        return "silent"
    return "stale" if now_ns - last_ns > stale_after_ns else "arriving"


def quiet(settings: Settings, channel: Channel) -> tuple[int | None, Hours | None]:
    """The channel's `stale_after`, None: never; and when it trades, None: always."""
    stale_after_ns = settings.feeds.stale_after if channel.stale_after is None else channel.stale_after
    return stale_after_ns or None, settings.session.get(channel.session) if channel.session else None
