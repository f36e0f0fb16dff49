"""Events in the order in which they are found, and those that come, each once."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from nanotape.storage.answer import stamp_text
from nanotape.storage.reader import ArchiveReader
from nanotape.storage.selection import Selection


class EventFollower:
    """Gives events that it has not given yet."""

    def __init__(self, reader: ArchiveReader, selection: Selection) -> None:
        """Gives nothing yet.

        Args:
            reader: The archives.
            selection: Which events are wanted.
        """
        self._reader, self._selection = reader, selection
        self._given: set[tuple[str, int | None]] = set()

    def new(self) -> list[dict[str, Any]]:
        """Those that are there and were not given, by when they began. An event that ends is given once more.

        Raises:
            ArchiveError: A file cannot be read.
        """
        rows = self._reader.select("events", self._selection).read_all()
        for name in ("ts_start", "ts_end"):
            rows = rows.set_column(rows.column_names.index(name), name, rows.column(name).cast(pa.int64()))
        found = []
        for row in rows.unify_dictionaries().sort_by("ts_start").to_pylist():
            key = (row["id"], row["ts_end"])
            if key not in self._given:
                self._given.add(key)
                found.append(row)
        return found


def event_line(event: dict[str, Any]) -> str:
    """One event for people."""
    head = f"{stamp_text(event['ts_start'])}  {event['severity']:<7}  {event['kind']:<12}"
    return "  ".join([head, *_parts(event)]).rstrip()


def event_json(event: dict[str, Any]) -> dict[str, Any]:
    """One event for programs: stamps as text with nine digits."""
    stamps = {name: None if event[name] is None else stamp_text(event[name]) for name in ("ts_start", "ts_end")}
    return {**event, **stamps}


def _parts(event: dict[str, Any]) -> Iterator[str]:
    if event["ts_end"] is not None and event["ts_end"] != event["ts_start"]:
        yield f"for {(event['ts_end'] - event['ts_start']) / 1e9:.9f} s"
    where = [event[name] for name in ("host", "ring", "channel", "line") if event[name]]
    if where:
        yield "/".join(where)
    if event["seq_kind"]:
        yield f"{event['seq_kind']} sequences {event['seq_first']} to {event['seq_last']}"
    if event["packets_lost"] is not None:
        yield f"{event['packets_lost']:,} packets"
    yield from (f"{name} {event[name]}" for name in ("cause", "stage", "filled_by") if event[name])
    if event["detail"]:
        yield event["detail"]
