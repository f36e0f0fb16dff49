"""Looks at what comes into a ring for a while: each line's packets and sequences, and what almost is a line's.

Has a reader of its own, seen by nobody; takes nothing from the recorder and leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nanotape.capture.counters import Flow, SourceCounters
from nanotape.capture.errors import RingError
from nanotape.capture.feeds.decoder import FeedDecoder
from nanotape.capture.feeds.lines import LineFacts
from nanotape.capture.ring import Ring
from nanotape.config.framing import NO_FRAMING, Framing

_OTHERS_MAXIMUM = 1000  # rows of a batch that are compared one by one
_BATCHES_MAXIMUM = 64  # of each ring, before the next ring has its turn


@dataclass(slots=True)
class Watched:
    """What was seen of one ring."""

    flows: dict[tuple[str, str], Flow] = field(default_factory=dict)
    """The ring's newest flow of each channel and line."""
    packets: dict[int, int] = field(default_factory=dict)
    """By flow id."""
    last_ts_ns: dict[int, int] = field(default_factory=dict)
    lines: dict[int, LineFacts] = field(default_factory=dict)
    """What the decoder found, by flow id."""
    others: dict[tuple[str, int], set[tuple[int | None, str]]] = field(default_factory=dict)
    """Packets of no line to a group and port that lines have: their VLANs and senders."""
    before: tuple[SourceCounters, ...] = ()
    after: tuple[SourceCounters, ...] = ()
    lost: int = 0
    """Packets that this reader was too slow for: counts are too low by them."""
    seconds: float = 0.0
    """How long was looked, in truth."""
    ended: str | None = None
    """Why the look ended before its time; None: it did not."""


class RingWatch:
    """One ring; a context manager."""

    def __init__(self, ring: Ring, framings: Mapping[str, Framing], window_ns: int) -> None:
        """Begins with what comes next.

        Args:
            ring: An open one, which is closed with this.
            framings: By name; a line with another one is not decoded.
            window_ns: How late a packet may come and be but reordered.
        """
        self._ring, self._framings = ring, framings
        self._reader = ring.reader("latest")
        self._decoder = FeedDecoder(framings, window_ns=window_ns)
        self._seen = Watched(before=ring.sources())
        self._wanted: set[tuple[str, int]] = set()
        self._know(ring.flows())

    def look(self) -> bool:
        """Takes what has come; False: nothing had."""
        if self._seen.ended is not None:
            return False
        try:
            return self._look()
        except RingError as error:  # one ring that is made anew says nothing of the others
            self._seen.ended = str(error)
            return True

    def _look(self) -> bool:
        for taken in range(_BATCHES_MAXIMUM):
            batch = self._reader.read()
            if batch is None:
                return taken > 0
            self._take(batch)
        return True

    def finish(self, seconds: float) -> Watched:
        """All that was seen in so long."""
        seen = self._seen
        seen.seconds = seconds
        if seen.ended is None and self._reader.is_replaced():
            seen.ended = "the ring was removed or made anew meanwhile; look again"
        seen.lines = {each.flow_id: each for each in self._decoder.lines()}
        seen.after = self._ring.sources()
        seen.lost = self._reader.lost
        return seen

    def close(self) -> None:
        """Closes the ring and the reader with it."""
        self._ring.close()

    def _know(self, flows: Sequence[Flow]) -> None:
        decoded = [each if each.framing in self._framings else replace(each, framing=NO_FRAMING) for each in flows]
        self._decoder.set_flows(decoded)
        self._seen.flows = {(each.channel, each.line): each for each in flows}
        self._wanted = {(each.group, each.port) for each in flows}

    def _take(self, batch: pa.RecordBatch) -> None:
        ids = batch.column("flow_id").to_numpy()
        if any(flow_id not in self._decoder.flows for flow_id in np.unique(ids).tolist() if flow_id):
            self._know(self._ring.flows())
        self._decoder.track(self._decoder.decode(batch))
        stamps = batch.column("ts").cast(pa.int64()).to_numpy()
        for flow_id, packets in zip(*np.unique(ids, return_counts=True), strict=True):
            key = int(flow_id)
            self._seen.packets[key] = self._seen.packets.get(key, 0) + int(packets)
            newest = int(stamps[ids == flow_id].max())
            self._seen.last_ts_ns[key] = max(newest, self._seen.last_ts_ns.get(key, newest))
        if self._seen.packets.get(0):
            self._take_others(batch, ids)

    def _take_others(self, batch: pa.RecordBatch, ids: np.ndarray[tuple[int], np.dtype[np.uint32]]) -> None:
        rows = pa.array(np.flatnonzero(ids == 0)[:_OTHERS_MAXIMUM])
        if not len(rows):
            return
        names = ("dst_ip", "dst_port", "vlan", "src_ip")
        columns = (pc.take(batch.column(name), rows).to_pylist() for name in names)
        for group, port, vlan, sender in zip(*columns, strict=True):
            if (group, port) in self._wanted:
                self._seen.others.setdefault((group, port), set()).add((vlan, sender))


def watch(
    watches: Iterable[RingWatch], seconds: float, clock: Callable[[], float], sleep: Callable[[float], object]
) -> list[Watched]:
    """Looks at several rings for so long, all at the same time."""
    every = list(watches)
    begin = clock()
    while clock() < begin + seconds:
        if not sum(each.look() for each in every):  # each has its turn, also after one that had something
            sleep(0.01)
    looked_s = clock() - begin  # on a busy host the last turn may take longer
    return [each.finish(looked_s) for each in every]
