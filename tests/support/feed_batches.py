"""Batches of a ring's packets with nothing but what a feed decoder reads, and headers to put into them."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from nanotape.capture.counters import Flow
from nanotape.capture.feeds.decoder import FeedDecoder
from nanotape.capture.feeds.findings import Finding
from nanotape.config.framing import BUILT_IN

SECOND_NS = 10**9
DAY_NS = 86_400 * SECOND_NS
START_NS = 1_792_000_000 * SECOND_NS
WINDOW_NS = 10**7


@dataclass(frozen=True, slots=True)
class Packet:
    """One of a flow."""

    payload: bytes
    ts_ns: int = START_NS
    flow_id: int = 1
    lost_before: int = 0


def flows(
    lines: str = "AB", framing: str = "moldudp64", role: str = "incremental", channels: int = 1
) -> tuple[Flow, ...]:
    """Channels of these lines, with flow ids from 1 in this order."""
    return tuple(
        Flow(
            1 + at * len(lines) + place,
            "feed",
            f"channel-{at}",
            line,
            framing,
            role,
            "eth1",
            "239.0.0.1",
            None,
            1,
            None,
        )
        for at in range(channels)
        for place, line in enumerate(lines)
    )


def decoder(known: Sequence[Flow] | None = None) -> FeedDecoder:
    """Of these flows; None: two lines of one channel."""
    made = FeedDecoder(BUILT_IN, window_ns=WINDOW_NS)
    made.set_flows(flows() if known is None else known)
    return made


def mold(seq: int, count: int = 1, session: str = "S") -> bytes:
    """A MoldUDP64 packet; count 0 is a heartbeat."""
    messages = b"\0\1A" * count if count < 0xFFFF else b""
    return session.encode().ljust(10) + struct.pack(">QH", seq, count) + messages


def feed_batch(packets: Sequence[Packet], first_seq: int = 1) -> pa.RecordBatch:
    """In the order of the ring."""
    rows = len(packets)
    order = pa.array(range(first_seq, first_seq + rows), pa.int64())
    return pa.record_batch(
        {
            "flow_id": pa.array([each.flow_id for each in packets], pa.uint32()),
            "payload": pa.array([each.payload for each in packets], pa.binary()),
            "payload_len": pa.array([len(each.payload) for each in packets], pa.uint32()),
            "flags": pa.array([0] * rows, pa.uint16()),
            "ts": pa.array([each.ts_ns for each in packets], pa.int64()).cast(pa.timestamp("ns", "UTC")),
            "ring_seq": order,
            "flow_seq": order.cast(pa.uint64()),
            "lost_before": pa.array([each.lost_before for each in packets], pa.uint32()),
        }
    )


def follow(feeds: FeedDecoder, packets: Sequence[Packet], first_seq: int = 1) -> list[Finding]:
    """What is found in them."""
    return feeds.track(feeds.decode(feed_batch(packets, first_seq)))
