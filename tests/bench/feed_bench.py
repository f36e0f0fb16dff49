"""Nanoseconds a packet of decoding feed headers and following their sequences; repeated, steal time beside.

`feed_bench.py [PACKETS]`. Each framing by itself, then 500 channels with two lines each, in the order of a ring.
A copy of the same payloads is timed beside each, so that a slow machine can be told from slow code.
"""

from __future__ import annotations

import statistics
import struct
import sys
import time
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from nanotape.capture.counters import Flow
from nanotape.capture.feeds.decoder import FeedDecoder
from nanotape.config.framing import BUILT_IN, Framing, Number

REPETITIONS = 7
BATCH_ROWS = 65_536
PAYLOAD_BYTES = 180
CHANNELS = 500
COPY = np.empty(BATCH_ROWS * PAYLOAD_BYTES, np.uint8)
START_NS = 1_792_000_000_000_000_000


def payload(framing: Framing, seq: int) -> bytes:
    """A packet of one message that fits a framing."""
    raw = bytearray(PAYLOAD_BYTES)
    order = "big" if framing.endian == "big" else "little"

    def put(place: Number, value: int) -> None:
        raw[place.offset : place.offset + place.width] = value.to_bytes(place.width, order)  # type: ignore[arg-type]

    for expect in framing.expect:
        put(Number(offset=expect.offset, width=expect.width), expect.values[0])
    put(framing.sequence, seq)
    if framing.count:
        put(framing.count, 1)
    if framing.length:
        put(Number(offset=framing.length.offset, width=framing.length.width), PAYLOAD_BYTES - framing.length.add)
    if framing.chain:
        put(Number(offset=framing.chain.offset, width=framing.chain.width), PAYLOAD_BYTES - framing.chain.add)
    if framing.status:
        wanted = next((int(value) for value, status in framing.status.values.items() if status == "data"), 0)
        put(Number(offset=framing.status.offset, width=1), wanted)
    return bytes(raw)


def batch(payloads: Sequence[bytes], flow_ids: Sequence[int], first: int) -> pa.RecordBatch:
    """As a ring reader gives it."""
    rows = len(payloads)
    order = np.arange(first, first + rows)
    return pa.record_batch(
        {
            "flow_id": pa.array(flow_ids, pa.uint32()),
            "payload": pa.array(payloads, pa.binary()),
            "payload_len": pa.array(np.full(rows, PAYLOAD_BYTES), pa.uint32()),
            "flags": pa.array(np.zeros(rows), pa.uint16()),
            "ts": pa.array(START_NS + order * 1000).cast(pa.timestamp("ns", "UTC")),
            "ring_seq": pa.array(order),
            "flow_seq": pa.array(order.astype(np.uint64)),
            "lost_before": pa.array(np.zeros(rows), pa.uint32()),
        }
    )


def flow(number: int, channel: int, line: str, framing: str) -> Flow:
    """One line."""
    return Flow(number, "bench", f"channel-{channel}", line, framing, "incremental", "eth0", "239.0.0.1", None, 1, None)


def steal_s() -> float:
    """CPU time that the host took from this machine, in all."""
    with open("/proc/stat", encoding="ascii") as file:
        return int(file.readline().split()[8]) / 100


def report(name: str, decode: list[float], track: list[float], copy: list[float]) -> None:
    """One line: median and range."""
    figures = (f"{statistics.median(each):6.1f} ({min(each):.1f} to {max(each):.1f})" for each in (decode, track, copy))
    print(f"{name:<16}" + "".join(f"{each:>26}" for each in figures))


def measure(name: str, batches: Sequence[pa.RecordBatch], flows: Sequence[Flow]) -> None:
    """Decodes and follows all batches, each repetition with a new decoder."""
    packets = sum(each.num_rows for each in batches)
    decode: list[float] = []
    track: list[float] = []
    copy: list[float] = []
    for _ in range(REPETITIONS):
        decoder = FeedDecoder(BUILT_IN, window_ns=10_000_000)
        decoder.set_flows(flows)
        spent = np.zeros(3)
        for each in batches:  # dropped before the next, as a recorder does, so that the memory is used again
            begin = time.perf_counter_ns()
            done = decoder.decode(each)
            decoded = time.perf_counter_ns()
            decoder.track(done)
            tracked = time.perf_counter_ns()
            COPY[:] = np.frombuffer(each.column("payload").buffers()[2], np.uint8)
            spent += (decoded - begin, tracked - decoded, time.perf_counter_ns() - tracked)
            assert done.columns["feed_status"].unique().to_pylist() == ["data"]
        for figures, ns in zip((decode, track, copy), spent / packets, strict=True):
            figures.append(float(ns))
    report(name, decode, track, copy)


def main() -> None:
    """See the module."""
    packets = int(sys.argv[1]) if len(sys.argv) > 1 else 10 * BATCH_ROWS
    starts = range(1, packets, BATCH_ROWS)
    stolen, begin = steal_s(), time.monotonic()
    print(f"ns a packet; median (range) of {REPETITIONS} repetitions of {packets:,} packets")
    print(f"{'framing':<16}{'decode':>26}{'follow':>26}{'copy of the payload':>26}")
    for name, framing in BUILT_IN.items():
        made = [batch([payload(framing, n) for n in range(at, at + BATCH_ROWS)], [1] * BATCH_ROWS, at) for at in starts]
        measure(name, made, [flow(1, 1, "A", name)])
    lines = [flow(2 * n + at + 1, n, "AB"[at], "moldudp64") for n in range(CHANNELS) for at in range(2)]
    made = [batch(*interleaved(at), at) for at in starts]
    measure(f"{CHANNELS} channels", made, lines)
    print(f"steal time: {steal_s() - stolen:.2f} s of {time.monotonic() - begin:.0f} s")


def interleaved(first: int) -> tuple[list[bytes], list[int]]:
    """One packet of each line in turn: the worst order for a cache."""
    payloads, flow_ids = [], []
    for n in range(first - 1, first - 1 + BATCH_ROWS):
        turn, number = divmod(n, 2 * CHANNELS)
        payloads.append(b"SESSION001" + struct.pack(">QH", turn + 1, 1) + bytes(PAYLOAD_BYTES - 20))
        flow_ids.append(number + 1)
    return payloads, flow_ids


if __name__ == "__main__":
    main()
