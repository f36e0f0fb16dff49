"""One packet in words: its stamps, addresses and feed header, and its bytes."""

import threading
from typing import Any

import pyarrow as pa
from rich.text import Text

from nanotape.capture.counters import Flow
from nanotape.capture.feeds.decoder import FeedDecoder
from nanotape.capture.hex_dump import hex_dump
from nanotape.capture.packet import Packet, packets_of
from nanotape.config import Settings
from nanotape.tui import style, words
from nanotape.tui.packet_tail import PacketRow

_HEX_BYTES_MAX = 2048
_FEED = (("feed_session", "session"), ("feed_key", "key"), ("feed_seq", "sequence"), ("feed_count", "messages"))


class PacketFacts:
    """Of one ring's packets."""

    def __init__(self, settings: Settings, flows: tuple[Flow, ...]) -> None:
        """Knows how the flows are framed, as far as the configuration does."""
        self._flows = {flow.id: flow for flow in flows}
        self._decoder = FeedDecoder(settings.framings, window_ns=settings.feeds.reorder_window)
        self._decoder.set_flows(flows)
        self._lock = threading.Lock()

    def text(self, row: PacketRow) -> Text:
        """All of it."""
        rows = row.rows
        packet = next(packets_of(rows))
        flow = self._flows.get(packet.flow_id)
        whose = (
            f"{flow.feed or words.UNKNOWN} {flow.channel} line {flow.line}, {flow.framing}" if flow else "no channel"
        )
        lines = [
            Text.assemble((f"ring sequence {packet.ring_seq:,}", style.HEAD), words.printable(f"  {whose}")),
            Text(_stamps(packet)),
            Text(_addresses(packet)),
            Text(words.printable(self._header(rows)), style.ACCENT),
        ]
        return Text("\n").join([*lines, *_bytes(packet)])

    def _header(self, rows: pa.RecordBatch) -> str:
        with self._lock:
            columns = self._decoder.decode(rows).columns
        said: list[str] = []
        for name, meaning in _FEED:
            value = columns[name][0].as_py()
            if value is not None:
                said.append(f"{meaning} {value}")
        status, sent = columns["feed_status"][0].as_py(), columns["ts_send"].cast(pa.int64())[0].as_py()
        if status is not None:
            said.append(f"status {status}")
        if sent is not None:
            said.append(f"sent {words.clock_time(sent)}")
        return "feed header: " + (", ".join(said) if said else "not decoded")


def _stamps(packet: Packet) -> str:
    fraction = packet.ts % 10**9
    said = f"{words.date_time(packet.ts)}.{fraction:09d} UTC, stamped by {packet.ts_kind}"
    if packet.rx_delay_ns is not None:
        said += f", in the ring {words.nanoseconds(packet.rx_delay_ns)} later"
    lost = f", {packet.lost_before:,} lost before it" if packet.lost_before else ""
    flags = f", {', '.join(sorted(packet.flag_names))}" if packet.flag_names else ""
    return said + lost + flags


def _addresses(packet: Packet) -> str:
    def place(address: str | None, port: int | None) -> str:
        return f"{address or words.UNKNOWN}:{words.UNKNOWN if port is None else port}"

    vlan = f", vlan {packet.vlan}" if packet.vlan is not None else ""
    ends = f"{place(packet.src_ip, packet.src_port)} to {place(packet.dst_ip, packet.dst_port)}"
    return f"{ends}{vlan}, {packet.wire_len:,} bytes on the wire, payload {packet.payload_len:,}"


def _bytes(packet: Packet) -> list[Text]:
    """Header and payload apart, so that what the feed sent begins with its own offset."""
    lines: list[Text] = []
    parts: tuple[tuple[str, Any], ...] = (
        ("payload", packet.payload),
        ("frame before it", packet.header),
        ("behind it", packet.trailer),
    )
    for name, data in parts:
        if data:
            lines.append(Text(f"{name}, {len(data):,} bytes", style.QUIET))
            dumped = hex_dump(data[:_HEX_BYTES_MAX], True).replace("\t", "")
            lines.append(Text(dumped.rstrip("\n")))
        if len(data) > _HEX_BYTES_MAX:
            lines.append(Text(f"and {len(data) - _HEX_BYTES_MAX:,} bytes more", style.QUIET))
    return lines
