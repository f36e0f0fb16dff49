"""Events as comments on exported packets: each on the first packet of its ring that comes after it.

What is told of ring sequences goes by those, all else by time. Events are held in memory, packets are not.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from nanotape.storage.reader import ArchiveReader
from nanotape.storage.selection import Selection

Longs = npt.NDArray[np.int64]

_COLUMNS = (
    "id", "ts_start", "ts_end", "kind", "ring", "ring_id", "feed", "channel", "line", "stage", "cause", "seq_kind",
    "seq_first", "seq_last", "packets_lost", "messages_lost", "detail",
)  # fmt: skip
_SAID_ONLY = ("feed", "channel", "line", "stage", "cause", "packets_lost", "messages_lost", "detail")


@dataclass(slots=True)
class _Waiting:
    """Events that no packet was found for yet, each as (place, text), the first to come first."""

    by_seq: deque[tuple[int, str]] = field(default_factory=deque)
    """Of one ring, by the last sequence that they are about."""
    by_time: deque[tuple[int, str]] = field(default_factory=deque)
    """Of one ring, by their start."""
    begun: bool = False


class EventComments:
    """The comments of an export; show it all packets in order."""

    def __init__(self, reader: ArchiveReader, selection: Selection) -> None:
        """Reads the events.

        Args:
            reader: The archives.
            selection: Of the packets; events of other channels, feeds and lines are left out, and so are those before
                its start and after its end. Those that are about no channel are told always.
        """
        self.told = 0
        self._start_ns = selection.start_ns
        self._rings: dict[str, _Waiting] = {}
        self._anywhere: deque[tuple[int, str]] = deque()
        rows = reader.select("events", Selection(end_ns=selection.end_ns), _COLUMNS)
        wanted = [event for batch in rows for event in _events(batch) if _concerns(event, selection)]
        for event in sorted(wanted, key=lambda event: (event["seq_last"] or 0, event["ts_start"])):
            if event["seq_kind"] == "ring" and event["ring_id"] is not None:
                self._ring(event["ring_id"]).by_seq.append((event["seq_last"], comment(event)))
        for event in sorted(wanted, key=lambda event: int(event["ts_start"])):
            if event["seq_kind"] == "ring" and event["ring_id"] is not None:
                continue
            if self._start_ns is None or event["ts_start"] >= self._start_ns:
                waiting = self._anywhere if event["ring_id"] is None else self._ring(event["ring_id"]).by_time
                waiting.append((event["ts_start"], comment(event)))

    @property
    def untold(self) -> int:
        """Events after the last packet that was shown of their ring."""
        waiting = self._rings.values()
        return len(self._anywhere) + sum(len(each.by_seq) + len(each.by_time) for each in waiting if each.begun)

    def of(self, ring_id: str, sequences: Longs, stamps: Longs) -> dict[int, str]:
        """Comments of packets of one ring, by their place among these.

        Args:
            ring_id: The ring.
            sequences: Rising.
            stamps: UTC, nanoseconds.
        """
        waiting = self._ring(ring_id)
        if not len(sequences):
            return {}
        if not waiting.begun:
            waiting.begun = True
            while self._start_ns is not None and waiting.by_seq and waiting.by_seq[0][0] < int(sequences[0]) - 1:
                waiting.by_seq.popleft()  # before what was asked for
        found: dict[int, list[str]] = {}
        for queue, keys in (
            (waiting.by_seq, sequences - 1),
            (waiting.by_time, stamps),
            (self._anywhere, stamps),
        ):
            if queue:
                _take(queue, np.maximum.accumulate(keys), found)
        self.told += sum(map(len, found.values()))
        return {place: "\n".join(texts) for place, texts in found.items()}

    def _ring(self, ring_id: str) -> _Waiting:
        return self._rings.setdefault(ring_id, _Waiting())


def _take(queue: deque[tuple[int, str]], keys: Longs, found: dict[int, list[str]]) -> None:
    """Moves the events that come before the last of these packets to the first packet at or after each."""
    while queue and queue[0][0] <= keys[-1]:
        key, text = queue.popleft()
        found.setdefault(int(np.searchsorted(keys, key, "left")), []).append(text)


def _concerns(event: dict[str, Any], selection: Selection) -> bool:
    words = dict(selection.names)
    return all(
        event[name] is None or event[name] in words[name] for name in ("feed", "channel", "line") if name in words
    )


def _events(batch: pa.RecordBatch) -> Iterable[dict[str, Any]]:
    stamps = ("ts_start", "ts_end")
    plain = [
        column.cast(pa.int64()) if name in stamps else column
        for name, column in zip(batch.schema.names, batch.columns, strict=True)
    ]
    return pa.RecordBatch.from_arrays(plain, names=batch.schema.names).to_pylist()  # type: ignore[no-any-return]


def comment(event: dict[str, Any]) -> str:
    """An event in a line: `nanotape capture_loss: ring 5-9, packets_lost 5, cause ours (id ...)`."""
    parts = []
    if event["seq_first"] is not None:
        sequences = f"{event['seq_first']}-{event['seq_last']}"
        parts.append(f"{event['seq_kind']} sequences {sequences}")
    parts += [f"{name} {event[name]}" for name in _SAID_ONLY if event[name] is not None]
    return f"nanotape {event['kind']}: {', '.join([*parts, 'id ' + event['id']])}"
