"""Whether what an archive has of each interval is complete, and if not why: deleted, never captured and quiet differ.

The worst that holds for any moment of an interval is its state. Nothing is guessed: where nobody wrote counters nobody
was recording, as far as the archive knows.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from nanotape.storage.coverage_clocks import unlocked_times
from nanotape.storage.errors import QueryError
from nanotape.storage.instants import Instant, instant_ns
from nanotape.storage.schema import TIMESTAMP
from nanotape.storage.selection import Selection

if TYPE_CHECKING:
    from nanotape.storage.reader import ArchiveReader

STATES = ("deleted", "not_captured", "gap_ours", "gap_unknown", "gap_upstream", "clock_degraded", "quiet", "clean")
"""The worst first. deleted: retention deleted packets of then; not_captured: nobody captured, and there is no packet;
gap_ours: we lost some, or did not capture for more than ten seconds of it; gap_unknown: the feed had a gap, and nobody
knows whose fault it is; gap_upstream: it had one before us;
clock_degraded: a clock of the host was not locked; quiet: captured, and no packet came; clean: packets,
and nothing missing."""

_INTERVALS_MAX = 1_000_000
_HOLD_NS = 10 * 10**9
"""Readings are a second apart: after so long without one nobody was there."""

_TEXTS = ("host", "ring", "feed", "channel", "line", "state")
SCHEMA = pa.schema(
    [
        ("ts", TIMESTAMP),
        *((name, pa.string()) for name in _TEXTS),
        ("packets", pa.int64()),
        ("packets_lost", pa.int64()),
        ("messages_missing", pa.int64()),
        ("messages_filled", pa.int64()),
        ("recorded_share", pa.float64()),
    ]
)
"""ts: the beginning of the interval; packets: recorded in it; packets_lost: of all the ring's channels, by us;
messages_missing, messages_filled: of the feed's gaps, which began in it, those that no other line had, and the rest;
null: of some it is not known;
recorded_share: of the interval, in which the ring was captured; 0 for what was imported from files."""


def coverage(
    reader: "ArchiveReader",
    *,
    start: Instant,
    end: Instant,
    interval: int = 60 * 10**9,
    tz: str | None = None,
    channel: str | Sequence[str] | None = None,
) -> pa.Table:
    """A row for each interval, ring, channel and line.

    Channels are those that were configured, or came, in any of the archives at any time.

    Args:
        reader: The archives.
        start: Beginning of the first interval; see `instants.py`.
        end: End of the last, excluded.
        interval: Width in nanoseconds.
        tz: Zone of moments that name none; None: UTC.
        channel: Only these; None: all.

    Raises:
        QueryError: A moment is none, or there would be too many intervals.
    """
    start_ns, end_ns = instant_ns(start, tz), instant_ns(end, tz)
    if interval <= 0 or end_ns <= start_ns:
        raise QueryError(f"coverage: an end after the start and a positive interval expected, found {start} to {end}")
    count = -(-(end_ns - start_ns) // interval)
    if count > _INTERVALS_MAX:
        raise QueryError(
            f"coverage: at most {_INTERVALS_MAX:,} intervals expected, found {count:,}; widen the interval"
        )
    connection = reader.connect(("packets", "events", "stats", "counters", "channels", "clock"))
    connection.register("gone", _gone(reader))
    connection.register("unlocked", unlocked_times(connection, end_ns))
    selection = Selection.of(channel=channel)
    chosen = " OR ".join(
        f"channel = '{name.replace(chr(39), chr(39) * 2)}'" for _, names in selection.names for name in names
    )
    sql = _COVERAGE.format(
        start=start_ns, end=end_ns, interval=interval, count=count, hold=_HOLD_NS, chosen=chosen or "true"
    )
    rows = connection.sql(sql).to_arrow_table()
    return rows.select(SCHEMA.names).cast(SCHEMA)


def _gone(reader: "ArchiveReader") -> pa.Table:
    """Stretches of packets that retention deleted, by ring."""
    from nanotape.storage.manifest import read_manifests

    rows = [
        {"ring_id": ring_id, "first_ns": gone.ts_min_ns, "last_ns": gone.ts_max_ns}
        for archive in reader.archives
        for manifest in read_manifests(archive.path, "packets")
        for gone in manifest.gone
        for ring_id in gone.rings
        if gone.ts_min_ns is not None
    ]
    schema = pa.schema([("ring_id", pa.string()), ("first_ns", pa.int64()), ("last_ns", pa.int64())])
    return pa.Table.from_pylist(rows, schema)


# Between two readings a ring was captured if its writer was the same, or if they are close enough: what a recorder that
# was away missed of a ring it tells itself, as a loss.
_COVERAGE = """
WITH steps AS (SELECT {start} + i * {interval} AS begin_ns, least({start} + (i + 1) * {interval}, {end}) AS end_ns
    FROM range({count}) AS r(i)),
read AS (SELECT DISTINCT host, ring, ring_id, epoch, ns(ts) AS at_ns, occasion = 'start' AS begins FROM counters),
ordered AS (SELECT *, lag(at_ns) OVER w AS before_ns, lag(epoch) OVER w AS before_epoch FROM read
    WINDOW w AS (PARTITION BY ring_id ORDER BY at_ns, begins DESC)),
runs AS (SELECT host, ring, ring_id, before_ns AS from_ns, at_ns AS to_ns FROM ordered
    WHERE before_ns IS NOT NULL AND (epoch = before_epoch OR (NOT begins AND at_ns - before_ns <= {hold}))),
rings AS (SELECT DISTINCT host, ring, ring_id FROM read
    UNION SELECT DISTINCT host, ring, ring_id FROM stats UNION SELECT DISTINCT host, ring, ring_id FROM channels),
recorded AS (SELECT host, ring, begin_ns, sum(least(to_ns, end_ns) - greatest(from_ns, begin_ns)) AS covered_ns
    FROM steps JOIN runs ON to_ns > begin_ns AND from_ns < end_ns GROUP BY ALL),
lines AS (SELECT DISTINCT host, ring, feed, channel, line FROM channels WHERE {chosen}
    UNION SELECT DISTINCT host, ring, feed, channel, line FROM stats WHERE {chosen}),
came AS (SELECT host, ring, channel, line, {start} + (ns(ts) - {start}) // {interval} * {interval} AS begin_ns,
    count(*) AS packets FROM packets WHERE ts >= instant({start}) AND ts < instant({end}) AND ({chosen}) GROUP BY ALL),
told AS (SELECT host, ring, kind, cause, channel, line, ns(ts_start) AS from_ns,
    ns(coalesce(ts_end, ts_start)) AS to_ns, coalesce(packets_lost, 0) AS packets_lost, messages_lost, filled_by
    FROM events WHERE kind IN ('capture_loss', 'feed_gap')),
lost AS (SELECT host, ring, begin_ns, sum(packets_lost)::BIGINT AS packets_lost
    FROM steps JOIN told ON to_ns >= begin_ns AND from_ns < end_ns WHERE kind = 'capture_loss' GROUP BY ALL),
lacking AS (SELECT host, ring, channel, line, {start} + (from_ns - {start}) // {interval} * {interval} AS begin_ns,
    CASE WHEN count(messages_lost) = count(*) THEN coalesce(sum(messages_lost) FILTER (filled_by IS NULL), 0)::BIGINT
        END AS missing,
    CASE WHEN count(messages_lost) = count(*)
        THEN coalesce(sum(messages_lost) FILTER (filled_by IS NOT NULL), 0)::BIGINT END AS filled, true AS is_told
    FROM told WHERE kind = 'feed_gap' AND from_ns >= {start} AND from_ns < {end} GROUP BY ALL),
deleted AS (SELECT DISTINCT host, ring, begin_ns
    FROM steps JOIN gone ON last_ns >= begin_ns AND first_ns < end_ns JOIN rings USING (ring_id)),
degraded AS (SELECT DISTINCT host, begin_ns FROM steps JOIN unlocked ON to_ns > begin_ns AND from_ns < end_ns)
SELECT instant(steps.begin_ns) AS ts, lines.host, lines.ring, feed, lines.channel, lines.line,
    CASE WHEN deleted.host IS NOT NULL THEN 'deleted'
        WHEN coalesce(covered_ns, 0) = 0 AND coalesce(packets, 0) = 0 THEN 'not_captured'
        WHEN packets_lost IS NOT NULL OR (covered_ns > 0 AND covered_ns < (end_ns - steps.begin_ns) - {hold})
            OR EXISTS (FROM told WHERE kind = 'feed_gap' AND cause = 'ours' AND told.channel = lines.channel
                AND told.line IS NOT DISTINCT FROM lines.line AND to_ns >= steps.begin_ns AND from_ns < end_ns)
            THEN 'gap_ours'
        WHEN EXISTS (FROM told WHERE kind = 'feed_gap' AND cause = 'unknown' AND told.channel = lines.channel
            AND told.line IS NOT DISTINCT FROM lines.line AND to_ns >= steps.begin_ns AND from_ns < end_ns)
            THEN 'gap_unknown'
        WHEN EXISTS (FROM told WHERE kind = 'feed_gap' AND told.channel = lines.channel
            AND told.line IS NOT DISTINCT FROM lines.line AND to_ns >= steps.begin_ns AND from_ns < end_ns)
            THEN 'gap_upstream'
        WHEN degraded.host IS NOT NULL THEN 'clock_degraded'
        WHEN coalesce(packets, 0) = 0 THEN 'quiet' ELSE 'clean' END AS state,
    coalesce(packets, 0) AS packets, coalesce(packets_lost, 0) AS packets_lost,
    CASE WHEN is_told THEN missing ELSE 0 END AS messages_missing,
    CASE WHEN is_told THEN filled ELSE 0 END AS messages_filled,
    least(1.0, coalesce(covered_ns, 0) / (end_ns - steps.begin_ns)) AS recorded_share
FROM steps CROSS JOIN lines
LEFT JOIN came ON came.host = lines.host AND came.ring = lines.ring AND came.channel = lines.channel
    AND came.line IS NOT DISTINCT FROM lines.line AND came.begin_ns = steps.begin_ns
LEFT JOIN recorded ON recorded.host = lines.host AND recorded.ring = lines.ring AND recorded.begin_ns = steps.begin_ns
LEFT JOIN lost ON lost.host = lines.host AND lost.ring = lines.ring AND lost.begin_ns = steps.begin_ns
LEFT JOIN lacking ON lacking.host = lines.host AND lacking.ring = lines.ring AND lacking.channel = lines.channel
    AND lacking.line IS NOT DISTINCT FROM lines.line AND lacking.begin_ns = steps.begin_ns
LEFT JOIN deleted ON deleted.host = lines.host AND deleted.ring = lines.ring AND deleted.begin_ns = steps.begin_ns
LEFT JOIN degraded ON degraded.host = lines.host AND degraded.begin_ns = steps.begin_ns
ORDER BY ts, lines.host, lines.ring, feed, lines.channel, lines.line
"""
