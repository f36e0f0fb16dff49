"""Events of one ring, each with host, ring and id: of a loss, of a link, and any other. Tells nothing itself."""

from typing import Any

import numpy as np
import pyarrow as pa

from nanotape.storage.events import Event, Severity
from nanotape.storage.packets import RingFacts
from nanotape.storage.settlement import Loss


class RingEvents:
    """Makes them."""

    def __init__(self, ring: RingFacts) -> None:
        """Of this ring."""
        self._ring = ring.host, ring.name, ring.ring_id

    def of(
        self,
        kind: str,
        start_ns: int,
        end_ns: int | None = None,
        severity: Severity = "info",
        *,
        ring_seq: int,
        stage: str | None = None,
        detail: str | None = None,
    ) -> Event:
        """Any event, in the words of `events.Event`."""
        return Event(kind, start_ns, end_ns, severity, *self._ring, ring_seq=ring_seq, stage=stage, detail=detail)

    def of_link(self, outage: Any) -> Event:
        """What befell a link: `nanotape.capture.link_outage.LinkOutage`."""
        times = outage.ts_start_ns, outage.ts_end_ns
        return Event("link", *times, outage.severity, *self._ring, detail=outage.detail)

    def of_loss(self, loss: Loss, rows: pa.RecordBatch, before_ns: int | None, ring_seq: int) -> Event:
        """A loss, from the packet before it to the one after.

        Args:
            loss: What is missing.
            rows: Of `packets`, among which it lies.
            before_ns: Stamp of the packet before the rows, UTC; None: there is none.
            ring_seq: To which the event belongs.
        """
        start_ns, end_ns = _around(loss, rows, before_ns)
        return Event(
            "capture_loss",
            start_ns,
            max(start_ns, end_ns),
            "error",
            *self._ring,
            ring_seq=ring_seq,
            stage=loss.stage,
            cause="ours",
            seq_kind="ring",
            seq_first=loss.first_seq,
            seq_last=loss.last_seq,
            packets_lost=loss.packets,
        )


def _around(loss: Loss, rows: pa.RecordBatch, before_ns: int | None) -> tuple[int, int]:
    """The stamps of the packets before and after a loss, UTC; `before_ns` is that of the packet before the rows."""
    stamps = rows.column("ts").cast(pa.int64())
    after = min(int(np.searchsorted(rows.column("ring_seq").to_numpy(), loss.last_seq)), len(stamps) - 1)
    after_ns = stamps[after].as_py()
    start_ns = stamps[after - 1].as_py() if after else before_ns
    return (after_ns if start_ns is None else min(start_ns, after_ns)), after_ns
