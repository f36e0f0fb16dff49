"""A ring in files whose writer counts as a capture does, so that `status` has something to judge."""

from __future__ import annotations

import time
from pathlib import Path

from frames import market_data
from ring_writer import RingWriter, Written, fault

from nanotape.native import ffi, lib


class CountingRing:
    """A ring with one source, which makes its packets itself."""

    def __init__(self, shm: Path, name: str = "test") -> None:
        """Makes the ring; this process is its writer."""
        self.writer = RingWriter.attach(shm, name)
        slot, problem = ffi.new("uint32_t *"), fault()
        kind = lib.NT_SOURCE_SYNTHETIC
        assert lib.nt_ring_source_slot(self.writer.handle, b"synthetic:0", b"none", kind, 0, slot, problem) == 0
        self.counters = self.writer.handle.sources[slot[0]]
        for name_of_count in ("socket_drops", "rx_dropped", "rx_ring_full"):
            setattr(self.counters.stats, name_of_count, lib.NT_COUNT_UNKNOWN)

    def poll(self, packets: int = 0) -> None:
        """Once round the loop, with so many packets, and what the helper thread tells of it."""
        now_ns = time.time_ns()
        if packets:
            self.writer.write(*(Written(market_data(bytes(100)), ts_ns=now_ns) for _ in range(packets)))
            self.counters.loop.packets += packets
            self.counters.loop.bytes += packets * 142
            self.counters.loop.last_packet_ns = now_ns
            self.counters.loop.polls_busy += 1
            self.counters.stats.offered += packets
        self.counters.loop.polls_idle += 1
        self.counters.stats.updated_ns = now_ns

    def close(self) -> None:
        """Ends as a capture ends."""
        self.writer.close()
