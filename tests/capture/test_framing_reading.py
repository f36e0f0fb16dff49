"""Two readings of the same headers agree: the native decoder's, and the plain one by which framings are guessed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from payloads import real_flows

from nanotape.capture.counters import Flow
from nanotape.capture.exchange import ExchangeParameters, ExchangeStream
from nanotape.capture.feeds.decoder import FeedDecoder
from nanotape.capture.framing_reading import PayloadSample, read_header
from nanotape.config.framing import BUILT_IN

NOW_NS = 1_790_000_000_000_000_000
COLUMNS = ("feed_status", "feed_seq", "feed_count", "feed_session", "feed_key", "ts_send")
DECODERS = {name: FeedDecoder(BUILT_IN, window_ns=10_000_000) for name in BUILT_IN}
for _name, _decoder in DECODERS.items():
    _decoder.set_flows([Flow(1, "f", "c", "A", _name, "incremental", "eth1", "233.252.0.1", None, 1, None)])


def native(name: str, payload: bytes, payload_bytes: int) -> tuple[Any, ...]:
    batch = pa.record_batch(
        {
            "flow_id": np.ones(1, np.uint32),
            "payload": pa.array([payload], pa.binary()),
            "payload_len": np.full(1, payload_bytes, np.uint32),
            "flags": np.zeros(1, np.uint16),
            "ts": pa.array([NOW_NS], pa.timestamp("ns", "UTC")),
            "ring_seq": np.ones(1, np.int64),
            "flow_seq": np.ones(1, np.uint64),
            "lost_before": np.zeros(1, np.uint32),
        }
    )
    columns = DECODERS[name].decode(batch).columns
    values = [columns[column][0] for column in COLUMNS]
    return tuple(
        value.cast(pa.int64()).as_py() if pa.types.is_timestamp(value.type) else value.as_py() for value in values
    )


def plain(name: str, payload: bytes, payload_bytes: int) -> tuple[Any, ...]:
    header = read_header(BUILT_IN[name], PayloadSample(NOW_NS, payload_bytes, payload))
    if header is None:
        return ("bad", None, None, None, None, None)
    framing = BUILT_IN[name]
    session = header.session.encode("latin-1").decode("ascii", "backslashreplace").replace("\0", "\\x00")
    return (
        header.status,
        header.sequence,
        header.count,
        session if framing.session else None,
        header.key if framing.key else None,
        header.send_ns,
    )


def assert_same(name: str, payload: bytes, payload_bytes: int | None = None) -> None:
    length = len(payload) if payload_bytes is None else payload_bytes
    assert native(name, payload, length) == plain(name, payload, length), (name, payload.hex())


@pytest.mark.parametrize("name", sorted(BUILT_IN))
@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_any_bytes_with_what_has_to_stand_there_are_read_alike(name: str, data: st.DataObject) -> None:
    framing = BUILT_IN[name]
    payload = bytearray(data.draw(st.binary(min_size=framing.header, max_size=framing.header + 40)))
    for expect in framing.expect:
        value = data.draw(st.sampled_from(expect.values))
        payload[expect.offset : expect.end] = value.to_bytes(expect.width, framing.endian)
    for length in (framing.length, framing.chain):
        if length is not None and data.draw(st.booleans()):
            payload[length.offset : length.end] = (len(payload) - length.add).to_bytes(length.width, framing.endian)
    if framing.status is not None and data.draw(st.booleans()):
        payload[framing.status.offset] = int(data.draw(st.sampled_from(sorted(framing.status.values))))
    if framing.count is not None and framing.count.end <= len(payload):
        count = data.draw(st.sampled_from((0, 1, 2, 255, 65535)))
        raw = (count & ((1 << 8 * framing.count.width) - 1)).to_bytes(framing.count.width, framing.endian)
        payload[framing.count.offset : framing.count.end] = raw
    if framing.send is not None and framing.send.form == "ns":
        at = NOW_NS if data.draw(st.booleans()) else 0
        payload[framing.send.offset : framing.send.offset + 8] = at.to_bytes(8, framing.endian)
    if framing.session is not None and framing.session.text:
        payload[framing.session.offset : framing.session.end] = b"SESSION".ljust(framing.session.width)
    assert_same(name, bytes(payload))


def test_real_packets_are_read_alike_by_every_framing(captures: Path) -> None:
    seen = 0
    for path in sorted(captures.rglob("*.pcap")):
        for _, samples in real_flows(path, 1 << 16):
            for sample in samples:
                for name in ("moldudp64", "cme-mdp3", "nyse-pillar", "cboe-pitch", "opra", "cta", "iex-tp", "mitch"):
                    if plain(name, sample.data, sample.payload_bytes)[0] != "bad":
                        assert_same(name, sample.data, sample.payload_bytes)
                        seen += 1
    assert seen > 500


def test_the_simulated_exchange_is_read_alike() -> None:
    for packet in ExchangeStream(ExchangeParameters(packets=300, rate=0.5)):
        assert_same("moldudp64", packet.payload)
