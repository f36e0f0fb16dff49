"""Rows of `packets` as a recorder would write them of a simulated exchange, and the same packets as a pcap file.

MoldUDP64 with ITCH messages on lines A and B of some channels, with whole Ethernet frames: checksums, IP ids and all.
Only for tests and measurements; nothing is sent.
"""

import heapq
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from nanotape.capture.exchange import ExchangeParameters, ExchangeStream
from nanotape.storage.schema import packets_schema

START_NS = 1_792_000_000_000_000_000
HEADER_BYTES = 42
RING_ID = "5" * 32
_HEADER = np.dtype(
    [
        ("to", "S6"), ("from", "S6"), ("type", ">u2"), ("version", "u1"), ("tos", "u1"), ("length", ">u2"),
        ("id", ">u2"), ("fragment", ">u2"), ("ttl", "u1"), ("protocol", "u1"), ("sum", ">u2"), ("src", ">u4"),
        ("dst", ">u4"), ("sport", ">u2"), ("dport", ">u2"), ("udp_length", ">u2"), ("udp_sum", ">u2"),
    ]
)  # fmt: skip
assert _HEADER.itemsize == HEADER_BYTES


@dataclass(frozen=True)
class Feed:
    """What is simulated."""

    packets: int = 100_000
    """Of all channels and lines together, about."""
    channels: int = 4
    rate: float = 50_000.0
    """Packets a second and line."""
    skew_ns: int = 20_000
    """How much later line B comes."""
    ring_id: str = RING_ID
    seed: int = 1


def batches(feed: Feed, rows: int = 65_536) -> Iterator[pa.RecordBatch]:
    """Rows in the order of their stamps, as `packets`."""
    streams = [_flow(feed, channel, line) for channel in range(feed.channels) for line in range(2)]
    merged = heapq.merge(*streams, key=lambda piece: piece[0])  # pieces of all flows interleave within a few ms
    held: list[pa.Table] = []
    sequence = 1
    for _, piece in merged:
        held.append(piece)
        if sum(each.num_rows for each in held) >= rows:
            yield _numbered(held, sequence)
            sequence += sum(each.num_rows for each in held)
            held = []
    if held:
        yield _numbered(held, sequence)


def write_pcap(path: Path, rows: Iterator[pa.RecordBatch]) -> int:
    """The same packets as a pcap file with nanoseconds. Returns how many there were."""
    count = 0
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 1))
        for batch in rows:
            stamps = batch.column("ts").cast(pa.int64()).to_pylist()
            parts = []
            for ts, head, body in zip(
                stamps, batch.column("header").to_pylist(), batch.column("payload").to_pylist(), strict=True
            ):
                size = len(head) + len(body)
                parts += (struct.pack("<IIII", *divmod(ts, 10**9), size, size), head, body)
            file.write(b"".join(parts))
            count += batch.num_rows
    return count


def _flow(feed: Feed, channel: int, line: int) -> Iterator[tuple[int, pa.Table]]:
    each = feed.packets // (2 * feed.channels)
    parameters = ExchangeParameters(seed=feed.seed + channel, rate=feed.rate, packets=each, symbols=200)
    number, chance = 0, np.random.default_rng(feed.seed * 1000 + channel * 2 + line)
    for batch in ExchangeStream(parameters).batches(2048):
        count = len(batch.facts)
        stamps = START_NS + batch.facts["due_ns"].astype(np.int64) + line * feed.skew_ns + channel * 777
        stamps = np.maximum.accumulate(stamps + chance.exponential(300, count).astype(np.int64))
        lengths = batch.facts["bytes"].astype(np.int64)
        header = _headers(channel, line, lengths, number)
        number += count
        yield int(stamps[0]), _rows(feed, channel, line, stamps, header, batch.payloads)


def _headers(channel: int, line: int, lengths: npt.NDArray[np.int64], first: int) -> npt.NDArray[np.void]:
    headers = np.zeros(len(lengths), _HEADER)
    headers["to"], headers["from"] = bytes([1, 0, 0x5E, line, 0, channel]), b"\x02\x00\x00\x00\x00\x07"
    headers["type"], headers["version"], headers["ttl"], headers["protocol"] = 0x0800, 0x45, 16, 17
    headers["length"], headers["udp_length"] = lengths + 28, lengths + 8
    headers["id"] = (first + np.arange(len(lengths))) & 0xFFFF
    headers["fragment"] = 0x4000
    headers["src"], headers["dst"] = 0x0A000007, 0xEFC00000 | line << 8 | channel
    headers["sport"], headers["dport"] = 45000, 30000 + channel
    words = headers.view(np.uint8).reshape(-1, HEADER_BYTES)[:, 14:34].copy().view(">u2").astype(np.int64).sum(axis=1)
    words = (words & 0xFFFF) + (words >> 16)
    headers["sum"] = ~((words & 0xFFFF) + (words >> 16)) & 0xFFFF
    return headers


def _rows(
    feed: Feed,
    channel: int,
    line: int,
    stamps: npt.NDArray[np.int64],
    headers: npt.NDArray[np.void],
    payloads: pa.BinaryArray,
) -> pa.Table:
    count = len(stamps)
    named = {
        "ts_kind": "xdp", "host": "box", "ring": "main", "interface": f"eth{line + 1}", "ring_id": feed.ring_id,
        "feed": "itch", "channel": f"itch-{channel + 1}", "line": "AB"[line], "src_ip": "10.0.0.7",
        "dst_ip": f"239.192.{line}.{channel}",
    }  # fmt: skip
    offsets = pa.py_buffer((np.arange(count + 1) * HEADER_BYTES).astype(np.int32))
    lengths = headers["length"].astype(np.int64) - 28
    columns = {
        "ts": pa.array(stamps),
        "rx_delay_ns": pa.array(300 + np.random.default_rng(int(stamps[0])).exponential(200, count).astype(np.int64)),
        "epoch": pa.array(np.ones(count, np.uint32)),
        "lost_before": pa.array(np.zeros(count, np.uint32)),
        "src_port": pa.array(np.full(count, 45000, np.uint16)),
        "dst_port": pa.array(np.full(count, 30000 + channel, np.uint16)),
        "wire_len": pa.array((lengths + HEADER_BYTES).astype(np.uint32)),
        "payload_len": pa.array(lengths.astype(np.uint32)),
        "header": pa.Array.from_buffers(pa.binary(), count, [None, offsets, pa.py_buffer(headers.tobytes())]),
        "payload": payloads,
        "trailer": pa.array([b""] * count, pa.binary()),
        "flags": pa.array(np.zeros(count, np.uint16)),
        "ring_seq": pa.array(np.zeros(count, np.int64)),
    }
    arrays = []
    for field in packets_schema():
        if field.name in named:
            zeros = pa.array(np.zeros(count, np.int32))
            arrays.append(pa.DictionaryArray.from_arrays(zeros, pa.array([named[field.name]])))
        else:
            arrays.append(
                columns[field.name].cast(field.type) if field.name in columns else pa.nulls(count, field.type)
            )
    return pa.Table.from_arrays(arrays, schema=packets_schema())


def _numbered(held: list[pa.Table], first: int) -> pa.RecordBatch:
    rows = pa.concat_tables(held).unify_dictionaries().combine_chunks()
    rows = rows.take(np.argsort(rows.column("ts").cast(pa.int64()).to_numpy(), kind="stable"))
    at = rows.schema.get_field_index("ring_seq")
    sequences = pa.array(np.arange(first, first + rows.num_rows))
    [batch] = rows.set_column(at, rows.schema.field(at), sequences).combine_chunks().to_batches()
    return batch
