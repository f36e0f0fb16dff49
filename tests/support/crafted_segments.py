"""What a recorder that never was tells of its segments."""

from crafted_looks import MIB, NOW_NS, SECOND_NS

from nanotape.capture.recorded_segments import RecordedSegments

TOLD = RecordedSegments(
    at_ns=NOW_NS, open_name="20261128T100000.000000000Z-000000000001", open_bytes=5 * MIB, open_rows=900,
    opened_ns=NOW_NS - 60 * SECOND_NS, ended=4, ended_name="x.arrow", ended_ns=NOW_NS - 60 * SECOND_NS,
    frame_bytes=400_000, written_bytes=100_000,
)  # fmt: skip
