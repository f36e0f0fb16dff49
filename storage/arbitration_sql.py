# ruff: noqa: S608 - our own names
"""The view `arbitrated`: arbitration as SQL over the view `packets`, which a bare duckdb shell runs as well.

The same rows as `arbitration.py` gives, channel by channel: each message stands alone until ranges are made again, so
it takes longer, and what memory does not hold goes to temporary files.
"""

from nanotape.storage.arrivals import FIRST_DISTANCE, RESET_DISTANCE, SEQ_MAX

WAIT_NS = 10**9
"""A copy that comes later counts as if it had never come."""

_STREAM = "host, channel, feed_session, feed_key"
_ARRIVAL = "ts, ring_id, ring_seq"

# Lines that begin anew are counted each for itself; one that came later begins where the others are by then.
ARBITRATED = f"""CREATE OR REPLACE VIEW arbitrated AS
WITH carried AS (
    SELECT ts, ns(ts) AS at_ns, {_STREAM}, line, feed_seq, feed_count::BIGINT AS feed_count, feed_status, ring_id,
        ring_seq, lag(feed_seq) OVER before AS seq_before, lag(feed_seq + feed_count) OVER before AS expected
    FROM packets
    WHERE feed_status IN ('data', 'reset', 'retransmit') AND feed_count > 0 AND feed_seq >= 0 AND feed_seq < {SEQ_MAX}
    WINDOW before AS (PARTITION BY {_STREAM}, line, feed_status = 'retransmit' ORDER BY {_ARRIVAL})),
marked AS (
    SELECT *, coalesce(feed_status <> 'retransmit' AND (expected - feed_seq > {RESET_DISTANCE}
        OR (feed_seq <= 1 AND expected - feed_seq > {FIRST_DISTANCE})
        OR (feed_status = 'reset' AND feed_seq < expected AND feed_seq <> seq_before)), false)::INTEGER AS is_anew
    FROM carried),
counted AS (
    SELECT *, sum(is_anew) OVER (PARTITION BY {_STREAM}, line ORDER BY {_ARRIVAL} ROWS UNBOUNDED PRECEDING) AS own
    FROM marked),
reached AS (
    SELECT *, max(own) OVER (PARTITION BY {_STREAM} ORDER BY {_ARRIVAL} ROWS UNBOUNDED PRECEDING) AS newest
    FROM counted),
lived AS (
    SELECT *, CASE WHEN feed_status = 'retransmit' THEN newest ELSE own
        + first_value(newest) OVER (PARTITION BY {_STREAM}, line ORDER BY {_ARRIVAL} ROWS UNBOUNDED PRECEDING)
        END::INTEGER AS restarts
    FROM reached),
messages_of AS (SELECT * EXCLUDE (feed_seq), unnest(range(feed_seq, feed_seq + feed_count)) AS seq FROM lived),
once_a_line AS (
    FROM messages_of
    QUALIFY row_number() OVER (PARTITION BY {_STREAM}, restarts, seq, line ORDER BY {_ARRIVAL}) = 1),
ranked AS (
    SELECT *, row_number() OVER arrived AS place, lead(at_ns) OVER arrived - at_ns AS delay_ns,
        lead(line) OVER arrived AS next_line, lead(ring_id) OVER arrived AS next_ring,
        lead(ring_seq) OVER arrived AS next_seq
    FROM once_a_line
    WINDOW arrived AS (PARTITION BY {_STREAM}, restarts, seq ORDER BY {_ARRIVAL})),
firsts AS (
    SELECT * EXCLUDE (delay_ns, next_line, next_ring, next_seq),
        CASE WHEN delay_ns <= {WAIT_NS} THEN delay_ns END AS other_delay_ns,
        CASE WHEN delay_ns <= {WAIT_NS} THEN next_line END AS other_line,
        CASE WHEN delay_ns <= {WAIT_NS} THEN next_ring END AS other_ring,
        CASE WHEN delay_ns <= {WAIT_NS} THEN next_seq END AS other_seq
    FROM ranked WHERE place = 1),
islands AS (
    SELECT *, seq - row_number() OVER (PARTITION BY {_STREAM}, restarts, ring_id, ring_seq, other_ring, other_seq
        ORDER BY seq) AS island
    FROM firsts)
SELECT ts, host, channel, line, feed_session, feed_key, min(seq) AS feed_seq, count(*)::BIGINT AS feed_count,
    other_delay_ns, other_line, restarts, ring_id, ring_seq
FROM islands
GROUP BY ts, {_STREAM}, line, restarts, ring_id, ring_seq, other_ring, other_seq, other_delay_ns, other_line, island;"""
