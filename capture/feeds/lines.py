"""What a decoder knows of each line: for the one who asks how the feeds are."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nanotape.capture.counters import Flow
from nanotape.capture.feeds.state import SUMMED


@dataclass(frozen=True, slots=True)
class LineFacts:
    """One flow, since the recorder's state began."""

    flow_id: int
    feed: str
    channel: str
    line: str
    packets: int
    last_ts_ns: int | None
    """UTC: of its newest packet; None: none came."""
    session: str | None
    """Of its newest stream; None: none, or no framing is decoded."""
    key: str | None
    last_seq: int | None
    """Newest sequence; None: no framing is decoded, or nothing came."""
    messages: int
    gaps: int
    missing: int
    """Messages that never came."""
    duplicates: int
    reordered: int
    bad: int
    """Packets that do not fit the framing."""


def line_facts(feeds: Any, flows: Mapping[int, Flow], label: Any) -> list[LineFacts]:
    """Of each flow.

    Args:
        feeds: `struct nt_feeds *`.
        flows: By id.
        label: Gives the text of a label's index.
    """
    sums = {flow_id: {name: getattr(feeds.flows[flow_id].past, name) for name in SUMMED} for flow_id in flows}
    newest: dict[int, Any] = {}
    for index in range(feeds.streams.count):
        stream = feeds.streams.streams[index]
        if stream.flow not in sums:
            continue
        for name in SUMMED:
            sums[stream.flow][name] += getattr(stream, name)
        if stream.flow not in newest or stream.last_ts_ns >= newest[stream.flow].last_ts_ns:
            newest[stream.flow] = stream
    return [
        _facts(feeds.flows[flow_id], flow, newest.get(flow_id), sums[flow_id], label) for flow_id, flow in flows.items()
    ]


def _facts(native: Any, flow: Flow, stream: Any, sums: dict[str, int], label: Any) -> LineFacts:
    return LineFacts(
        flow_id=flow.id,
        feed=flow.feed,
        channel=flow.channel,
        line=flow.line,
        packets=native.packets,
        last_ts_ns=native.last_ts_ns if native.packets else None,
        session=label(stream.session) if stream else None,
        key=label(stream.key) if stream else None,
        last_seq=stream.expected - 1 if stream else None,
        bad=native.bad,
        **sums,
    )
