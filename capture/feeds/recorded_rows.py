"""Rows of an archive as a reader of the ring gave them: a recorder that begins follows its predecessor's packets.

Meanwhile the ring goes on, so it is done by columns, at less than a microsecond a row.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from nanotape.capture.counters import Flow

_NAMES = ("feed", "channel", "line")


def ring_rows(rows: pa.RecordBatch, columns: Sequence[str], flows: Mapping[int, Flow], feeds: Any) -> pa.RecordBatch:
    """With flow_id and flow_seq.

    Args:
        rows: With `columns`, as far as an archive has them, and feed, channel and line.
        columns: To keep.
        flows: By id.
        feeds: `struct nt_feeds *`: knows how far each flow has come.
    """
    flow_ids = _flow_ids(rows, flows)
    kept = {name: rows.column(name) for name in columns if name in rows.schema.names}
    made = {"flow_id": pa.array(flow_ids), "flow_seq": pa.array(_flow_sequences(flow_ids, feeds))}
    return pa.record_batch(kept | made)


def _flow_ids(rows: pa.RecordBatch, flows: Mapping[int, Flow]) -> npt.NDArray[np.uint32]:
    """By the names of the flows; 0: of none that is known now."""
    codes = np.zeros(rows.num_rows, np.int64)
    values: list[list[str | None]] = []
    for name in _NAMES:
        column = rows.column(name)
        if not pa.types.is_dictionary(column.type):
            column = column.dictionary_encode()
        values.append([*column.dictionary.to_pylist(), None])
        indices = column.indices.fill_null(len(column.dictionary)).to_numpy(zero_copy_only=False)
        codes = codes * len(values[-1]) + indices
    ids = {(flow.feed or None, flow.channel, flow.line or None): flow.id for flow in flows.values()}
    found, places = np.unique(codes, return_inverse=True)
    sizes = [len(each) for each in values]
    names = [tuple(each[at] for each, at in zip(values, np.unravel_index(code, sizes), strict=True)) for code in found]
    return np.array([ids.get(name, 0) for name in names], np.uint32)[places]


def _flow_sequences(flow_ids: npt.NDArray[np.uint32], feeds: Any) -> npt.NDArray[np.uint64]:
    """As if none had been lost, since the archive does not keep them; 0 where the flow's own is not known."""
    order = np.argsort(flow_ids, kind="stable")
    found, starts, counts = np.unique(flow_ids[order], return_index=True, return_counts=True)
    begins = [int(feeds.flows[int(each)].flow_seq) if each < feeds.flow_count else 0 for each in found]
    begin = np.repeat(np.array(begins, np.uint64), counts)
    place = np.arange(len(flow_ids)) - np.repeat(starts, counts)
    made = np.empty(len(flow_ids), np.uint64)
    made[order] = np.where(begin > 0, begin + 1 + place.astype(np.uint64), 0)
    return made
