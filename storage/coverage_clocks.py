"""When a host's clocks were not locked, as the archive's events tell: what coverage calls `clock_degraded`."""

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    import duckdb

SCHEMA = pa.schema([("host", pa.string()), ("from_ns", pa.int64()), ("to_ns", pa.int64())])

# An episode is told when it begins and, as the same event with an end, when it is over. A mere transition has no
# duration.
_EPISODES = """
SELECT host, split_part(detail, ': ', 1) AS clock, ns(ts_start) AS from_ns, max(ns(ts_end)) AS to_ns
FROM events WHERE kind = 'clock' AND stage = 'state' AND severity <> 'info' AND ts_start < instant({end})
GROUP BY host, detail, ts_start HAVING to_ns IS NULL OR to_ns > from_ns
"""
_LOCKED_AGAIN = """
SELECT e.host, e.clock, e.from_ns, min(ns(c.ts)) AS to_ns
FROM endless e JOIN clock c ON c.host = e.host AND c.clock = e.clock AND ns(c.ts) > e.from_ns
WHERE c.state = 'locked' AND c.ts >= instant({since}) AND c.ts < instant({end}) GROUP BY ALL
"""


def unlocked_times(connection: "duckdb.DuckDBPyConnection", end_ns: int) -> pa.Table:
    """Times in which some clock of a host was not locked, with SCHEMA.

    Of one that nobody told the end of, as when whoever watches the clock was killed, the end is the first sample that
    is locked again; without one it goes on.

    Args:
        connection: With the views `events` and `clock`.
        end_ns: UTC; what goes on goes on up to then.
    """
    episodes = connection.sql(_EPISODES.format(end=end_ns)).to_arrow_table()
    endless = episodes.filter(pc.is_null(episodes.column("to_ns")))
    over = episodes.filter(pc.is_valid(episodes.column("to_ns"))).to_pylist()
    if endless.num_rows:  # a look at the samples of all that time
        connection.register("endless", endless)
        since = min(endless.column("from_ns").to_pylist())
        again = connection.sql(_LOCKED_AGAIN.format(since=since, end=end_ns)).to_arrow_table().to_pylist()
        ends = {(row["host"], row["clock"], row["from_ns"]): row["to_ns"] for row in again}
        over += [
            {**row, "to_ns": ends.get((row["host"], row["clock"], row["from_ns"]), end_ns)}
            for row in endless.to_pylist()
        ]
    return pa.Table.from_pylist([{name: row[name] for name in SCHEMA.names} for row in over], SCHEMA)
