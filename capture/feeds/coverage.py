"""Which other line of a channel brought what is missing on one."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from nanotape.capture.counters import Flow
from nanotape.capture.feeds.findings import Finding
from nanotape.native import ffi, lib

Name = tuple[int, str | None, str | None]
"""Of a stream: flow, session and key."""


class Coverage:
    """Asked for each gap, of which an outage of hundreds of channels leaves thousands at once."""

    def __init__(self, feeds: Any, label: Callable[[int], str | None]) -> None:
        """Knows no flow yet.

        Args:
            feeds: `struct nt_feeds *`.
            label: Gives the text of a label's index.
        """
        self._feeds, self._label = feeds, label
        self._channels: dict[tuple[str, str], list[Flow]] = {}
        self._flows: Mapping[int, Flow] = {}
        self._found: dict[Name, int] = {}
        self._found_of: tuple[int, int] | None = None

    def set_flows(self, flows: Mapping[int, Flow]) -> None:
        """Says what the flows are, by id."""
        self._flows = flows
        self._channels = {}
        for flow in flows.values():
            self._channels.setdefault((flow.feed, flow.channel), []).append(flow)

    def of(self, finding: Finding) -> tuple[str | None, bool]:
        """The line that brought all of a gap, and whether one may still.

        Args:
            finding: Of this decoder, or with stream -1 of one whose knowledge it goes on with.
        """
        flow, index = self._flows.get(finding.flow_id), self._stream_of(finding)
        if flow is None or index is None:
            return None, False
        stream, pending = self._feeds.streams.streams[index], False
        for other in self._others(flow):
            index = lib.nt_stream_find(ffi.addressof(self._feeds, "streams"), other.id, stream.session, stream.key)
            if index == lib.NT_STREAM_NONE:
                continue
            covers = lib.nt_feeds_covers(self._feeds, index, finding.seq_first, finding.seq_last)
            if covers == 1:
                return other.line, False
            pending = pending or covers < 0
        return None, pending

    def _others(self, flow: Flow) -> Iterable[Flow]:
        return (each for each in self._channels[flow.feed, flow.channel] if each.id != flow.id)

    def _stream_of(self, finding: Finding) -> int | None:
        """Its stream, though it were of an earlier decoder or given up since."""
        name = (finding.flow_id, finding.session, finding.key)
        if 0 <= finding.stream < self._feeds.streams.count and self._name(finding.stream) == name:
            return finding.stream
        state = (self._feeds.streams.count, self._feeds.looked_ns)
        if self._found_of != state:
            self._found_of = state
            self._found = {self._name(index): index for index in range(self._feeds.streams.count)}
        return self._found.get(name)

    def _name(self, index: int) -> Name:
        stream = self._feeds.streams.streams[index]
        return stream.flow, self._label(stream.session), self._label(stream.key)
