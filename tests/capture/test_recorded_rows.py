"""What was recorded is followed as it was when it was read, whichever way its names are encoded."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
from feed_batches import START_NS, Packet, decoder, feed_batch, flows, follow, mold
from hypothesis import given, settings
from hypothesis import strategies as st

from nanotape.capture.feeds.recorded_rows import ring_rows

FLOWS = {flow.id: flow for flow in (*flows("AB", channels=2), replace(flows()[0], id=9, feed="", line=""))}
NAMES = {(flow.feed or None, flow.channel, flow.line or None): flow for flow in FLOWS.values()}
KEPT = ("ring_seq", "payload")
COME_TO = {1: 7, 3: 100}
"""Flow sequences before the rows; of flow 2 and 4 there were none yet."""

Name = tuple[str | None, str | None, str | None]
some_name = st.tuples(
    st.sampled_from(["feed", "gone", None]),
    st.sampled_from(["channel-0", "channel-1", "other", None]),
    st.sampled_from(["A", "B", None]),
)


def rows_of(names: list[Name], is_encoded: bool) -> pa.RecordBatch:
    columns = {
        name: pa.array([each[at] for each in names], pa.string()) for at, name in enumerate(("feed", "channel", "line"))
    }
    if is_encoded:
        columns = {name: column.dictionary_encode() for name, column in columns.items()}
    return pa.record_batch({**columns, "ring_seq": pa.array(range(len(names)), pa.int64())})


@settings(max_examples=60, deadline=None)
@given(names=st.lists(some_name, max_size=40), is_encoded=st.booleans())
def test_each_row_has_the_flow_of_its_names_and_the_next_of_its_sequences(names: list[Name], is_encoded: bool) -> None:
    feeds = decoder(tuple(FLOWS.values()))
    for flow_id, flow_seq in COME_TO.items():
        feeds.handle.flows[flow_id].flow_seq = flow_seq
    made = ring_rows(rows_of(names, is_encoded), KEPT, FLOWS, feeds.handle)
    counts, expected = dict(COME_TO), []
    for name in names:
        flow_id = NAMES[name].id if name in NAMES else 0
        if flow_id in counts:
            counts[flow_id] += 1
        expected.append((flow_id, counts.get(flow_id, 0)))
    assert list(zip(made["flow_id"].to_pylist(), made["flow_seq"].to_pylist(), strict=True)) == expected
    assert made.schema.names == ["ring_seq", "flow_id", "flow_seq"]


def test_what_is_missing_in_recorded_packets_is_found_once_and_the_next_packet_goes_on() -> None:
    feeds = decoder()
    follow(feeds, [Packet(mold(1))])
    batch = feed_batch([Packet(mold(seq), START_NS + seq * 10**9) for seq in (2, 4, 5)], 2)
    names = {name: pa.array([value] * 3) for name, value in (("feed", "feed"), ("channel", "channel-0"), ("line", "A"))}
    kept = {name: batch.column(name) for name in batch.schema.names if name not in ("flow_id", "flow_seq")}
    found = feeds.replay(pa.record_batch({**kept, **names}))
    assert [(each.kind, each.seq_first, each.flow_lost) for each in found] == [("gap", 3, None)]
    assert not follow(feeds, [Packet(mold(6), START_NS + 6 * 10**9)], 5)
