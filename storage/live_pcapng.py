"""Batches of a ring, or of several merged, as live pcapng: each (source, link type) an interface, drops, statistics.

Needs no native code: it takes the rings' tables as they are handed to it. Every call ends with whole blocks written.
"""

import platform
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Protocol

import pyarrow as pa

from nanotape.storage.clock import Clock, SystemClock
from nanotape.storage.pcapng import (
    LINKTYPE_ETHERNET,
    LINKTYPE_LINUX_SLL,
    LINKTYPE_LINUX_SLL2,
    LINKTYPE_RAW,
    InterfaceCounts,
    PcapngWriter,
)

_LINK_TYPES = {1 << 8: LINKTYPE_LINUX_SLL, 1 << 9: LINKTYPE_LINUX_SLL2, 1 << 10: LINKTYPE_RAW}
_LINK_FLAGS = sum(_LINK_TYPES)  # of enum nt_record_flag
# These bring nothing but Ethernet: announced before their first packet, so that a viewer has something to show at once.
_ETHERNET_KINDS = ("afxdp", "socket", "synthetic")
_RING_SHIFT = 16  # above all flags
_STATISTICS_NS = 10**9
_UNKNOWN = InterfaceCounts()


class RingTables(Protocol):
    """What is needed of `nanotape.capture.Ring`."""

    @property
    def name(self) -> str:
        """As configured."""

    @property
    def created_ns(self) -> int:
        """UTC."""

    def sources(self) -> Sequence[Any]:
        """Entries in the order of their slots: name, interface, kind, stats. The table only grows."""


@dataclass(slots=True)
class _Interface:
    """One interface of the file."""

    number: int
    ring: int
    """Place of its ring among those shown."""
    source: int
    """Slot of the ring's source table."""
    delivered: int = 0
    told: InterfaceCounts | None = None


class LivePcapng:
    """Writes what it is shown, and the sources' counters every second."""

    def __init__(
        self,
        rings: Sequence[RingTables],
        write: Callable[[bytes], object],
        application: str,
        *,
        from_now: bool,
        clock: Clock | None = None,
    ) -> None:
        """Begins the file.

        Args:
            rings: Their tables and counters: of one ring, or of all that are merged, in the order of the merge.
            write: Takes whole blocks.
            application: What writes this, with its version.
            from_now: Counts are told from now on; else since the rings were made, as suits one who reads what is old.
            clock: None: the host's.
        """
        self._rings = rings
        self._clock = clock or SystemClock()
        self._before = [[_counts(source) for source in ring.sources()] if from_now else [] for ring in rings]
        now_ns = self._clock.utc_ns()
        self._starts_ns = [now_ns if from_now else ring.created_ns for ring in rings]
        self._told_ns = self._clock.monotonic_ns()
        self._interfaces: dict[int, _Interface] = {}  # by ring, source slot and link flags
        system = f"{platform.system()} {platform.release()}"
        self._writer = PcapngWriter(write, platform.machine(), system, application)
        for place, ring in enumerate(rings):
            for slot, source in enumerate(ring.sources()):
                if source.kind in _ETHERNET_KINDS:
                    self._interface(place << _RING_SHIFT | slot)
        self._writer.flush()

    def show(self, batch: pa.RecordBatch) -> None:
        """Writes the packets of a batch of the reader's schema; their `lost_before` become drop counts."""
        column = {name: batch.column(name) for name in ("header", "payload", "trailer")}
        frames = map(b"".join, zip(*(values.to_pylist() for values in column.values()), strict=True))
        slots = batch.column("source").to_numpy().astype(int)
        keys = slots | (batch.column("flags").to_numpy().astype(int) & _LINK_FLAGS)
        if "ring" in batch.schema.names:
            keys |= batch.column("ring").indices.to_numpy().astype(int) << _RING_SHIFT
        numbers = []
        for key in keys.tolist():
            interface = self._interfaces.get(key) or self._interface(key)
            interface.delivered += 1
            numbers.append(interface.number)
        stamps = batch.column("ts").cast(pa.int64()).to_pylist()
        lengths, lost = batch.column("wire_len").to_pylist(), batch.column("lost_before").to_pylist()
        comments = [""] * batch.num_rows
        self._writer.packets(zip(numbers, stamps, lengths, frames, lost, comments, strict=True))
        self._writer.flush()

    def tick(self) -> None:
        """Writes statistics when a second is over and they have changed; call it often."""
        now = self._clock.monotonic_ns()
        if now - self._told_ns >= _STATISTICS_NS:
            self._told_ns = now
            self._tell(None)

    def finish(self) -> None:
        """Writes the last statistics."""
        self._tell(self._clock.utc_ns())

    def _tell(self, end_ns: int | None) -> None:
        # A source that came later counts from nought, and so does a ring that is told whole.
        tables = [
            list(zip_longest(map(_counts, ring.sources()), before, fillvalue=_UNKNOWN))
            for ring, before in zip(self._rings, self._before, strict=True)
        ]
        for interface in self._interfaces.values():
            counts = tables[interface.ring]
            new, old = counts[interface.source] if interface.source < len(counts) else (_UNKNOWN, _UNKNOWN)
            now = _since(new, old, interface.delivered)
            if end_ns is None and now == interface.told:
                continue
            interface.told = now
            at_ns = self._clock.utc_ns() if end_ns is None else end_ns
            self._writer.statistics(interface.number, at_ns, now, self._starts_ns[interface.ring], end_ns)
        self._writer.flush()

    def _interface(self, key: int) -> _Interface:
        """Announces the interface of a source slot, with link flags above its eight bits, and the ring above those."""
        place, slot, link = key >> _RING_SHIFT, key & 0xFF, key & _LINK_FLAGS
        ring = self._rings[place]
        sources = ring.sources()
        source = sources[slot] if slot < len(sources) else None
        name = (source.interface or source.name) if source else f"{ring.name}:{slot}"
        description = source.name if source else ""
        if len(self._rings) > 1:
            description = f"{description} of ring {ring.name}".lstrip()
        number = self._writer.add_interface(_LINK_TYPES.get(link, LINKTYPE_ETHERNET), name, description)
        interface = self._interfaces[key] = _Interface(number, place, slot)
        return interface


def _counts(source: Any) -> InterfaceCounts:
    """A source's counters in pcapng's terms: the NIC's queue is the interface, all behind it the system."""
    stats = source.stats
    received = stats.xdp_seen if source.kind == "afxdp" else stats.offered
    at_queue = (stats.rx_dropped, stats.rx_ring_full)
    behind = (stats.socket_drops, stats.lost_with_holder, source.loop.oversize or None)  # 0 says nothing of the others
    return InterfaceCounts(received, _sum(at_queue), _sum(behind))


def _sum(parts: Iterable[int | None]) -> int | None:
    """Of what is known; None: nothing is."""
    known = [part for part in parts if part is not None]
    return sum(known) if known else None


def _since(now: InterfaceCounts, before: InterfaceCounts, delivered: int) -> InterfaceCounts:
    def grown(new: int | None, old: int | None) -> int | None:
        return None if new is None else max(0, new - (old or 0))

    return InterfaceCounts(
        grown(now.received, before.received),
        grown(now.interface_drops, before.interface_drops),
        grown(now.system_drops, before.system_drops),
        delivered,
    )
