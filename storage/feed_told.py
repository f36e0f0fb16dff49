"""Events of feeds that a recorder told after it had saved its state last: its successor finds the same again."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from nanotape.storage.archive import Archive, projected
from nanotape.storage.events import Cause
from nanotape.storage.feed_events import FEED_KINDS, kind_of
from nanotape.storage.feed_findings import Found
from nanotape.storage.packets import RingFacts
from nanotape.storage.parquet_facts import read_parquet
from nanotape.storage.segment_facts import read_segment

_COLUMNS = ("kind", "ring_id", "ring_seq", "channel", "line", "feed_key", "seq_first", "seq_last", "cause")


class ToldBefore:
    """Of one ring."""

    def __init__(self, archive: Archive, ring: RingFacts, after: int, through: int) -> None:
        """Reads the events.

        Args:
            archive: Where they are.
            ring: Whose.
            after: Ring sequence that the state goes with.
            through: Last ring sequence that the recorder had come to: what is found later is new.

        Raises:
            ArchiveError: The archive cannot be read.
        """
        self._through = through
        self._flows = {flow.id: (flow.channel, flow.line) for flow in ring.flows()}
        self._ranges: dict[tuple[str | None, ...], list[tuple[int, int, Cause]]] = {}
        chosen = (pc.field("ring_id") == ring.ring_id) & (pc.field("ring_seq") >= after)
        for batch in _events_since(archive, ring.ring_id, after):
            for each in pa.table(batch).filter(chosen).to_pylist():
                if each["kind"] in FEED_KINDS:
                    key = (each["kind"], each["channel"], each["line"], each["feed_key"])
                    self._ranges.setdefault(key, []).append(
                        (each["seq_first"], each["seq_last"], each["cause"] or "unknown")
                    )

    def cause_of(self, found: Found) -> Cause | None:
        """What one that tells of this finding, or of some of its sequences, says of its cause; None: none does."""
        if found.ring_seq > self._through or found.flow_id not in self._flows:
            return None
        key = (kind_of(found), *self._flows[found.flow_id], found.feed_key)
        told = self._ranges.get(key, ())
        causes = (cause for first, last, cause in told if first <= found.seq_last and last >= found.seq_first)
        return next(causes, None)


def _events_since(archive: Archive, ring_id: str, after: int) -> Iterator[pa.RecordBatch]:
    """Batches with those of a ring from a sequence on; a recorder that begins cannot wait for the months before."""
    visible, schema = archive.visible("events"), projected("events", _COLUMNS)
    for facts in visible.parquet:
        ring = facts.entry.rings.get(ring_id)
        if ring is not None and ring.last_seq >= after:
            yield from read_parquet(facts, schema)
    for segment in visible.segments:
        if segment.ring_id == ring_id and segment.last_seq >= after:
            yield from read_segment(segment, schema)
