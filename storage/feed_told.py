"""Events of feeds that a recorder told after it had saved its state last: its successor finds the same again."""

import pyarrow.compute as pc

from nanotape.storage.archive import Archive
from nanotape.storage.feed_events import FEED_KINDS, kind_of
from nanotape.storage.feed_findings import Found
from nanotape.storage.packets import RingFacts


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
        names = ["kind", "ring_id", "ring_seq", "channel", "line", "feed_key", "seq_first", "seq_last"]
        rows = archive.rows("events", names)
        chosen = rows.filter((pc.field("ring_id") == ring.ring_id) & (pc.field("ring_seq") >= after))
        self._ranges: dict[tuple[str | None, ...], list[tuple[int, int]]] = {}
        for each in chosen.to_pylist():
            if each["kind"] in FEED_KINDS:
                key = (each["kind"], each["channel"], each["line"], each["feed_key"])
                self._ranges.setdefault(key, []).append((each["seq_first"], each["seq_last"]))

    def has(self, found: Found) -> bool:
        """Whether one tells of this finding, or of some of its sequences."""
        if found.ring_seq > self._through or found.flow_id not in self._flows:
            return False
        key = (kind_of(found), *self._flows[found.flow_id], found.feed_key)
        return any(first <= found.seq_last and last >= found.seq_first for first, last in self._ranges.get(key, ()))
