"""Random histories of a simulated A/B feed, followed natively: each fault is found once, and nothing else is.

What was done is worked out here from the stream alone; nothing is sent, and no recorder is needed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import fault_truth
import numpy as np
import pyarrow as pa
import pytest
from fault_truth import Told
from hypothesis import given, settings
from hypothesis import strategies as st

from nanotape.capture.counters import Flow
from nanotape.capture.exchange import ExchangePacket, ExchangeParameters, ExchangeStream, Restart
from nanotape.capture.feeds.decoder import FeedDecoder
from nanotape.capture.feeds.findings import Finding
from nanotape.capture.sent_faults import SentDuplicate, SentGap, SentReorder, SentRestart
from nanotape.capture.sent_log import SentLine, SentLog
from nanotape.capture.sent_order import sent_order
from nanotape.config.framing import BUILT_IN

START_NS = 1_790_000_000_000_000_000
PACKETS = 4000
RATE = 10_000
WINDOW_NS = 10_000_000
APART = 40
DELAY_NS = {"A": 0, "B": 300_000}
KINDS = {
    "gap": "feed_gap",
    "reorder": "reorder",
    "duplicate": "duplicate",
    "reset": "feed_reset",
    "session": "session",
    "end": "session",
}


@dataclass(frozen=True)
class Fault:
    """What lines do at one place of the stream."""

    kind: Literal["gap", "duplicate", "reorder"]
    packets: int
    lines: str
    first_packet: int = 0


FAULTS = st.builds(
    Fault,
    st.sampled_from(["gap", "duplicate", "reorder"]),
    st.integers(1, 9),
    st.sampled_from(["A", "B", "AB"]),
)


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Fault], tuple[Restart, ...]]:
    """Faults some way apart from each other and from restarts, which lie far apart."""
    restarts = draw(st.sampled_from([(), (1500,), (1300, 2700)]))
    kinds = [Restart(packet, draw(st.booleans())) for packet in restarts]
    places = draw(st.lists(st.integers(1, PACKETS // APART - 2), max_size=20, unique=True))
    free = [place * APART for place in places if all(abs(place * APART - at) > APART for at in restarts)]
    faults = [draw(FAULTS) for _ in free]
    placed = [
        Fault(each.kind, each.packets, each.lines, first) for each, first in zip(faults, sorted(free), strict=True)
    ]
    return placed, tuple(kinds)


def planned(parameters: ExchangeParameters, faults: Sequence[Fault]) -> SentLog:
    """The log that such a sender would write."""
    stream = {packet.number: packet for packet in ExchangeStream(parameters)}
    return SentLog(
        parameters, START_NS, "finished", None, tuple(_line(name, stream, parameters, faults) for name in "AB")
    )


def _line(
    name: str, stream: dict[int, ExchangePacket], parameters: ExchangeParameters, faults: Sequence[Fault]
) -> SentLine:
    mine = [fault for fault in faults if name in fault.lines]

    def told(fault: Fault, packets: int) -> tuple[int, int, int, int, int, str]:
        span = [stream[number] for number in range(fault.first_packet, fault.first_packet + packets)]
        session = parameters.session_after(sum(each.packet <= fault.first_packet for each in parameters.restarts))
        messages = sum(each.messages for each in span)
        return fault.first_packet, fault.packets, fault.packets, span[0].sequence, messages, session

    restarts = tuple(
        SentRestart(each.packet, each.new_session, parameters.session_after(number + 1), _next(stream[each.packet - 1]))
        for number, each in enumerate(parameters.restarts)
    )
    zeros = dict.fromkeys(("port", "delay_ns", "generated", "sent", "withheld", "unsent", "heartbeats"), 0)
    return SentLine(
        name=name, group="", interface="", ends=1, messages=0, bytes=0, batches=0, retries=0, crc32c=0, late_max_ns=0,
        first_ns=None, last_ns=None, **zeros,
        gaps=tuple(SentGap(*told(each, each.packets)) for each in mine if each.kind == "gap"),
        duplicates=tuple(SentDuplicate(*told(each, each.packets)) for each in mine if each.kind == "duplicate"),
        reorders=tuple(SentReorder(*told(each, 1)) for each in mine if each.kind == "reorder"),
        restarts=restarts,
    )  # fmt: skip


def _next(packet: ExchangePacket) -> int:
    return packet.sequence + packet.messages


def arrivals(sent: SentLog) -> list[tuple[int, int, bytes]]:
    """(time, flow, payload) of all that both lines brought, in the order of the ring."""
    found: list[tuple[int, int, bytes]] = []
    for flow, line in enumerate(sent.lines, start=1):
        made = ExchangeStream(sent.parameters).batches(rows=700)
        for batch in sent_order(made, line.gaps, line.duplicates, line.reorders):
            for due_ns, payload in zip(batch.facts["due_ns"].tolist(), batch.payloads.to_pylist(), strict=True):
                last = found[-1][0] if found and found[-1][1] == flow else 0
                found.append((max(START_NS + due_ns + DELAY_NS[line.name], last), flow, payload))
    return sorted(found, key=lambda each: each[0])


def batches(rows: list[tuple[int, int, bytes]], size: int) -> Iterator[pa.RecordBatch]:
    counts = {1: 0, 2: 0}
    for begin in range(0, len(rows), size):
        some = rows[begin : begin + size]
        sequences = []
        for _, flow, _ in some:
            counts[flow] += 1
            sequences.append(counts[flow])
        yield pa.record_batch(
            {
                "flow_id": np.array([flow for _, flow, _ in some], np.uint32),
                "payload": pa.array([payload for _, _, payload in some], pa.binary()),
                "payload_len": np.array([len(payload) for _, _, payload in some], np.uint32),
                "flags": np.zeros(len(some), np.uint16),
                "ts": pa.array([at for at, _, _ in some], pa.timestamp("ns", "UTC")),
                "ring_seq": np.arange(begin + 1, begin + 1 + len(some), dtype=np.int64),
                "flow_seq": np.array(sequences, np.uint64),
                "lost_before": np.zeros(len(some), np.uint32),
            }
        )


def followed(sent: SentLog, size: int) -> list[Finding]:
    decoder = FeedDecoder(BUILT_IN, window_ns=WINDOW_NS)
    decoder.set_flows(
        [
            Flow(number, "f", "c", line.name, "moldudp64", "incremental", "eth1", f"233.252.0.{number}", None, 1, None)
            for number, line in enumerate(sent.lines, start=1)
        ]
    )
    found = []
    for batch in batches(arrivals(sent), size):
        found += decoder.track(decoder.decode(batch))
    return found + decoder.expire(2**63 - 1)


def as_told(sent: SentLog, findings: Sequence[Finding]) -> Counter[Told]:
    return Counter(
        Told(
            KINDS[each.kind], sent.lines[each.flow_id - 1].name, str(each.session), each.seq_first, each.seq_last
        )
        for each in findings
    )  # fmt: skip


def check(faults: Sequence[Fault], restarts: tuple[Restart, ...], size: int) -> None:
    sent = planned(ExchangeParameters(seed=3, rate=RATE, packets=PACKETS, restarts=restarts), faults)
    expected = Counter(told._replace(filled_by=None) for told in fault_truth.expected(sent).elements())
    assert as_told(sent, followed(sent, size)) == expected


@given(histories(), st.sampled_from([64, 1000, 65_536]))
@settings(max_examples=25, deadline=None)
def test_each_fault_is_found_once_and_nothing_else(history: tuple[list[Fault], tuple[Restart, ...]], size: int) -> None:
    check(*history, size)


@pytest.mark.slow
@given(histories(), st.sampled_from([7, 64, 1000, 65_536]))
@settings(max_examples=400, deadline=None)
def test_each_fault_of_many_histories_is_found_once_and_nothing_else(
    history: tuple[list[Fault], tuple[Restart, ...]], size: int
) -> None:
    check(*history, size)


def test_a_fault_that_the_log_does_not_tell_is_seen_here() -> None:
    """The comparison can fail."""
    sent = planned(ExchangeParameters(seed=3, rate=RATE, packets=PACKETS), [Fault("gap", 3, "A", 400)])
    found = as_told(sent, followed(sent, 1000))
    honest = fault_truth.expected(sent)
    assert sum(told.kind == "feed_gap" for told in found) == 1
    assert found == Counter(told._replace(filled_by=None) for told in honest.elements())
    hidden = planned(sent.parameters, [])
    assert found != fault_truth.expected(hidden)
