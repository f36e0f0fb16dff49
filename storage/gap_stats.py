"""What is missing, as rows of `stats`: beside those of the packets, to be summed up with them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from nanotape.storage.feed_attribution import Blame
from nanotape.storage.feed_findings import Found
from nanotape.storage.table_schemas import table_schema
from nanotape.storage.traffic_stats import Belonging


@dataclass(frozen=True, slots=True)
class Settled:
    """A gap whose cause is known as well as it ever will be."""

    gap: Found
    blame: Blame


def gap_rows(
    belonging: Belonging, ring_seq: int, settled: Sequence[Settled], flows: Mapping[int, Any]
) -> pa.RecordBatch | None:
    """One row for each second and line that something is missing in; None: nobody knows whose fault it is.

    Args:
        belonging: Whose.
        ring_seq: Last sequence recorded.
        settled: The gaps.
        flows: By id.
    """
    sums: dict[tuple[int, int], list[int]] = {}
    for each in settled:
        if each.blame.cause == "unknown" or each.gap.flow_id not in flows:
            continue
        sums.setdefault((each.gap.ts_ns // 10**9, each.gap.flow_id), [0, 0])[each.blame.cause != "ours"] += (
            each.gap.messages
        )
    if not sums:
        return None
    keys, rows = sorted(sums), len(sums)
    columns: dict[str, list[Any]] = {
        "ts": [second * 10**9 for second, _ in keys],
        "host": [belonging.host] * rows,
        "ring": [belonging.ring] * rows,
        "ring_id": [belonging.ring_id] * rows,
        "ring_seq": [ring_seq] * rows,
        "gaps_ours": [sums[key][0] for key in keys],
        "gaps_upstream": [sums[key][1] for key in keys],
    }
    columns |= {name: [getattr(flows[flow_id], name) or None for _, flow_id in keys] for name in ("feed", "line")}
    columns |= {"channel": [flows[flow_id].channel for _, flow_id in keys]}
    columns |= {name: [0] * rows for name in ("packets", "bytes", "messages", "peak_1ms_packets", "peak_1ms_bytes")}
    schema = table_schema("stats")
    arrays = [
        pa.array(columns[field.name]).cast(field.type) if field.name in columns else pa.nulls(rows, field.type)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
