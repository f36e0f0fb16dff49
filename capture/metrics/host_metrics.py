"""The metrics of a host's clocks, and of what a recorder tells: the feeds that it follows, the segments it writes."""

from collections.abc import Iterable, Mapping
from typing import Any, get_args

from nanotape.capture.clock.sample import State
from nanotape.capture.counters import Flow
from nanotape.capture.metrics.exposition import Page
from nanotape.capture.recorded_feeds import RecordedFeeds
from nanotape.capture.recorded_segments import RecordedSegments

_NS = 1e-9
_IN_SECONDS = {
    "offset": ("offset_ns", "Clock minus master"),
    "path_delay": ("path_delay_ns", "One way to the master"),
    "error": ("error_ns", "Bound on the clock's error against UTC"),
}


_LINE_COUNTERS = {
    "packets": ("line_packets_total", "Packets of a line"),
    "gaps": ("line_gaps_total", "Times that messages were missing on a line"),
    "gaps_ours": ("line_own_gaps_total", "Of the gaps, those that this host made"),
    "gaps_theirs": ("line_upstream_gaps_total", "Of the gaps, those that came about before this host"),
    "missing": ("line_missing_messages_total", "Messages that never came on a line"),
    "missing_ours": ("line_own_missing_messages_total", "Of those, the ones that this host lost"),
    "missing_theirs": ("line_upstream_missing_messages_total", "Of those, the ones lost before this host"),
    "duplicates": ("line_duplicate_messages_total", "Messages that came again on a line"),
    "reordered": ("line_reordered_packets_total", "Packets that came late on a line"),
    "bad": ("line_bad_packets_total", "Packets that do not fit the line's framing"),
}
_LINE_GAUGES = {
    "packets_per_s": ("line_packets_per_second", "Packets in the newest whole second", 1),
    "bits_per_s": ("line_bits_per_second", "Bits of frames in the newest whole second", 1),
    "messages_per_s": ("line_messages_per_second", "Messages in the newest whole second", 1),
    "peak_packets_per_s": ("line_peak_packets_per_second", "Most in a second since the recorder began", 1),
    "peak_bits_per_s": ("line_peak_bits_per_second", "Most in a second since the recorder began", 1),
    "peak_1ms_packets": ("line_peak_millisecond_packets", "Most in a millisecond since the recorder began", 1),
    "peak_1ms_bits": ("line_peak_millisecond_bits", "Most in a millisecond since the recorder began", 1),
    "first_share": ("line_first_ratio", "Packets of ten seconds that the line was the first to bring", 1),
    "lead_p50_ns": ("line_lead_seconds", "Median of how much later another line had what this one had first", _NS),
}
_RING_GAUGES = {
    "packets_per_s": ("recorded_packets_per_second", "Packets of all lines in the newest whole second"),
    "bits_per_s": ("recorded_bits_per_second", "Bits of all lines in the newest whole second"),
    "peak_packets_per_s": ("recorded_peak_packets_per_second", "Most in a second since the recorder began"),
    "peak_bits_per_s": ("recorded_peak_bits_per_second", "Most in a second since the recorder began"),
    "peak_1ms_packets": ("recorded_peak_millisecond_packets", "Most in a millisecond since the recorder began"),
    "peak_1ms_bits": ("recorded_peak_millisecond_bits", "Most in a millisecond since the recorder began"),
}


def add_clocks(page: Page, host: str, clocks: Iterable[Mapping[str, Any]]) -> None:
    """Puts clocks on a page, each as in the clock service's `state.json`."""
    for clock in clocks:
        labels = {"host": host, "clock": str(clock["clock"])}
        states = page.gauge("clock_state", "1 at the state that the clock is in")
        for state in get_args(State):
            states.add({**labels, "state": state}, clock["state"] == state)
        for name, (key, meaning) in _IN_SECONDS.items():
            value = clock.get(key)
            page.gauge(f"clock_{name}_seconds", meaning).add(labels, None if value is None else value * _NS)
        page.gauge("clock_utc_offset_seconds", "TAI minus UTC").add(labels, clock.get("utc_offset_s"))


def add_feeds(page: Page, labels: Mapping[str, str], flows: Iterable[Flow], told: RecordedFeeds) -> None:
    """Puts the lines that a recorder follows on a page.

    Args:
        page: Where to.
        labels: Of the ring.
        flows: Of the ring, for the feeds' names.
        told: By the recorder, lately.
    """
    feeds = {(flow.channel, flow.line): flow.feed for flow in flows}
    for key, (name, meaning) in _RING_GAUGES.items():
        page.gauge(name, meaning).add(labels, getattr(told.traffic, key))
    for (channel, line), counted in told.lines.items():
        of_line = {**labels, "feed": feeds.get((channel, line), ""), "channel": channel, "line": line}
        for key, (name, meaning) in _LINE_COUNTERS.items():
            page.counter(name, meaning).add(of_line, getattr(counted, key))
        for key, (name, meaning, unit) in _LINE_GAUGES.items():
            value = getattr(counted, key)
            page.gauge(name, meaning).add(of_line, None if value is None else value * unit)
        if counted.last_ts_ns is not None:
            page.gauge("line_last_packet_timestamp_seconds", "Stamp of the line's newest packet, UTC").add(
                of_line, counted.last_ts_ns * _NS
            )


def add_segments(page: Page, labels: Mapping[str, str], told: RecordedSegments) -> None:
    """Puts what a recorder writes on a page; `labels` are of the ring and of the reader."""
    page.counter("recorder_segments_total", "Segments that were ended since the recorder began").add(labels, told.ended)
    page.gauge("recorder_open_segment_bytes", "Size of the segment that grows").add(labels, told.open_bytes)
    page.counter("recorder_frame_bytes_total", "Bytes of the frames that are on disk").add(labels, told.frame_bytes)
    page.counter("recorder_written_bytes_total", "Bytes that these became on disk").add(labels, told.written_bytes)
    if told.ended_ns is not None:
        page.gauge("recorder_last_rotation_timestamp_seconds", "When a segment was ended last, UTC").add(
            labels, told.ended_ns * _NS
        )
