"""Sums are compared with those of a plain loop over the same packets."""

from collections import Counter, defaultdict

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanotape.storage import traffic_stats, traffic_sums
from nanotape.storage.schema import NAME, TIMESTAMP
from nanotape.storage.table_schemas import table_schema
from nanotape.storage.traffic_stats import Belonging, TrafficStats

START_NS = 1_792_000_000_000_000_000
CHANNELS = [("itch", "itch-1", "A"), ("itch", "itch-1", "B"), (None, "other", None), ("opra", "opra-7", "A")]
Packet = tuple[int, int, int, int | None]


def batch(packets: list[Packet], first_seq: int, order: list[int]) -> pa.RecordBatch:
    """Packets of (channel number, ns after START_NS, bytes, delay); names are dictionaries in a given order."""
    feeds, channels, lines = ([CHANNELS[p[0]][at] for p in packets] for at in range(3))
    names = [CHANNELS[at] for at in order]

    def named(values: list[str | None], at: int) -> pa.Array:
        known = list(dict.fromkeys(each[at] for each in names if each[at]))
        codes = pa.array([known.index(value) if value else None for value in values], pa.int32())
        return pa.DictionaryArray.from_arrays(codes, pa.array(known, pa.string()))

    columns = {
        "ring_seq": pa.array(range(first_seq, first_seq + len(packets)), pa.int64()),
        "ts": pa.array([START_NS + p[1] for p in packets], pa.int64()).cast(TIMESTAMP),
        "wire_len": pa.array([p[2] for p in packets], pa.uint32()),
        "rx_delay_ns": pa.array([p[3] for p in packets], pa.int64()),
        "feed": named(feeds, 0), "channel": named(channels, 1), "line": named(lines, 2),
        "feed_count": pa.nulls(len(packets), pa.uint16()),
    }  # fmt: skip
    assert columns["feed"].type == NAME
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


def plain(packets: list[Packet]) -> dict[tuple[int, str], tuple[int, int, int, int, int | None, int | None]]:
    """(second, channel and line) -> packets, bytes, peaks, percentiles."""
    counts, sizes = Counter(), Counter()  # type: ignore[var-annotated]
    delays = defaultdict(list)
    for channel, ns, size, delay in packets:
        moment = (START_NS + ns) // 10**6
        counts[channel, moment] += 1
        sizes[channel, moment] += size
        if delay is not None:
            delays[channel, moment // 1000].append(delay)
    sums = {}
    for channel, second in {(channel, ms // 1000) for channel, ms in counts}:
        mine = [key for key in counts if key[0] == channel and key[1] // 1000 == second]
        known = sorted(delays[channel, second])
        ranks = [known[int(np.ceil(len(known) * share)) - 1] if known else None for share in (0.5, 0.99)]
        total = (sum(counts[key] for key in mine), sum(sizes[key] for key in mine))
        peaks = (max(counts[key] for key in mine), max(sizes[key] for key in mine))
        sums[second, str(CHANNELS[channel])] = (*total, *peaks, *ranks)
    return sums


def told(rows: pa.RecordBatch) -> dict[tuple[int, str], tuple[int, int, int, int, int | None, int | None]]:
    names = ("packets", "bytes", "peak_1ms_packets", "peak_1ms_bytes", "rx_delay_p50_ns", "rx_delay_p99_ns")
    return {
        (row["ts"], str((row["feed"], row["channel"], row["line"]))): tuple(row[name] for name in names)  # type: ignore[misc]
        for row in rows.set_column(
            0, "ts", pa.array(rows.column("ts").cast(pa.int64()).to_numpy() // 10**9)
        ).to_pylist()
    }


packet = st.tuples(
    st.integers(0, 3),
    st.integers(0, 3_500_000_000),
    st.integers(60, 9000),
    st.none() | st.integers(-(2**31) + 1, 2**31 - 1),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(packet, min_size=1, max_size=60), st.permutations(range(4)), st.booleans())
def test_sums_are_those_of_a_plain_loop(packets: list[Packet], order: list[int], is_sparse: bool) -> None:
    stats = TrafficStats(Belonging("box", "demo", "00" * 16))
    cells = 0 if is_sparse else traffic_sums._CELLS_MAX
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(traffic_sums, "_CELLS_MAX", cells)
        stats._newest_s = 2**60  # takes all as of one moment
        assert stats.add(batch(packets, 1, order)) is None
        rows = stats.flush()
    assert rows is not None
    rows.validate(full=True)
    assert rows.schema.equals(table_schema("stats"), check_metadata=True)
    assert told(rows) == plain(packets)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(packet, min_size=1, max_size=12), min_size=1, max_size=12))
def test_each_packet_is_in_one_row_that_belongs_to_a_sequence_not_before_it(batches: list[list[Packet]]) -> None:
    stats = TrafficStats(Belonging("box", "demo", "00" * 16))
    given_rows, told_rows, first = 0, 0, 1
    for number, packets in enumerate(batches):
        rows = stats.add(batch(packets, first, [number % 4, *(at for at in range(4) if at != number % 4)]))
        given_rows, first = given_rows + len(packets), first + len(packets)
        if rows is not None:
            told_rows += sum(rows.column("packets").to_pylist())
            [through] = set(rows.column("ring_seq").to_pylist())
            assert told_rows == through, "all packets up to the sequence that it belongs to, and no other"
        assert told_rows + stats.pending_rows == given_rows
    rows = stats.flush()
    told_rows += 0 if rows is None else sum(rows.column("packets").to_pylist())
    assert told_rows == given_rows
    assert stats.flush() is None


def test_a_second_is_one_row_where_stamps_rise_whatever_the_batches() -> None:
    stats = TrafficStats(Belonging("box", "demo", "00" * 16))
    done = []
    for number in range(40):
        packets: list[Packet] = [(0, number * 100_000_000 + at * 10_000_000, 100, 5) for at in range(10)]
        rows = stats.add(batch(packets, 1 + number * 10, [0, 1, 2, 3]))
        done += [rows] if rows is not None else []
    assert [rows.column("packets").to_pylist() for rows in done] == [[100], [100], [100]]
    assert [rows.column("ring_seq").to_pylist() for rows in done] == [[100], [200], [300]]


def test_a_stamp_of_a_wrong_clock_keeps_nothing_back_for_ever() -> None:
    stats = TrafficStats(Belonging("box", "demo", "00" * 16))
    stats.add(batch([(0, 0, 100, 1), (0, 10**18, 100, 1)], 1, [0, 1, 2, 3]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(traffic_stats, "_PENDING_BACK_MAX", 3)
        assert stats.add(batch([(0, 10**9, 100, 1)] * 3, 3, [0, 1, 2, 3])) is None
        rows = stats.add(batch([(0, 2 * 10**9, 100, 1)], 6, [0, 1, 2, 3]))
    assert rows is not None
    assert sum(rows.column("packets").to_pylist()) == 4


def test_what_is_kept_does_not_keep_the_memory_of_the_batches() -> None:
    stats = TrafficStats(Belonging("box", "demo", "00" * 16))
    before = pa.total_allocated_bytes()
    given = batch([(0, 0, 100, 1)] * 10_000, 1, [0, 1, 2, 3])
    stats.add(given)
    del given
    assert stats.pending_rows == 10_000
    assert pa.total_allocated_bytes() - before < 10_000  # the names


def test_messages_and_first_arrivals_are_summed_by_second_and_line() -> None:
    stats = TrafficStats(Belonging("box", "demo", "00" * 16))
    packets = [(0, 1, 100, None), (1, 2, 100, None), (0, 3, 100, None), (1, 10**9 + 1, 100, None), (2, 4, 60, None)]
    rows = batch(packets, 1, [0, 1, 2])
    counts = pa.array([3, 2, 0, 5, None], pa.uint16())
    rows = rows.set_column(rows.schema.get_field_index("feed_count"), "feed_count", counts)
    done = stats.add(rows, np.array([1, 0, 2, 1, 2], np.uint8))
    found = pa.Table.from_batches([each for each in (done, stats.flush()) if each is not None])
    names = ["channel", "line", "messages", "first_arrivals", "gaps_ours"]
    seen = {tuple(row[name] for name in names) for row in found.select(names).to_pylist()}
    one, two, three = ((CHANNELS[at][1], CHANNELS[at][2]) for at in range(3))
    assert seen == {(*one, 3, 1.0, 0), (*two, 2, 0.0, 0), (*two, 5, 1.0, 0), (*three, None, None, None)}
