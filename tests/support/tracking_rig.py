"""One list of packets through the native follower of sequences and through its plain twin."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
from feed_batches import START_NS, Packet, feed_batch
from tracking_model import Header, Told, TrackingModel

from nanotape.capture.counters import Flow
from nanotape.capture.feeds.decoder import FeedDecoder
from nanotape.capture.feeds.findings import Finding
from nanotape.config.framing import Framing

WINDOW_NS = 10_000_000
DISTANCE = 1_500
IDLE = 777
LOOP = 3
"""A flow of snapshots."""
ROLES = {LOOP: "snapshot"}
CODES = {"data": 0, "heartbeat": 1, "retransmit": 2, "snapshot": 3, "reset": 4, "end": 5, "unsequenced": 6, "bad": 7}
HOUSE = Framing.model_validate(
    {
        "endian": "big",
        "header": 13,
        "status": {"offset": 0, "values": {str(code): name for name, code in CODES.items()}, "other": "bad"},
        "session": {"offset": 1, "width": 1},
        "key": {"offset": 2, "width": 1},
        "sequence": {"offset": 3, "width": 8},
        "count": {"offset": 11, "width": 2},
        "heartbeat_next": True,
        "heartbeat_idle": IDLE,
    }
)


@dataclass(frozen=True, slots=True)
class Sent:
    """A packet, and how long after the one before it."""

    after_ns: int
    flow: int
    status: str
    session: int
    key: int
    seq: int
    count: int

    @property
    def payload(self) -> bytes:
        labels = bytes([CODES[self.status], self.session, self.key])
        return labels + self.seq.to_bytes(8, "big") + self.count.to_bytes(2, "big")

    @property
    def header(self) -> Header:
        count = 0 if self.status in ("heartbeat", "end") else self.count
        status = "snapshot" if self.flow == LOOP and self.status == "data" else self.status
        return Header(status, str(self.session), str(self.key), self.seq, count)


def told(found: Finding) -> Told:
    messages = found.messages if found.kind in ("gap", "reorder", "late", "duplicate") else 0
    return Told(
        found.kind,
        found.flow_id,
        found.session,
        found.key,
        found.session_before,
        found.seq_first,
        found.seq_last,
        messages,
        found.ts_ns,
        found.ring_seq,
    )


def assert_same(sent: list[Sent], *, at_once: int = 1_000_000) -> list[Told]:
    """Both find the same in the same order; `at_once` packets are given to the native follower together."""
    feeds = FeedDecoder({"house": HOUSE}, window_ns=WINDOW_NS, reset_distance=DISTANCE)
    feeds.set_flows(
        [
            Flow(
                each, "f", f"c{each}", "A", "house", ROLES.get(each, "incremental"), "eth1", "233.0.0.1", None, 1, None
            )
            for each in (1, 2, LOOP)
        ]
    )
    model = TrackingModel(window_ns=WINDOW_NS, reset_distance=DISTANCE, idle=IDLE, loops=frozenset({LOOP}))
    native: list[Finding] = []
    expected: list[Told] = []
    packets: list[Packet] = []
    ts_ns = START_NS
    for ring_seq, each in enumerate(sent, 1):
        ts_ns += each.after_ns
        packets.append(Packet(each.payload, ts_ns, each.flow))
        expected += model.packet(each.flow, each.header, ts_ns, ring_seq)
    for begin in range(0, len(packets), at_once):
        batch: pa.RecordBatch = feed_batch(packets[begin : begin + at_once], begin + 1)
        native += feeds.track(feeds.decode(batch))
    end_ns = ts_ns + WINDOW_NS + 1
    native += feeds.expire(end_ns)
    expected += model.expire(end_ns)
    places = ("kind", "seq_first", "seq_last")
    found = [told(each) for each in native]
    for place, (one, other) in enumerate(zip(found, expected, strict=False)):
        assert one == other, (place, sent)
    assert len(found) == len(expected), ([[getattr(each, p) for p in places] for each in found], expected, sent)
    return expected
