"""The `packets` schema, version 1: one row a packet.

Each field says its unit and what null means in its metadata, so that a file explains itself without this code. A
change of name, type or meaning raises NANOTAPE_SCHEMA.
"""

import pyarrow as pa

NANOTAPE_SCHEMA = 1

TIMESTAMP = pa.timestamp("ns", tz="UTC")
NAME = pa.dictionary(pa.int32(), pa.string())

UTC_NS = "nanoseconds since 1970-01-01T00:00:00Z"
_NOT_DECODED = "null: no framing is decoded for this channel"


def column(name: str, kind: pa.DataType, meaning: str, *, unit: str = "", null: str = "") -> pa.Field:
    """A field that explains itself; `null` says what null means, and without it there is none."""
    metadata = {"meaning": meaning}
    if unit:
        metadata["unit"] = unit
    if null:
        metadata["null"] = null.removeprefix("null: ")
    return pa.field(name, kind, nullable=bool(null), metadata=metadata)


def packets_schema() -> pa.Schema:
    """The columns of `packets`, in order."""
    return pa.schema(
        [*_time_fields(), *_origin_fields(), *_address_fields(), *_feed_fields(), *_frame_fields()],
        metadata={"nanotape_schema": str(NANOTAPE_SCHEMA), "nanotape_table": "packets"},
    )


def _time_fields() -> list[pa.Field]:
    return [
        column("ts", TIMESTAMP, "best time of arrival", unit=UTC_NS),
        column("ts_kind", NAME, "who made ts: nic, xdp, kernel, user or file"),
        column("ts_raw", pa.int64(), "the original stamp", unit="ns", null="null: ts was not replaced"),
        column(
            "ts_switch",
            TIMESTAMP,
            "stamp of a switch's trailer or header",
            unit=UTC_NS,
            null="null: none, or implausible",
        ),
        column("switch_device", pa.uint16(), "device id beside ts_switch", null="null: none"),
        column("switch_port", pa.uint16(), "port beside ts_switch", null="null: none"),
        column("ts_error_ns", pa.int64(), "bound on the clock's error then", unit="ns", null="null: unknown"),
        column(
            "rx_delay_ns",
            pa.int64(),
            "poll time minus ts; may be negative; 2147483647 means at least that, -2147483647 at most that",
            unit="ns",
            null="null: unknown, or read from a file",
        ),
    ]


def _origin_fields() -> list[pa.Field]:
    return [
        column("host", NAME, "host that captured"),
        column("ring", NAME, "name of the ring"),
        column("interface", NAME, "interface of the flow", null="null: unknown"),
        column("ring_id", NAME, "random id of the ring, 32 hexadecimal digits; with ring_seq unique for ever"),
        column(
            "epoch", pa.uint32(), "+1 each time a writer attached to the ring", null="null: the ring's history is gone"
        ),
        column("ring_seq", pa.int64(), "+1 per record of the ring, never reset"),
        column(
            "lost_before",
            pa.uint32(),
            "records of this ring missing just before this row; 4294967295 means at least that",
            unit="records",
        ),
        column("feed", NAME, "feed, from the configuration", null="null: not of a configured channel"),
        column("channel", NAME, "channel, from the configuration; other: selected, but of no configured channel"),
        column("line", NAME, "line of the channel", null="null: not of a configured channel"),
    ]


def _address_fields() -> list[pa.Field]:
    return [
        column("src_ip", NAME, "source address", null="null: not IP"),
        column("dst_ip", NAME, "destination address", null="null: not IP"),
        column("src_port", pa.uint16(), "UDP source port", null="null: not UDP, or a later fragment"),
        column("dst_port", pa.uint16(), "UDP destination port", null="null: not UDP, or a later fragment"),
        column("vlan", pa.uint16(), "innermost 802.1Q id; an outer tag stays in header", null="null: untagged"),
        column("wire_len", pa.uint32(), "frame on the wire, without FCS unless it was delivered", unit="bytes"),
        column(
            "payload_len", pa.uint32(), "payload on the wire; more than payload holds where truncated", unit="bytes"
        ),
    ]


def _feed_fields() -> list[pa.Field]:
    return [
        column("feed_session", NAME, "session that feed_seq belongs to", null=_NOT_DECODED),
        column("feed_key", NAME, "unit, segment, group or version that feed_seq belongs to", null=_NOT_DECODED),
        column("feed_seq", pa.int64(), "first sequence of the packet", null=_NOT_DECODED),
        column(
            "feed_count",
            pa.uint16(),
            "messages in it; 0: heartbeat or end of session",
            unit="messages",
            null=_NOT_DECODED,
        ),
        column(
            "feed_status",
            NAME,
            "data, heartbeat, retransmit, snapshot, reset, end, unsequenced or bad",
            null=_NOT_DECODED,
        ),
        column(
            "ts_send",
            TIMESTAMP,
            "the exchange's send time",
            unit=UTC_NS,
            null="null: not in the framing, or not decoded",
        ),
    ]


def _frame_fields() -> list[pa.Field]:
    return [
        column("header", pa.binary(), "link, network and transport headers; header + payload + trailer = the frame"),
        column("payload", pa.binary(), "UDP payload"),
        column("trailer", pa.binary(), "what follows the payload: padding, switch trailer, FCS"),
        column(
            "flags",
            pa.uint16(),
            "1 truncated, 2 unstamped, 4 rebuilt header, 8 backwards, 16 fragment, 32 bad checksum, 64 unparsed, "
            "128 bad stamp; the frame begins with: 256 a Linux cooked header, 512 one of version 2, 1024 IP, "
            "none of these: Ethernet; of a switch's stamp: 2048 degraded, 4096 of a duplicate, 8192 implausible",
            unit="bits",
        ),
    ]
