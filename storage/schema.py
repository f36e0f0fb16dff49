"""The `packets` schema, version 1: one row a packet.

Each field says its unit and what null means in its metadata, so that a file explains itself without this code. A
change of name, type or meaning raises NANOTAPE_SCHEMA.
"""

import pyarrow as pa

NANOTAPE_SCHEMA = 1

TIMESTAMP = pa.timestamp("ns", tz="UTC")
NAME = pa.dictionary(pa.int32(), pa.string())

_UTC = "nanoseconds since 1970-01-01T00:00:00Z"
_NOT_DECODED = "null: no framing is decoded for this channel"


def _field(name: str, kind: pa.DataType, meaning: str, *, unit: str = "", null: str = "") -> pa.Field:
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
        _field("ts", TIMESTAMP, "best time of arrival", unit=_UTC),
        _field("ts_kind", NAME, "who made ts: nic, xdp, kernel, user or file"),
        _field("ts_raw", pa.int64(), "the original stamp", unit="ns", null="null: ts was not replaced"),
        _field(
            "ts_switch",
            TIMESTAMP,
            "stamp of a switch's trailer or header",
            unit=_UTC,
            null="null: none, or implausible",
        ),
        _field("switch_device", pa.uint16(), "device id beside ts_switch", null="null: none"),
        _field("switch_port", pa.uint16(), "port beside ts_switch", null="null: none"),
        _field("ts_error_ns", pa.int64(), "bound on the clock's error then", unit="ns", null="null: unknown"),
        _field(
            "rx_delay_ns",
            pa.int64(),
            "poll time minus ts; may be negative; 2147483647 means at least that, -2147483647 at most that",
            unit="ns",
            null="null: unknown, or read from a file",
        ),
    ]


def _origin_fields() -> list[pa.Field]:
    return [
        _field("host", NAME, "host that captured"),
        _field("ring", NAME, "name of the ring"),
        _field("interface", NAME, "interface of the flow", null="null: unknown"),
        _field("ring_id", NAME, "random id of the ring, 32 hexadecimal digits; with ring_seq unique for ever"),
        _field(
            "epoch", pa.uint32(), "+1 each time a writer attached to the ring", null="null: the ring's history is gone"
        ),
        _field("ring_seq", pa.int64(), "+1 per record of the ring, never reset"),
        _field(
            "lost_before",
            pa.uint32(),
            "records of this ring missing just before this row; 4294967295 means at least that",
            unit="records",
        ),
        _field("feed", NAME, "feed, from the configuration", null="null: not of a configured channel"),
        _field("channel", NAME, "channel, from the configuration; other: selected, but of no configured channel"),
        _field("line", NAME, "line of the channel", null="null: not of a configured channel"),
    ]


def _address_fields() -> list[pa.Field]:
    return [
        _field("src_ip", NAME, "source address", null="null: not IP"),
        _field("dst_ip", NAME, "destination address", null="null: not IP"),
        _field("src_port", pa.uint16(), "UDP source port", null="null: not UDP, or a later fragment"),
        _field("dst_port", pa.uint16(), "UDP destination port", null="null: not UDP, or a later fragment"),
        _field("vlan", pa.uint16(), "innermost 802.1Q id; an outer tag stays in header", null="null: untagged"),
        _field("wire_len", pa.uint32(), "frame on the wire, without FCS unless it was delivered", unit="bytes"),
        _field(
            "payload_len", pa.uint32(), "payload on the wire; more than payload holds where truncated", unit="bytes"
        ),
    ]


def _feed_fields() -> list[pa.Field]:
    return [
        _field("feed_session", NAME, "session that feed_seq belongs to", null=_NOT_DECODED),
        _field("feed_key", NAME, "unit, segment, group or version that feed_seq belongs to", null=_NOT_DECODED),
        _field("feed_seq", pa.int64(), "first sequence of the packet", null=_NOT_DECODED),
        _field(
            "feed_count",
            pa.uint16(),
            "messages in it; 0: heartbeat or end of session",
            unit="messages",
            null=_NOT_DECODED,
        ),
        _field(
            "feed_status",
            NAME,
            "data, heartbeat, retransmit, snapshot, reset, end, unsequenced or bad",
            null=_NOT_DECODED,
        ),
        _field(
            "ts_send", TIMESTAMP, "the exchange's send time", unit=_UTC, null="null: not in the framing, or not decoded"
        ),
    ]


def _frame_fields() -> list[pa.Field]:
    return [
        _field("header", pa.binary(), "link, network and transport headers; header + payload + trailer = the frame"),
        _field("payload", pa.binary(), "UDP payload"),
        _field("trailer", pa.binary(), "what follows the payload: padding, switch trailer, FCS"),
        _field(
            "flags",
            pa.uint16(),
            "1 truncated, 2 unstamped, 4 rebuilt header, 8 backwards, 16 fragment, 32 bad checksum, 64 unparsed, "
            "128 bad stamp; the frame begins with: 256 a Linux cooked header, 512 one of version 2, 1024 IP, "
            "none of these: Ethernet",
            unit="bits",
        ),
    ]
