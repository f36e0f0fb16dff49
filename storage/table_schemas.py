"""The tables beside `packets`, version 1: `events`, `stats`, `counters`, `channels`, `clock`.

Rows that a recorder writes carry the ring sequence that they belong to (`ring_id`, `ring_seq`): no reader sees one
before it sees the packets up to there. Each field says its unit and what null means, as in `packets`.
"""

import pyarrow as pa

from nanotape.storage.schema import NAME, NANOTAPE_SCHEMA, TIMESTAMP, UTC_NS, column, packets_schema

RECORDED_TABLES = ("events", "stats", "counters", "channels", "clock")
"""Written by recorders beside the packets."""
TABLES = ("packets", *RECORDED_TABLES)

_NO_RING = "null: not of one ring"
_UNKNOWN = "null: unknown"
_NO_CHANNEL = "null: not of one channel"


def table_schema(table: str) -> pa.Schema:
    """The columns of a table, in order.

    Args:
        table: One of TABLES.
    """
    if table == "packets":
        return packets_schema()
    fields = {
        "events": _events, "stats": _stats, "counters": _counters, "channels": _channels, "clock": _clock,
    }[table]()  # fmt: skip
    return pa.schema(fields, metadata={"nanotape_schema": str(NANOTAPE_SCHEMA), "nanotape_table": table})


def _belonging() -> list[pa.Field]:
    return [
        column("host", NAME, "host that wrote the row"),
        column("ring", NAME, "name of the ring", null=_NO_RING),
        column("ring_id", NAME, "random id of the ring, 32 hexadecimal digits", null=_NO_RING),
        column(
            "ring_seq", pa.int64(), "all packets up to it are accounted for by this row and earlier ones", null=_NO_RING
        ),
    ]


def _events() -> list[pa.Field]:
    return [
        column(
            "id", pa.string(), "names the event for ever; the same event has the same id wherever it is found again"
        ),
        column("ts_start", TIMESTAMP, "when it began", unit=UTC_NS),
        column("ts_end", TIMESTAMP, "when it ended", unit=UTC_NS, null="null: it was going on, or has no duration"),
        column(
            "kind",
            NAME,
            "capture_loss, feed_gap, reorder, duplicate, feed_reset, session, stale, silent, bad_stamp, clock, link, "
            "restart, disk, retention, config or mark",
        ),
        column("severity", NAME, "info, warning or error"),
        *_belonging(),
        column("feed", NAME, "feed that is concerned", null=_NO_CHANNEL),
        column("channel", NAME, "channel that is concerned", null=_NO_CHANNEL),
        column("line", NAME, "line that is concerned", null=_NO_CHANNEL),
        column("feed_key", NAME, "key that feed sequences belong to", null="null: no feed sequence is meant"),
        column(
            "stage",
            NAME,
            "where it happened: recorder_lapped, recorder_write, archive, ...; of kind clock what changed: state, "
            "grandmaster, utc_offset, leap, step, master, domain, timescale, process, hwtstamp, source",
            null=_UNKNOWN,
        ),
        column("cause", NAME, "ours, upstream or unknown", null="null: nothing was lost"),
        column("filled_by", NAME, "line that had what was missing", null="null: none, or not looked for"),
        column("seq_kind", NAME, "of seq_first and seq_last: ring or feed", null="null: no sequences are meant"),
        column("seq_first", pa.int64(), "first sequence concerned", null="null: no sequences are meant"),
        column("seq_last", pa.int64(), "last sequence concerned", null="null: no sequences are meant"),
        column("packets_lost", pa.int64(), "packets lost by it", unit="packets", null="null: unknown, or none can be"),
        column("messages_lost", pa.int64(), "messages lost by it", unit="messages", null=_UNKNOWN),
        column("detail", pa.string(), "what else there is to say, in words or as JSON", null="null: nothing"),
    ]


def _stats() -> list[pa.Field]:
    return [
        column("ts", TIMESTAMP, "the second of the packets' own stamps that is summed up", unit=UTC_NS),
        *_belonging(),
        column("feed", NAME, "feed, from the configuration", null="null: not of a configured channel"),
        column("channel", NAME, "channel; other: of no configured channel"),
        column("line", NAME, "line of the channel", null="null: not of a configured channel"),
        column("packets", pa.int64(), "packets recorded", unit="packets"),
        column("bytes", pa.int64(), "their frames on the wire", unit="bytes"),
        column("messages", pa.int64(), "messages in them", unit="messages", null="null: no framing is decoded"),
        column("peak_1ms_packets", pa.int64(), "most packets in a millisecond", unit="packets"),
        column("peak_1ms_bytes", pa.int64(), "most bytes in a millisecond", unit="bytes"),
        column("gaps_ours", pa.int64(), "messages missing that we lost", unit="messages", null=_UNKNOWN),
        column("gaps_upstream", pa.int64(), "messages missing that never came", unit="messages", null=_UNKNOWN),
        column(
            "rx_delay_p50_ns",
            pa.int64(),
            "median of rx_delay_ns; above 262,144 packets at once, of every n-th",
            unit="ns",
            null=_UNKNOWN,
        ),
        column("rx_delay_p99_ns", pa.int64(), "99th percentile of rx_delay_ns; likewise", unit="ns", null=_UNKNOWN),
        column("first_arrivals", pa.float64(), "share of sequences that came first on this line", null=_UNKNOWN),
    ]


def _counters() -> list[pa.Field]:
    return [
        column("ts", TIMESTAMP, "when it was read", unit=UTC_NS),
        *_belonging(),
        column("epoch", pa.uint32(), "of the ring's writer", null=_UNKNOWN),
        column("source", NAME, "source of the ring, or name of the recorder"),
        column("interface", NAME, "interface of the source", null="null: none"),
        column(
            "stage",
            NAME,
            "a counter of the books (docs/operation.md): offered, passed_unmatched, passed_no_socket, redirected, "
            "rx_dropped, rx_ring_full, socket_drops, lost_with_holder, unselected, oversize, waiting, in_ring; of a "
            "recorder: begin_seq, newest_seq, recorded, left_out, overrun, write_failures, backlog",
        ),
        column(
            "value", pa.int64(), "since the ring was made; a recorder's since it began", unit="packets", null=_UNKNOWN
        ),
        column("occasion", NAME, "why it was read then: start, second, epoch, handover or stop"),
    ]


def _channels() -> list[pa.Field]:
    return [
        column("ts_from", TIMESTAMP, "from when on it was in force", unit=UTC_NS),
        *_belonging(),
        column("config_hash", pa.string(), "the same for the same flows: SHA-256, 64 hexadecimal digits"),
        column("flow_id", pa.uint32(), "number of the flow in its ring"),
        column("feed", NAME, "feed that the channel belongs to"),
        column("channel", NAME, "name of the channel"),
        column("line", NAME, "name of the line"),
        column("framing", NAME, "packet header that carries the sequence numbers"),
        column("role", NAME, "incremental, snapshot, definition or retransmit"),
        column("interface", NAME, "interface of the line", null="null: none is configured"),
        column("group", NAME, "multicast address"),
        column("source", NAME, "sender that is taken", null="null: any"),
        column("port", pa.uint16(), "UDP destination port"),
        column("vlan", NAME, "outermost 802.1Q id, or any", null="null: untagged"),
    ]


def _clock() -> list[pa.Field]:
    return [
        column("ts", TIMESTAMP, "when it was looked at", unit=UTC_NS),
        *_belonging(),
        column("clock", NAME, "which clock: system, or a PHC's device, such as ptp0"),
        column(
            "interface", NAME, "interface of a PHC, or on which the system clock's master is heard", null="null: none"
        ),
        column("state", NAME, "unknown, free-running, acquiring, locked or holdover"),
        column("source", NAME, "who disciplines it: ptp4l, phc2sys, ts2phc, chrony, sfptpd, kernel", null=_UNKNOWN),
        column("offset_ns", pa.int64(), "clock minus master; positive: it is ahead", unit="ns", null=_UNKNOWN),
        column("path_delay_ns", pa.int64(), "mean path delay", unit="ns", null=_UNKNOWN),
        column("phc_sys_ns", pa.int64(), "PHC minus system clock, without the UTC offset", unit="ns", null=_UNKNOWN),
        column("freq_ppb", pa.float64(), "frequency correction", unit="ppb", null=_UNKNOWN),
        column("grandmaster", NAME, "its identity", null=_UNKNOWN),
        column("gm_class", pa.int32(), "its clock class", null=_UNKNOWN),
        column("domain", pa.int32(), "PTP domain", null=_UNKNOWN),
        column("steps_removed", pa.int32(), "boundary clocks between", null=_UNKNOWN),
        column("utc_offset_s", pa.int32(), "TAI minus UTC", unit="s", null=_UNKNOWN),
        column("utc_offset_source", NAME, "who says so: ptp, kernel, leap-seconds.list", null=_UNKNOWN),
        column("error_ns", pa.int64(), "bound on its error", unit="ns", null=_UNKNOWN),
        column("method", NAME, "how it was measured: pmc, log, chronyc, sfptpd-json, adjtimex", null=_UNKNOWN),
    ]
