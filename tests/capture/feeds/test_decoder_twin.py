"""The native decoder reads what its plain twin reads: built-in framings, framings that nobody has, real packets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from framing_model import FRAGMENT, Decoded, decode, split
from hand_decoded import HAND_DECODED
from hypothesis import given, settings
from hypothesis import strategies as st
from payloads import real_flows

from nanotape.capture.counters import Flow
from nanotape.capture.feeds.decoder import FeedDecoder
from nanotape.config.framing import BUILT_IN, Framing

COLUMNS = ("feed_status", "feed_session", "feed_key", "feed_seq", "feed_count", "ts_send")
ROLES = ("incremental", "snapshot", "definition", "retransmit")
STATUSES = ("data", "heartbeat", "retransmit", "snapshot", "reset", "end", "unsequenced", "bad")


def native(spec: Framing, payload: bytes, payload_bytes: int, flags: int, role: str) -> Decoded:
    decoder = FeedDecoder({"it": spec}, window_ns=10_000_000)
    decoder.set_flows([Flow(1, "f", "c", "A", "it", role, "eth1", "233.252.0.1", None, 1, None)])
    batch = pa.record_batch(
        {
            "flow_id": np.ones(1, np.uint32),
            "payload": pa.array([payload], pa.binary()),
            "payload_len": np.full(1, payload_bytes, np.uint32),
            "flags": np.full(1, flags, np.uint16),
            "ts": pa.array([0], pa.timestamp("ns", "UTC")),
            "ring_seq": np.ones(1, np.int64),
            "lost_before": np.zeros(1, np.uint32),
        }
    )
    columns = decoder.decode(batch).columns
    return Decoded(*(_value(columns[name]) for name in COLUMNS))


def _value(column: pa.Array) -> Any:
    return (column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column)[0].as_py()


@st.composite
def numbers(draw: st.DrawFn, header: int, width_max: int = 8, *, may_mask: bool = True) -> dict[str, Any]:
    width = draw(st.integers(1, min(width_max, header)))
    number: dict[str, Any] = {"offset": draw(st.integers(0, header - width)), "width": width}
    if may_mask and draw(st.booleans()):
        number["mask"] = draw(st.integers(1, min((1 << 8 * width) - 1, (1 << 63) - 1)))
    return number


@st.composite
def labels(draw: st.DrawFn, header: int) -> dict[str, Any]:
    if draw(st.booleans()):
        width = draw(st.integers(1, min(16, header)))
        return {"offset": draw(st.integers(0, header - width)), "width": width, "text": True}
    label: dict[str, Any] = draw(numbers(header))
    return label if "mask" in label else {**label, "signed": draw(st.booleans())}


@st.composite
def framings(draw: st.DrawFn) -> Framing:
    """Any that a configuration may hold, of sequences and counts that columns can hold."""
    header = draw(st.integers(8, 40))
    spec: dict[str, Any] = {
        "endian": draw(st.sampled_from(["big", "little"])),
        "header": header,
        "sequence": draw(numbers(header, 7)),
    }
    if spec["sequence"]["width"] <= 4 and draw(st.booleans()):
        spec["sequence_high"] = draw(numbers(header, 3))
    for name in ("session", "key"):
        if draw(st.booleans()):
            spec[name] = draw(labels(header))
    if draw(st.booleans()):
        spec["count"] = draw(numbers(header + 2, 2))
        for name in ("heartbeat_count", "end_count"):
            if draw(st.booleans()):
                spec[name] = draw(st.sampled_from([0, 1, 255, 65_535]))
    if draw(st.booleans()):
        values = draw(st.dictionaries(st.integers(0, 255).map(str), st.sampled_from(STATUSES), max_size=6))
        other = draw(st.sampled_from(STATUSES))
        spec["status"] = {"offset": draw(st.integers(0, header - 1)), "values": values, "other": other}
        if draw(st.booleans()):
            spec["status"]["mask"] = draw(st.integers(1, 255))
    if draw(st.booleans()):
        spec["unsequenced"] = draw(st.sampled_from([0, 1]))
    if draw(st.integers(0, 3)) == 0:
        spec["expect"] = [
            {
                **draw(numbers(header, 2, may_mask=False)),
                "values": draw(st.sets(st.integers(0, 3), min_size=1, max_size=4)),
            }
        ]
        spec["expect"][0]["values"] = list(spec["expect"][0]["values"])
    if draw(st.integers(0, 2)) == 0:
        name = draw(st.sampled_from(["length", "chain"])) if not spec.keys() & {"count", "unsequenced"} else "length"
        spec[name] = {**draw(numbers(header, 2, may_mask=False)), "add": draw(st.integers(-3, 40))}
    if draw(st.booleans()):
        form = draw(st.sampled_from(["ns", "us", "ms", "s", "s+ns"]))
        spec["send"] = {**draw(numbers(header, may_mask=False)), "form": form}
        if form == "s+ns":
            spec["send"]["ns_offset"] = draw(st.integers(0, header - 4))
    return Framing.model_validate(spec)


@st.composite
def payloads(draw: st.DrawFn, spec: Framing) -> bytes:
    """Of such a packet, often as its framing demands, and often with numbers that mean something."""
    byte = st.one_of(st.sampled_from([0, 1, 2, 255]), st.integers(0, 255))
    payload = bytearray(draw(st.lists(byte, min_size=spec.header - 1, max_size=spec.header + 30)))
    for expect in spec.expect:
        if draw(st.integers(0, 4)):
            value = draw(st.sampled_from(expect.values))
            payload[expect.offset : expect.end] = value.to_bytes(expect.width, spec.endian)
    for length in (spec.length, spec.chain):
        if length is not None and draw(st.integers(0, 4)):
            stated = max(0, len(payload) - length.add) % (1 << 8 * length.width)
            payload[length.offset : length.end] = stated.to_bytes(length.width, spec.endian)
    if spec.send is not None and spec.send.width == 8 and draw(st.booleans()):
        at_ns = draw(st.integers(31_535_999 * 10**9, 2**63))
        scale = {"ns": 1, "us": 10**3, "ms": 10**6}.get(spec.send.form, 10**9)
        payload[spec.send.offset : spec.send.offset + 8] = (at_ns // scale).to_bytes(8, spec.endian)
    return bytes(payload)


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_any_bytes_by_any_framing_are_read_alike(data: st.DataObject) -> None:
    assert_read_alike(data)


@pytest.mark.slow
@given(st.data())
@settings(max_examples=5_000, deadline=None)
def test_many_bytes_by_many_framings_are_read_alike(data: st.DataObject) -> None:
    assert_read_alike(data)


def assert_read_alike(data: st.DataObject) -> None:
    spec = data.draw(framings())
    payload = data.draw(payloads(spec))
    is_cut = spec.chain is None and data.draw(st.integers(0, 5)) == 0
    payload_bytes = len(payload) + (data.draw(st.integers(1, 9)) if is_cut else 0)
    flags = data.draw(st.sampled_from([0, 0, 0, 1, 8, 32, FRAGMENT]))
    role = data.draw(st.sampled_from(ROLES))
    assert native(spec, payload, payload_bytes, flags, role) == decode(spec, payload, payload_bytes, flags, role)


@pytest.mark.parametrize("name", sorted(BUILT_IN))
@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_any_bytes_by_a_built_in_framing_are_read_alike(name: str, data: st.DataObject) -> None:
    payload = data.draw(payloads(BUILT_IN[name]))
    role = data.draw(st.sampled_from(ROLES))
    found = decode(BUILT_IN[name], payload, len(payload), 0, role)
    assert native(BUILT_IN[name], payload, len(payload), 0, role) == found


@pytest.mark.parametrize("place", HAND_DECODED, ids=[folder for folder, _ in HAND_DECODED])
def test_the_twin_reads_real_packets_as_they_were_read_by_hand(captures: Path, place: tuple[str, str]) -> None:
    folder, framing = place
    spec, rows = BUILT_IN[framing], HAND_DECODED[place]
    for file in {row[0] for row in rows}:
        samples = [each for _, flow in real_flows(captures / folder / f"{file}.pcap", 2000) for each in flow]
        found = [decode(spec, each.data, each.payload_bytes) for each in samples]
        assert sorted(map(repr, found)) == sorted(repr(Decoded(*row[2:])) for row in rows if row[0] == file)
        if spec.messages:
            for each, header in zip(samples, found, strict=True):
                messages = split(spec, each.data)
                assert messages is not None, file
                assert spec.count is None or len(messages) == header.count
