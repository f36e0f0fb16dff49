# ruff: noqa: S608 - what comes from outside is checked and quoted
"""What quants and ops ask first, as SQL over the views: each has a name, and can be printed and changed."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from nanotape.storage.errors import QueryError
from nanotape.storage.instants import instant_ns
from nanotape.storage.views import quoted

_DURATION = re.compile(r"(\d+)(ns|us|ms|s|min|h|d)")
_UNITS_NS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "min": 60 * 10**9, "h": 3600 * 10**9, "d": 86_400 * 10**9}


@dataclass(frozen=True, slots=True)
class Options:
    """What may be said of a named query; None: everything."""

    channel: str | None = None
    feed: str | None = None
    start: str | None = None
    """From then on; see `instants.py`."""
    end: str | None = None
    """Up to then, excluded."""
    tz: str | None = None
    """Zone of both where they name none; None: UTC."""
    interval: str = "1s"
    """Width of an interval."""
    top: int = 20
    """Rows of a list of the largest."""

    @property
    def interval_ns(self) -> int:
        """Width of an interval in nanoseconds.

        Raises:
            QueryError: It is no duration.
        """
        match = _DURATION.fullmatch(self.interval)
        if match is None or not int(match[1]):
            raise QueryError(f"interval {self.interval!r}: a duration such as 1ms, 10s or 1h expected")
        return int(match[1]) * _UNITS_NS[match[2]]

    def where(self, stamp: str = "ts", *also: str, unnamed: bool = False) -> str:
        """The conditions of a query, all in one WHERE; nothing without any.

        Args:
            stamp: The column that `start` and `end` are about.
            also: Other conditions.
            unnamed: Rows that are of no one channel or feed may be of the chosen one too.

        Raises:
            QueryError: A moment is none.
        """
        parts = list(also)
        for name, each in (("channel", self.channel), ("feed", self.feed)):
            if each:
                is_it = f"{name} = {quoted(each)}"
                parts.append(f"({is_it} OR {name} IS NULL)" if unnamed else is_it)
        if self.start is not None:
            parts.append(f"{stamp} >= instant({instant_ns(self.start, self.tz)})")
        if self.end is not None:
            parts.append(f"{stamp} < instant({instant_ns(self.end, self.tz)})")
        return f"WHERE {' AND '.join(parts)}" if parts else ""


@dataclass(frozen=True, slots=True)
class NamedQuery:
    """One of them."""

    name: str
    what: str
    """In a sentence."""
    make: Callable[[Options], str]
    looks_back: bool = False
    """Needs rows from before `start` as well."""


def build(name: str, options: Options) -> str:
    """The SQL of a named query.

    Raises:
        QueryError: There is none of this name, or an option is wrong.
    """
    if name not in QUERIES:
        raise QueryError(f"query {name!r}: one of {', '.join(QUERIES)} expected")
    return QUERIES[name].make(options)


def _traffic(options: Options) -> str:
    return f"""WITH counted AS (
    SELECT bucket_ns(ts, {options.interval_ns}) AS begin_ns, host, feed, channel, line,
        count(*) AS packets, sum(wire_len) AS bytes
    FROM packets {options.where()}
    GROUP BY ALL)
SELECT instant(begin_ns) AS "interval", * EXCLUDE begin_ns FROM counted ORDER BY ALL"""


def _bursts(options: Options) -> str:
    return f"""WITH counted AS (
    SELECT bucket_ns(ts, 1000000) AS begin_ns, host, channel, line, count(*) AS packets, sum(wire_len) AS bytes
    FROM packets {options.where()}
    GROUP BY ALL ORDER BY packets DESC, begin_ns, host, channel, line LIMIT {options.top})
SELECT instant(begin_ns) AS millisecond, * EXCLUDE begin_ns FROM counted
ORDER BY packets DESC, millisecond, host, channel, line"""


def _spread(values: str, of: str) -> str:
    """Percentiles of column `of` of the query `values`, exact: by counts, which go to the disk where memory ends."""
    shares = ((0.5, "p50"), (0.9, "p90"), (0.99, "p99"), (0.999, "p999"))
    columns = ",\n    ".join(f"min({of}) FILTER (upto >= {share} * whole) AS {name}_ns" for share, name in shares)
    each = "PARTITION BY host, channel, line"
    return f"""WITH listed AS ({values}),
counted AS (SELECT host, channel, line, {of}, count(*) AS n FROM listed WHERE {of} IS NOT NULL GROUP BY ALL),
ranked AS (SELECT *, sum(n) OVER ({each} ORDER BY {of}) AS upto, sum(n) OVER ({each}) AS whole FROM counted)
SELECT host, channel, line, sum(n)::BIGINT AS packets, min({of}) AS min_ns,
    {columns},
    max({of}) AS max_ns
FROM ranked GROUP BY ALL ORDER BY ALL"""


def _inter_arrival(options: Options) -> str:
    before = "lag(ns(ts)) OVER (PARTITION BY host, channel, line ORDER BY ts)"
    values = f"SELECT host, channel, line, ns(ts) - {before} AS gap_ns\n    FROM packets {options.where()}"
    return _spread(values, "gap_ns")


def _send_delay(options: Options) -> str:
    where = options.where("ts", "ts_send IS NOT NULL")
    values = f"SELECT host, channel, line, send_delay_ns(ts, ts_send) AS delay_ns\n    FROM packets {where}"
    return _spread(values, "delay_ns")


def _stamp_error(options: Options) -> str:
    return _spread(f"SELECT host, channel, line, ts_error_ns\n    FROM packets {options.where()}", "ts_error_ns")


def _gaps(options: Options) -> str:
    kinds = "kind IN ('capture_loss', 'feed_gap')"
    return f"""SELECT kind, cause, stage, ring, channel, line, count(*) AS gaps, sum(packets_lost) AS packets_lost,
    sum(messages_lost) AS messages_lost, min(ts_start) AS first, max(coalesce(ts_end, ts_start)) AS last
FROM events {options.where("ts_start", kinds, unnamed=True)}
GROUP BY ALL ORDER BY ALL"""


def _first_arrivals(options: Options) -> str:
    only = "sum(feed_count) FILTER (other_line IS NULL)"
    return f"""WITH lines AS (
    SELECT host, channel, line, sum(feed_count)::BIGINT AS first, coalesce({only}, 0)::BIGINT AS only_here
    FROM arbitrated {_of_channel(options)} GROUP BY ALL)
SELECT host, channel, line, first, first / sum(first) OVER (PARTITION BY host, channel) AS share, only_here
FROM lines ORDER BY ALL"""


def _skew(options: Options) -> str:
    values = f"SELECT * FROM arbitrated {_of_channel(options, 'other_line IS NOT NULL')}"
    shares = ((0.5, "p50"), (0.9, "p90"), (0.99, "p99"))
    columns = ", ".join(f"min(other_delay_ns) FILTER (upto >= {share} * whole) AS {name}_ns" for share, name in shares)
    each = "PARTITION BY host, channel, line, other_line"
    return f"""WITH listed AS ({values}),
counted AS (SELECT host, channel, line, other_line, other_delay_ns, sum(feed_count) AS n FROM listed GROUP BY ALL),
ranked AS (SELECT *, sum(n) OVER ({each} ORDER BY other_delay_ns) AS upto, sum(n) OVER ({each}) AS whole FROM counted)
SELECT host, channel, line AS first, other_line AS next, sum(n)::BIGINT AS messages, {columns},
    max(other_delay_ns) AS max_ns
FROM ranked GROUP BY ALL ORDER BY ALL"""


def _missing(options: Options) -> str:
    each = "PARTITION BY host, channel, feed_session, feed_key, restarts"
    return f"""WITH ordered AS (
    SELECT *, lag(feed_seq + feed_count) OVER ({each} ORDER BY feed_seq) AS expected,
        lag(ts) OVER ({each} ORDER BY feed_seq) AS ts_before
    FROM arbitrated {_of_channel(options)})
SELECT host, channel, feed_session, feed_key, expected AS seq_first, feed_seq - 1 AS seq_last,
    feed_seq - expected AS messages, ts_before, ts AS ts_after
FROM ordered WHERE feed_seq > expected ORDER BY host, channel, ts_after, seq_first"""


def _of_channel(options: Options, *also: str) -> str:
    """The view `arbitrated` has no feed: its channels are chosen instead."""
    parts = list(also)
    if options.feed:
        parts.append(f"channel IN (SELECT channel FROM channels WHERE feed = {quoted(options.feed)})")
    return replace(options, feed=None).where("ts", *parts)


def _silent(options: Options) -> str:
    of_all_time = Options(options.channel, options.feed)
    return f"""WITH configured AS (SELECT DISTINCT host, ring, feed, channel, line FROM channels {of_all_time.where()}),
seen AS (SELECT host, ring, channel, line, sum(packets) AS packets FROM stats {options.where()}
    GROUP BY ALL),
ever AS (SELECT host, ring, channel, line, max(ts) AS last_ever FROM stats GROUP BY ALL)
SELECT host, ring, feed, channel, line, last_ever
FROM configured LEFT JOIN seen USING (host, ring, channel, line) LEFT JOIN ever USING (host, ring, channel, line)
WHERE seen.packets IS NULL ORDER BY ALL"""


def _talkers(options: Options) -> str:
    return f"""SELECT src_ip, dst_ip, dst_port, channel, line, count(*) AS packets, sum(wire_len) AS bytes
FROM packets {options.where()}
GROUP BY ALL ORDER BY packets DESC, src_ip, dst_ip, dst_port LIMIT {options.top}"""


QUERIES = {
    each.name: each
    for each in (
        NamedQuery("traffic", "packets and bytes of each channel and line by interval", _traffic),
        NamedQuery("bursts", "the milliseconds with most packets of a channel and line", _bursts),
        NamedQuery(
            "inter-arrival", "percentiles of the time from a packet to the next of its channel and line", _inter_arrival
        ),
        NamedQuery("send-delay", "percentiles of the time from the exchange's stamp to ours", _send_delay),
        NamedQuery("stamp-error", "percentiles of how far stamps may be off, where it is known", _stamp_error),
        NamedQuery("gaps", "losses and gaps by cause and stage", _gaps),
        NamedQuery(
            "first-arrivals", "how often each line of a channel was first, and had what no other had", _first_arrivals
        ),
        NamedQuery("skew", "percentiles of how much later the next line of a channel came", _skew),
        NamedQuery("missing", "sequences of a channel that no line brought", _missing),
        NamedQuery(
            "silent", "configured channels and lines of which nothing came, and when something last did", _silent, True
        ),
        NamedQuery("talkers", "senders and groups with most packets", _talkers),
    )
}
"""By name."""
