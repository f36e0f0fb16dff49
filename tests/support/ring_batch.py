"""Batches as a ring's reader makes them, without a ring: by the decoder's model in Python."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

import frame_model
import pyarrow as pa

from nanotape.capture.columns import RING_SCHEMA, TS_KINDS

EPOCH_NS = 1_700_000_000_123_456_789


@dataclass(frozen=True)
class Row:
    """One record; what is not said is as in most."""

    frame: bytes
    ts_ns: int = EPOCH_NS
    wire_length: int | None = None
    flags: int = 0
    flow_id: int = 0
    source: int = 0
    lost_before: int = 0


def ring_batch(rows: Iterable[Row | bytes], first_seq: int = 1) -> pa.RecordBatch:
    """These records, in order; bytes alone are a frame."""
    made = [_columns(row if isinstance(row, Row) else Row(row)) for row in rows]
    arrays = []
    for field in RING_SCHEMA:
        if field.name == "ring_seq":
            arrays.append(pa.array(range(first_seq, first_seq + len(made)), pa.int64()))
            continue
        values = [row[field.name] for row in made]
        if field.name == "ts":
            arrays.append(pa.array(values, pa.int64()).cast(field.type))
        elif pa.types.is_dictionary(field.type):
            arrays.append(pa.array(values, pa.string()).dictionary_encode())
        else:
            arrays.append(pa.array(values, field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=RING_SCHEMA)


def _columns(row: Row) -> dict[str, object]:
    found = frame_model.decode(row.frame, row.wire_length, row.flags)
    decoded = {field.name: getattr(found, field.name) for field in fields(found)}
    wire_length = len(row.frame) if row.wire_length is None else row.wire_length
    told = {"ts": row.ts_ns, "flow_id": row.flow_id, "source": row.source, "lost_before": row.lost_before}
    constant = {"ts_kind": TS_KINDS[1], "ts_raw": None, "rx_delay_ns": 100, "epoch": 1, "flow_seq": 0}
    return {**decoded, **constant, **told, "wire_len": wire_length, "flags": found.flags | row.flags}
