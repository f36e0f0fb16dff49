"""Events: what befell a capture, as rows of the table `events`.

An event's id follows from what it says, so that one that is found again after a crash is the same event.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal

import pyarrow as pa

from nanotape.storage.table_schemas import table_schema

Severity = Literal["info", "warning", "error"]
Cause = Literal["ours", "upstream", "unknown"]

RECORDER_LAPPED = "recorder_lapped"
"""Stage: the ring went on before the recorder had read."""
RECORDER_WRITE = "recorder_write"
"""Stage: the disk refused what the recorder had read."""
ARCHIVE = "archive"
"""Stage: what was recorded is gone from the disk."""


@dataclass(frozen=True, slots=True)
class Event:
    """One row of `events`; each field as in `table_schemas.py`, None where it is null."""

    kind: str
    ts_start_ns: int
    ts_end_ns: int | None = None
    severity: Severity = "info"
    host: str = ""
    ring: str | None = None
    ring_id: str | None = None
    ring_seq: int | None = None
    """The packets that it belongs to; not part of its identity."""
    feed: str | None = None
    channel: str | None = None
    line: str | None = None
    feed_key: str | None = None
    stage: str | None = None
    cause: Cause | None = None
    filled_by: str | None = None
    seq_kind: Literal["ring", "feed"] | None = None
    seq_first: int | None = None
    seq_last: int | None = None
    packets_lost: int | None = None
    messages_lost: int | None = None
    detail: str | None = None

    @property
    def id(self) -> str:
        """32 hexadecimal digits that name this event. With sequences its stamps do not matter: they are a clock's."""
        of_sequence = self.seq_first is not None
        named = (
            self.kind, self.host, self.ring_id, self.feed, self.channel, self.line, self.feed_key, self.stage,
            self.seq_kind, self.seq_first, self.seq_last, *(() if of_sequence else (self.ts_start_ns, self.detail)),
        )  # fmt: skip
        return hashlib.blake2b(repr(named).encode(), digest_size=16).hexdigest()


def event_batch(events: Sequence[Event]) -> pa.RecordBatch:
    """The same as rows of `events`, in order."""
    schema = table_schema("events")
    names = {field.name for field in fields(Event)}
    columns = []
    for field in schema:
        name = field.name if field.name in names or field.name == "id" else f"{field.name}_ns"
        values = [getattr(event, name) for event in events]
        if pa.types.is_dictionary(field.type):
            columns.append(pa.array(values, pa.string()).dictionary_encode().cast(field.type))
        else:
            columns.append(
                pa.array(values, pa.int64()).cast(field.type) if name.endswith("_ns") else pa.array(values, field.type)
            )
    return pa.RecordBatch.from_arrays(columns, schema=schema)
