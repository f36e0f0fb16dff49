"""A decoder's knowledge as bytes, for the recorder that comes after: native arrays as they are, behind a line of JSON.

Flows are found again by their names, so that a ring that was made anew goes on with the sequences of the last one;
what belongs to flows that are gone, or are framed in another way now, is left.
"""

import json
from collections.abc import Mapping
from typing import Any

from nanotape.capture.counters import Flow
from nanotape.native import ffi, lib

VERSION = 2
SUMMED = ("messages", "gaps", "missing", "duplicates", "reordered")
"""What each stream counts: `struct nt_feed_sums`."""
_ARRAYS = {"labels": "struct nt_label", "streams": "struct nt_feed_stream", "holes": "struct nt_feed_hole"}
_COUNTED = ("packets", "bad", "first_ts_ns", "last_ts_ns", "flow_seq")


def save(feeds: Any, flows: Mapping[int, Flow], ring_id: str, ring_seq: int) -> bytes:
    """All that a decoder knows.

    Args:
        feeds: `struct nt_feeds *`.
        flows: By id.
        ring_id: Of its ring.
        ring_seq: Of the last packet that it has tracked.
    """
    counts = _counts(feeds)
    told = {
        "version": VERSION,
        "ring_id": ring_id,
        "ring_seq": ring_seq,
        "sizes": {name: ffi.sizeof(kind) for name, kind in _ARRAYS.items()},
        "counts": counts,
        "flows": [_told_flow(feeds.flows[each.id], each) for each in flows.values()],
    }
    arrays = {"labels": feeds.labels.labels, "streams": feeds.streams.streams, "holes": feeds.streams.holes}
    parts = [
        bytes(ffi.buffer(arrays[name], counts[name] * ffi.sizeof(kind)))
        for name, kind in _ARRAYS.items()
        if counts[name]
    ]
    return b"".join([json.dumps(told).encode() + b"\n", *parts])


def restore(feeds: Any, flows: Mapping[int, Flow], state: bytes, ring_id: str) -> int | None:
    """Gives a new decoder what another knew.

    Returns:
        The ring sequence that it had come to; None: of another ring.

    Raises:
        ValueError: It is not such a state, or one of another version; the decoder knows nothing.
    """
    line, _, rest = state.partition(b"\n")
    told = json.loads(line)
    if told.get("version") != VERSION or told["sizes"] != {name: ffi.sizeof(kind) for name, kind in _ARRAYS.items()}:
        raise ValueError("it is of another version")
    arrays = {}
    for name, kind in _ARRAYS.items():
        size = told["counts"][name] * ffi.sizeof(kind)
        arrays[name] = ffi.new(f"{kind}[]", max(1, told["counts"][name]))
        if len(rest) < size:
            raise ValueError("it is cut short")
        ffi.memmove(arrays[name], rest[:size], size)
        rest = rest[size:]
    same = told["ring_id"] == ring_id
    kept = _streams(arrays["streams"], told, flows, same)
    labels = _labels(arrays["labels"], told["counts"]["labels"], kept)
    error = lib.nt_feeds_restore(
        feeds, labels, len(labels), kept, len(kept), arrays["holes"], told["counts"]["holes"]
    )  # fmt: skip
    if error:
        raise ValueError("it contradicts itself")
    if same:
        _count(feeds, told, flows)
    return int(told["ring_seq"]) if same else None


def _counts(feeds: Any) -> dict[str, int]:
    return {"labels": feeds.labels.count, "streams": feeds.streams.count, "holes": feeds.streams.hole_count}


def _meaning(flow: Flow) -> list[str]:
    """What a flow is by; sequences read by another framing would be others."""
    return [flow.feed, flow.channel, flow.line, flow.framing or "", flow.role]


def _told_flow(native: Any, flow: Flow) -> dict[str, Any]:
    return {
        "id": flow.id,
        "meaning": _meaning(flow),
        "counted": [getattr(native, name) for name in _COUNTED],
        "past": [getattr(native.past, name) for name in SUMMED],
    }


def _streams(saved: Any, told: dict[str, Any], flows: Mapping[int, Flow], same: bool) -> Any:
    """Those of flows that are still there, by the ids that they have now."""
    now = {tuple(_meaning(flow)): flow.id for flow in flows.values()}
    ids = {each["id"]: now.get(tuple(each["meaning"])) for each in told["flows"]}
    if same:  # an id never changes its meaning within a ring
        ids = {each["id"]: each["id"] for each in told["flows"] if each["id"] in flows}
    kept = [saved[index] for index in range(told["counts"]["streams"]) if ids.get(saved[index].flow) is not None]
    streams = ffi.new("struct nt_feed_stream[]", len(kept))
    for target, stream in zip(streams, kept, strict=True):
        ffi.memmove(ffi.addressof(target), ffi.addressof(stream), ffi.sizeof("struct nt_feed_stream"))
        target.flow = ids[stream.flow]
        if not same:
            target.last_ring_seq = 0
    return streams


def _labels(saved: Any, count: int, streams: Any) -> Any:
    """Those that streams still name, which name them by their new indices: noise of a wrong framing is left behind."""
    used = sorted({index for each in streams for index in (each.session, each.key) if 0 <= index < count})
    now = {index: at for at, index in enumerate(used)}
    for each in streams:
        each.session, each.key = now.get(each.session, -1), now.get(each.key, -1)
    labels = ffi.new("struct nt_label[]", len(used))
    for target, index in zip(labels, used, strict=True):
        ffi.memmove(ffi.addressof(target), ffi.addressof(saved[index]), ffi.sizeof("struct nt_label"))
    return labels


def _count(feeds: Any, told: dict[str, Any], flows: Mapping[int, Flow]) -> None:
    for each in told["flows"]:
        if each["id"] not in flows:
            continue
        native = feeds.flows[each["id"]]
        for name, value in zip(_COUNTED, each["counted"], strict=True):
            setattr(native, name, value)
        for name, value in zip(SUMMED, each["past"], strict=True):
            setattr(native.past, name, value)
