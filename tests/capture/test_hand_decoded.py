"""Real captures decode to what was read out of them by hand."""

from __future__ import annotations

import itertools
import pathlib
import struct
from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hand_decoded import HAND_DECODED, Row
from payloads import real_flows

from nanotape.capture.counters import Flow
from nanotape.capture.feeds.decoder import FeedDecoder
from nanotape.config.framing import BUILT_IN

COLUMNS = ("feed_status", "feed_session", "feed_key", "feed_seq", "feed_count", "ts_send")


def decoded(framing: str, payloads: list[bytes], lengths: list[int]) -> list[tuple[Any, ...]]:
    decoder = FeedDecoder(BUILT_IN, window_ns=10_000_000)
    decoder.set_flows([Flow(1, "f", "c", "A", framing, "incremental", "eth1", "233.252.0.1", None, 1, None)])
    rows = len(payloads)
    batch = pa.record_batch(
        {
            "flow_id": np.ones(rows, np.uint32),
            "payload": pa.array(payloads, pa.binary()),
            "payload_len": np.array(lengths, np.uint32),
            "flags": np.zeros(rows, np.uint16),
            "ts": pa.array(np.arange(rows)).cast(pa.timestamp("ns", "UTC")),
            "ring_seq": np.arange(1, rows + 1),
            "lost_before": np.zeros(rows, np.uint32),
        }
    )
    columns = decoder.decode(batch).columns
    return list(zip(*(_values(columns[name]) for name in COLUMNS), strict=True))


def _values(column: pa.Array) -> list[Any]:
    return (column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column).to_pylist()  # type: ignore[no-any-return]


@pytest.mark.parametrize(("place", "rows"), HAND_DECODED.items(), ids=[folder for folder, _ in HAND_DECODED])
def test_headers_of_real_packets_say_what_was_read_by_hand(
    captures: pathlib.Path, place: tuple[str, str], rows: list[Row]
) -> None:
    folder, framing = place
    assert {path.stem for path in (captures / folder).glob("*.pcap") if ".Tcp" not in path.name} - TCP == {
        file for file, *_ in rows
    }
    for file in dict.fromkeys(file for file, *_ in rows):
        samples = [each for _, flow in real_flows(captures / folder / f"{file}.pcap", 2000) for each in flow]
        samples.sort(key=lambda sample: sample.stamp_ns)
        found = decoded(framing, [each.data for each in samples], [each.payload_bytes for each in samples])
        expected = [row[2:] for row in rows if row[0] == file]
        assert Counter(found) == Counter(expected), file


TCP = {"MdIncrementalRefreshBookLongQty", "MdIncrementalRefreshTradeSummaryLongQty"}


def test_the_bats_capture_has_356_heartbeats_and_40_messages_in_its_real_time_group(captures: pathlib.Path) -> None:
    flows = dict(real_flows(next((captures / "bats").glob("*.pcap")), 200))
    samples = flows["239.39.62.190:32001"]
    found = decoded("cboe-pitch", [each.data for each in samples], [each.payload_bytes for each in samples])
    assert Counter(status for status, *_ in found) == {"heartbeat": 356, "data": 19}
    data = [(seq, count) for status, _, _, seq, count, _ in found if status == "data"]
    assert data[0] == (3, 2)
    assert all(before + count == seq for (before, count), (seq, _) in itertools.pairwise(data))
    assert sum(data[-1]) == 43
    response = flows["239.39.62.191:32001"]
    found = decoded("cboe-pitch", [each.data for each in response], [each.payload_bytes for each in response])
    assert Counter((status, seq) for status, _, _, seq, _, _ in found) == {("unsequenced", 0): 364}


S = 1_790_000_000  # seconds since 1970
NS = S * 10**9 + 123_456_789
LAST_NS = 2**63 - 1  # in 2262
BAD = ("bad", None, None, None, None, None)
MADE = {
    "eurex-eobi": [
        (
            struct.pack("<HHIIiBBBBIQ", 32, 13002, 0xFFFFFFFF, 77, -9, 1, 1, 0, 0, 0, NS),
            ("data", None, "-9", 77, 1, NS),
        ),
        (struct.pack("<HHIIiBBBBIQ", 32, 13004, 0xFFFFFFFF, 1, 5, 1, 1, 1, 0, 0, NS), ("reset", None, "5", 1, 1, NS)),
        (struct.pack("<HHIIiBBBBIQ", 32, 13003, 0xFFFFFFFF, 1, 5, 1, 1, 0, 0, 0, NS), BAD),
    ],
    "euronext-optiq": [
        (struct.pack("<QIHH", NS, 77, 0x0000, 9), ("data", "0", "9", 77, 1, NS)),
        (struct.pack("<QIHH", NS, 77, 0x0025, 9), ("data", "2", "9", 2 * 2**32 + 77, 1, NS)),
    ],
    "mitch": [
        (struct.pack("<HBBI", 12, 3, 7, 77) + b"body", ("data", None, "7", 77, 3, None)),
        (struct.pack("<HBBI", 8, 0, 7, 80), ("heartbeat", None, "7", 80, 0, None)),
        (struct.pack("<HBBI", 8, 1, 7, 0), ("unsequenced", None, "7", 0, 1, None)),
        (struct.pack("<HBBI", 9, 1, 7, 1), BAD),
    ],
    "b3-umdf": [(struct.pack("<BBHIQ", 78, 0, 3, 77, NS), ("data", "3", "78", 77, 1, NS))],
    "ice-impact": [
        (struct.pack(">HIHQ", 5, 77, 4, S * 1000 + 123), ("data", "5", None, 77, 4, S * 10**9 + 123_000_000)),
        (struct.pack(">HIHQ", 5, 77, 0, 0), ("heartbeat", "5", None, 77, 0, None)),
        (struct.pack(">HIHQ", 5, 77, 4, LAST_NS // 10**6), ("data", "5", None, 77, 4, LAST_NS // 10**6 * 10**6)),
        (struct.pack(">HIHQ", 5, 77, 4, LAST_NS // 10**6 + 1), ("data", "5", None, 77, 4, None)),
    ],
    "memoir": [
        (struct.pack(">BBQQH", 2, 18, 6, 77, 4), ("data", "6", None, 77, 4, None)),
        (struct.pack(">BBQQ", 0, 18, 6, 77), ("heartbeat", "6", None, 77, 0, None)),
        (struct.pack(">BBQQ", 1, 18, 6, 77), ("end", "6", None, 77, 0, None)),
        (struct.pack(">BBQQ", 2, 18, 6, 77), BAD),
        (struct.pack(">BBQQH", 3, 18, 6, 77, 4), BAD),
    ],
    "miax-mach": [
        (struct.pack("<QHBB", 77, 12, 0, 4), ("heartbeat", "4", None, 77, 0, None)),
        (
            struct.pack("<QHBB", 77, 14, 3, 4) + b"ab" + struct.pack("<QHBB", 78, 13, 3, 4) + b"c",
            ("data", "4", None, 77, 2, None),
        ),
        (struct.pack("<QHBB", 77, 15, 3, 4) + b"ab", BAD),
    ],
    "hkex-omd": [
        (struct.pack("<HBBIQ", 20, 2, 0, 77, NS) + b"body", ("data", None, None, 77, 2, NS)),
        (struct.pack("<HBBIQ", 16, 0, 0, 77, NS), ("heartbeat", None, None, 77, 0, NS)),
    ],
}


@pytest.mark.parametrize("framing", MADE)
def test_headers_of_which_no_capture_is_here_are_read_by_their_layout(framing: str) -> None:
    payloads = [payload for payload, _ in MADE[framing]]
    assert decoded(framing, payloads, [len(each) for each in payloads]) == [expected for _, expected in MADE[framing]]


def test_every_framing_is_tried_here() -> None:
    assert {framing for _, framing in HAND_DECODED} | set(MADE) == set(BUILT_IN)
