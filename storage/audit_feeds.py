"""What an audit finds in the sequences of feeds: what is missing on each line, whose fault it is, and who had it.

All of it stands in the archive's events and in `feed_status`; nothing is followed anew. A gap counts by the messages
that its event tells; None is unknown.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

_CAUSES = ("ours", "upstream", "unknown")


@dataclass(frozen=True, slots=True)
class GapSheet:
    """The gaps of a line that have one cause."""

    host: str
    channel: str
    line: str | None
    cause: str
    """ours, upstream or unknown."""
    stage: str | None
    """Where we lost it; None: not by us, or nobody knows."""
    filled_by: str | None
    """Line that had it; None: none."""
    gaps: int
    messages: int | None
    packets: int | None
    """That we lost; None: of some it is not known."""

    @property
    def is_wrong(self) -> bool:
        """Missing on all lines, and not for certain lost before us."""
        return self.filled_by is None and self.cause != "upstream"


@dataclass(frozen=True, slots=True)
class FeedSheet:
    """What the sequences of a channel's line say."""

    host: str
    feed: str | None
    channel: str
    line: str | None
    messages: int | None
    """Of the packets that came, retransmitted and doubled ones too; None: no framing was decoded."""
    heartbeats: int | None
    bad: int | None
    """Packets that do not fit their framing."""
    gaps: int
    missing_ours: int | None
    """Messages of gaps that we caused."""
    missing_upstream: int | None
    missing_unknown: int | None
    filled: int | None
    """Messages of gaps that another line had."""
    unfilled: int | None
    """Messages of gaps that no other line had."""
    duplicates: int
    """Events; so the rest."""
    reorders: int
    late: int
    """What came after all, when its gap was told already."""
    resets: int


PACKETS = """
SELECT host, feed, channel, line, sum(feed_count)::BIGINT AS messages,
    CASE WHEN count(feed_status) > 0 THEN count(*) FILTER (feed_status = 'heartbeat') END AS heartbeats,
    CASE WHEN count(feed_status) > 0 THEN count(*) FILTER (feed_status = 'bad') END AS bad
FROM packets WHERE {where} GROUP BY ALL
HAVING count(feed_status) > 0
"""
EVENTS = """
SELECT host, feed, channel, line, count(*) FILTER (kind = 'duplicate') AS duplicates,
    count(*) FILTER (kind = 'reorder' AND severity = 'info') AS reorders,
    count(*) FILTER (kind = 'reorder' AND severity <> 'info') AS late, count(*) FILTER (kind = 'feed_reset') AS resets
FROM events
WHERE channel IS NOT NULL AND kind IN ('duplicate', 'reorder', 'feed_reset', 'feed_gap') AND {of_events}
GROUP BY ALL
"""
GAPS = """
SELECT host, channel, line, coalesce(cause, 'unknown') AS cause, stage, filled_by, count(*) AS gaps,
    CASE WHEN count(messages_lost) = count(*) THEN sum(messages_lost)::BIGINT END AS messages,
    CASE WHEN count(packets_lost) = count(*) THEN sum(packets_lost)::BIGINT END AS packets
FROM events WHERE kind = 'feed_gap' AND channel IS NOT NULL AND {of_events} GROUP BY ALL ORDER BY ALL
"""


def feed_sheets(
    packets: Sequence[dict[str, Any]], events: Sequence[dict[str, Any]], gaps: Sequence[GapSheet]
) -> list[FeedSheet]:
    """A sheet for each line that was decoded or that an event names.

    Args:
        packets: Rows of PACKETS.
        events: Rows of EVENTS.
        gaps: Of the same time.
    """
    came, told = ({_place(row): row for row in rows} for rows in (packets, events))
    return [_sheet(came.get(place), told.get(place), gaps) for place in sorted(came.keys() | told.keys(), key=str)]


def feed_lines(sheets: Sequence[FeedSheet], gaps: Sequence[GapSheet]) -> Iterator[str]:
    """The same for people."""
    names = (
        "channel", "line", "messages", "missing: ours", "upstream", "unknown", "filled", "on no line", "doubled",
        "reordered", "late", "resets", "heartbeats", "bad",
    )  # fmt: skip
    rows = [
        (
            each.channel, each.line or "-", *map(_number, (
                each.messages, each.missing_ours, each.missing_upstream, each.missing_unknown, each.filled,
                each.unfilled, each.duplicates, each.reorders, each.late, each.resets, each.heartbeats, each.bad,
            )),
        )
        for each in sheets
    ]  # fmt: skip
    widths = [max(len(row[at]) for row in (names, *rows)) for at in range(len(names))]
    for row in (names, *rows):
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
    for gap in gaps:
        where = gap.stage or {"upstream": "before us", "ours": "stage unknown"}.get(gap.cause, "nobody knows where")
        had = f"line {gap.filled_by} had them" if gap.filled_by else "no other line had them"
        yield (
            f"{'MISSING' if gap.is_wrong else 'missing'}: {gap.channel} {gap.line or '-'}: {_number(gap.messages)} "
            f"messages in {gap.gaps:,} gaps, {gap.cause}, {where}; {had}"
        )


def _place(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["host"], row["channel"], row["line"]


def _sheet(came: dict[str, Any] | None, told: dict[str, Any] | None, gaps: Sequence[GapSheet]) -> FeedSheet:
    row = {**(told or {}), **(came or {})}
    mine = [each for each in gaps if (each.host, each.channel, each.line) == _place(row)]
    ours, upstream, unknown = (_sum(each for each in mine if each.cause == cause) for cause in _CAUSES)
    return FeedSheet(
        host=row["host"],
        feed=row["feed"],
        channel=row["channel"],
        line=row["line"],
        messages=row.get("messages"),
        heartbeats=row.get("heartbeats"),
        bad=row.get("bad"),
        gaps=sum(each.gaps for each in mine),
        missing_ours=ours,
        missing_upstream=upstream,
        missing_unknown=unknown,
        filled=_sum(each for each in mine if each.filled_by is not None),
        unfilled=_sum(each for each in mine if each.filled_by is None),
        duplicates=row.get("duplicates", 0),
        reorders=row.get("reorders", 0),
        late=row.get("late", 0),
        resets=row.get("resets", 0),
    )


def _sum(gaps: Iterator[GapSheet]) -> int | None:
    messages = [each.messages for each in gaps]
    known = [each for each in messages if each is not None]
    return sum(known) if len(known) == len(messages) else None


def _number(count: int | None) -> str:
    return "unknown" if count is None else f"{count:,}"
