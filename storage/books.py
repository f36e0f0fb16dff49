"""Rows of `counters` and `channels`: what a ring's books and its flow table said at a moment.

Whoever can read a ring's memory hands the figures over: nothing here needs native code.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

from nanotape.storage.table_schemas import table_schema
from nanotape.storage.traffic_stats import Belonging

Occasion = Literal["start", "second", "epoch", "handover", "stop"]

RING_STAGES = (
    "offered", "passed_unmatched", "passed_no_socket", "redirected", "rx_dropped", "rx_ring_full", "socket_drops",
    "lost_with_holder", "unselected", "oversize", "waiting", "in_ring",
)  # fmt: skip
"""Counters of a ring's source: fields of `nanotape.capture.conservation.SourceBooks`."""
STAMP_STAGES = ("unstamped", "backwards", "bad_stamps")
"""Of its packets in the ring: fields of `nanotape.capture.counters.LoopCounters`. They take no part in the books."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One counter."""

    source: str
    """Source of the ring, or name of the recorder."""
    interface: str | None
    stage: str
    value: int | None
    """None: unknown."""


@dataclass(frozen=True, slots=True)
class RingReadings:
    """All counters of a ring's sources at one moment, the loop's read before those upstream of it."""

    epoch: int | None
    """Of the writer; +1 with each."""
    holder_id: int | None
    """Whoever holds the sockets; None: nobody, or unknown. A new writer under the same holder is a hand-over."""
    readings: tuple[Reading, ...]
    counted_ns: int | None = None
    """UTC: up to when what is counted before the ring is in it; None: unknown, or up to the moment of reading."""
    attached_ns: int | None = None
    """UTC: when the writer began; None: unknown."""
    first_seq: int | None = None
    """Ring sequence that the writer began with; None: unknown."""


def counter_rows(
    belonging: Belonging, ring_seq: int, at_ns: int, epoch: int | None, readings: Sequence[Reading], occasion: Occasion
) -> pa.RecordBatch:
    """Rows of `counters`, one a reading."""
    return table_rows(
        "counters",
        belonging,
        ring_seq,
        {
            "ts": [at_ns] * len(readings),
            "epoch": [epoch] * len(readings),
            "source": [each.source for each in readings],
            "interface": [each.interface for each in readings],
            "stage": [each.stage for each in readings],
            "value": [each.value for each in readings],
            "occasion": [occasion] * len(readings),
        },
    )


def flows_hash(flows: Sequence[Any]) -> str:
    """The same for the same flows, in 64 hexadecimal digits."""
    text = json.dumps([_flow(each) for each in flows], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def channel_rows(belonging: Belonging, ring_seq: int, from_ns: int, flows: Sequence[Any]) -> pa.RecordBatch:
    """Rows of `channels`, one a flow.

    Args:
        belonging: Whose.
        ring_seq: Last sequence recorded before they were in force.
        from_ns: UTC, from when on they are.
        flows: At least one, of the ring's flow table: `nanotape.capture.counters.Flow`.
    """
    told = [_flow(each) for each in flows]
    columns: dict[str, list[Any]] = {name: [flow[name] for flow in told] for name in told[0]}
    columns |= {"ts_from": [from_ns] * len(told), "config_hash": [flows_hash(flows)] * len(told)}
    return table_rows("channels", belonging, ring_seq, columns)


def _flow(flow: Any) -> dict[str, Any]:
    def text(name: str) -> str | None:
        value = getattr(flow, name, None)
        return None if value is None or value == "" else str(value)

    optional = {name: text(name) for name in ("interface", "source", "vlan")}
    named = {name: text(name) or "" for name in ("feed", "channel", "line", "framing", "role", "group")}
    return {"flow_id": flow.id, "port": getattr(flow, "port", 0), **named, **optional}


def table_rows(table: str, belonging: Belonging, ring_seq: int, columns: dict[str, list[Any]]) -> pa.RecordBatch:
    """Rows of a recorded table.

    Args:
        table: Its name.
        belonging: Whose.
        ring_seq: Last sequence that they belong to.
        columns: The values of all columns but those that say whose they are; stamps in nanoseconds since 1970, UTC.
    """
    rows = len(next(iter(columns.values())))
    columns = {
        **columns,
        "host": [belonging.host] * rows,
        "ring": [belonging.ring] * rows,
        "ring_id": [belonging.ring_id] * rows,
        "ring_seq": [ring_seq] * rows,
    }
    schema = table_schema(table)
    arrays = []
    for field in schema:
        values = columns[field.name]
        if pa.types.is_dictionary(field.type):
            arrays.append(pa.array(values, pa.string()).dictionary_encode().cast(field.type))
        elif pa.types.is_timestamp(field.type):
            arrays.append(pa.array(values, pa.int64()).cast(field.type))
        else:
            arrays.append(pa.array(values, field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
