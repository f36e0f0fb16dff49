"""Decodes the feed headers of a ring's packets and follows their sequences, batch by batch, in native code.

`decode` looks at packets and may be repeated; `track` takes each packet once, in the order of the ring, and says what
is missing, doubled, late or begun anew. One decoder serves one ring; flow ids are the ring's.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from nanotape.capture.counters import Flow
from nanotape.capture.errors import CaptureError
from nanotape.capture.feeds import state
from nanotape.capture.feeds.columns import FeedColumns
from nanotape.capture.feeds.coverage import Coverage
from nanotape.capture.feeds.findings import KINDS, Finding
from nanotape.capture.feeds.framing_table import framing_table
from nanotape.capture.feeds.lines import LineFacts, line_facts
from nanotape.capture.feeds.recorded_rows import ring_rows
from nanotape.capture.switch_stamps import SwitchStamps
from nanotape.config.framing import NO_FRAMING, Framing
from nanotape.native import ffi, lib

INPUT_COLUMNS = ("flow_id", "payload", "payload_len", "flags", "ts", "ring_seq", "flow_seq", "lost_before")
_ROLES = {"snapshot": 1, "definition": 1, "retransmit": 2}


@dataclass(frozen=True, slots=True)
class Decoded:
    """One batch."""

    columns: Mapping[str, pa.Array]
    """feed_session, feed_key, feed_seq, feed_count, feed_status and ts_send; of a switch's stamps ts_switch,
    switch_device, switch_port and flags, where somebody looks for them."""
    flow_ids: npt.NDArray[np.uint32]
    """Of each packet."""
    first: npt.NDArray[np.uint8]
    """Once it is tracked: 1 this line brought its sequences first, 0 another did, 2 unknown."""
    rows: Any
    """`struct nt_feed_rows` and what it points to."""
    native: Any


class FeedDecoder:
    """See the module."""

    def __init__(
        self,
        framings: Mapping[str, Framing],
        *,
        window_ns: int,
        reset_distance: int = 100_000,
        switch: SwitchStamps | None = None,
        sources: Callable[[], Sequence[Any]] = tuple,
    ) -> None:
        """Knows no flow yet.

        Args:
            framings: By name.
            window_ns: How late a packet may come and be but reordered.
            reset_distance: How far back a sequence must jump to be a reset.
            switch: Reads the stamps of switches; None: nobody does.
            sources: The ring's, in the order of their slots, each with its interface; asked only where `switch` is.
        """
        self._switch, self._sources = switch if switch and switch.is_needed else None, sources
        handle = lib.nt_feeds_new(window_ns, reset_distance)
        if handle == ffi.NULL:
            raise CaptureError("feeds: out of memory")
        self.handle = ffi.gc(handle, lib.nt_feeds_free)
        self._indices = {
            name: _checked(lib.nt_feeds_add_framing(handle, framing_table(each))) for name, each in framings.items()
        }
        self.unknown: dict[str, str] = {}
        """Channels whose framing is not known, and its name."""
        self._flows: dict[int, Flow] = {}
        self._coverage = Coverage(handle, self.label)
        self._channels: dict[tuple[str, str], int] = {}
        self._labels: list[str] = []
        self._dictionary: pa.StringArray = pa.array([], pa.string())

    @property
    def flows(self) -> Mapping[int, Flow]:
        """What each flow id stands for."""
        return self._flows

    def set_flows(self, flows: Sequence[Flow]) -> None:
        """Says what the ring's flows are; a table that has grown says all of them again.

        One of a framing that is not known, as of a channel that was configured earlier, is not decoded: `unknown`.
        """
        lines: dict[tuple[str, str], int] = {}
        for flow in flows:
            lines[flow.feed, flow.channel] = lines.get((flow.feed, flow.channel), 0) + 1
        for flow in flows:
            name = flow.framing or NO_FRAMING
            if name != NO_FRAMING and name not in self._indices:
                self.unknown[flow.channel] = name
            channel = self._channels.setdefault((flow.feed, flow.channel), len(self._channels) + 1)
            index = self._indices.get(name, lib.NT_FRAMING_NONE)
            role, count = _ROLES.get(flow.role, 0), lines[flow.feed, flow.channel]
            _checked(lib.nt_feeds_set_flow(self.handle, flow.id, index, role, channel, count))
            self._flows[flow.id] = flow
        self._coverage.set_flows(self._flows)

    def decode(self, batch: pa.RecordBatch) -> Decoded:
        """What the headers say.

        Args:
            batch: With INPUT_COLUMNS, as in `nanotape.capture.columns.RING_SCHEMA`; flow_seq may be missing.
        """
        rows = batch.num_rows
        native_rows, kept = _rows_of(batch)
        out = FeedColumns(rows)
        lib.nt_feeds_decode(self.handle, native_rows, out.native)
        columns = dict(out.arrays(self.labels()))
        if self._switch and "source" in batch.schema.names:
            columns |= self._switch.columns(batch, [source.interface for source in self._sources()])
        return Decoded(columns, batch.column("flow_id").to_numpy(), out.first, (native_rows, kept), out)

    def left_out(self, batch: pa.RecordBatch) -> None:
        """Takes a batch of which only the packets of flows come to `decode`: keyframes of a switch are of none."""
        if self._switch:
            self._switch.left_out(batch, [source.interface for source in self._sources()])

    def track(self, decoded: Decoded) -> list[Finding]:
        """Follows the sequences of a decoded batch, which comes after all that were tracked before."""
        _checked(lib.nt_feeds_track(self.handle, decoded.rows[0], decoded.native.native))
        return self._take()

    def expire(self, now_ns: int) -> list[Finding]:
        """What has been missing for longer than the window at a moment: UTC, by the packets' stamps."""
        _checked(lib.nt_feeds_expire(self.handle, now_ns))
        return self._take()

    def labels(self) -> pa.StringArray:
        """Sessions and keys by their indices; only ever grows."""
        table = self.handle.labels
        if table.count > len(self._labels):
            new = [_label_text(table.labels[index]) for index in range(len(self._labels), table.count)]
            self._labels += new
            self._dictionary = pa.concat_arrays([self._dictionary, pa.array(new, pa.string())])
        return self._dictionary

    def label(self, index: int) -> str | None:
        """A session or key; None for -1."""
        self.labels()
        return self._labels[index] if index >= 0 else None

    def covered_by(self, finding: Finding) -> tuple[str | None, bool]:
        """Which other line of the channel brought all of a gap, and whether one may still.

        Args:
            finding: Of this decoder, or with stream -1 of one whose knowledge it goes on with.
        """
        return self._coverage.of(finding)

    def complaints(self) -> Mapping[str, str]:
        """By interface: what is wrong with the stamps of its switch, in a line."""
        counts = self._switch.counts if self._switch else {}
        return {interface: each.complaint for interface, each in counts.items() if each.complaint}

    def switches(self) -> list[dict[str, Any]]:
        """What became of the stamps of each interface's switch: facts of `SwitchCounts`."""
        return [each.facts for each in (self._switch.counts if self._switch else {}).values()]

    @property
    def untracked(self) -> int:
        """Packets that were not followed since there are more sessions and keys than room."""
        return int(self.handle.untracked)

    def lines(self) -> list[LineFacts]:
        """What is known of each flow."""
        return line_facts(self.handle, self._flows, self.label)

    def save(self, ring_id: str, ring_seq: int) -> bytes:
        """All that it knows, for the decoder of a process that comes after; see `state.py`."""
        return state.save(self.handle, self._flows, ring_id, ring_seq)

    def restore(self, saved: bytes, ring_id: str) -> int | None:
        """Goes on with what another knew: after `set_flows`, before all else.

        Returns:
            The ring sequence that it had come to; None: of another ring.

        Raises:
            ValueError: It cannot be used.
        """
        return state.restore(self.handle, self._flows, saved, ring_id)

    def forget(self) -> None:
        """Gives up all sequences: each is followed anew from its next packet on."""
        _checked(lib.nt_feeds_forget(self.handle))

    def replay(self, rows: pa.RecordBatch) -> list[Finding]:
        """Follows packets that were recorded before this process began and after the state that it went on with.

        Args:
            rows: With the columns of `packets` that INPUT_COLUMNS names, and feed, channel and line for flow_id.
        """
        batch = ring_rows(rows, INPUT_COLUMNS, self._flows, self.handle)
        self.handle.is_replay = 1
        found = self.track(self.decode(batch))
        self.handle.is_replay = 0
        return found

    def _take(self) -> list[Finding]:
        feeds = self.handle
        found = [self._finding(feeds.findings[index]) for index in range(feeds.finding_count)]
        feeds.finding_count = 0
        return found

    def _finding(self, found: Any) -> Finding:
        stream, hole = self.handle.streams.streams[found.stream], found.hole
        return Finding(
            kind=KINDS[found.kind],
            stream=found.stream,
            flow_id=stream.flow,
            session=self.label(stream.session),
            key=self.label(stream.key),
            session_before=self.label(found.session_before),
            seq_first=found.seq_first,
            seq_last=found.seq_last,
            packets=found.packets,
            messages=found.messages,
            ts_before_ns=hole.ts_before_ns,
            ts_ns=hole.ts_ns,
            ring_seq_before=hole.ring_seq_before,
            ring_seq=hole.ring_seq,
            flow_lost=None if hole.flow_lost < 0 else hole.flow_lost,
            ring_lost=hole.ring_lost,
        )


def _rows_of(batch: pa.RecordBatch) -> tuple[Any, list[Any]]:
    """The struct, and what has to live as long as it."""
    kept: list[Any] = [batch]
    rows = ffi.new("struct nt_feed_rows *")
    rows.rows = batch.num_rows
    if not batch.num_rows:
        return rows, kept

    def point(member: str, kind: str, values: npt.NDArray[Any]) -> None:
        kept.append(values)
        setattr(rows, member, ffi.cast(f"{kind} *", values.ctypes.data))

    point("flow_id", "uint32_t", batch.column("flow_id").to_numpy())
    point("payload_length", "uint32_t", batch.column("payload_len").to_numpy())
    point("flags", "uint16_t", batch.column("flags").to_numpy())
    point("ts_ns", "int64_t", batch.column("ts").cast(pa.int64()).to_numpy())
    point("ring_seq", "int64_t", batch.column("ring_seq").to_numpy())
    point("lost_before", "uint32_t", batch.column("lost_before").to_numpy())
    if "flow_seq" in batch.schema.names:
        point("flow_seq", "uint64_t", batch.column("flow_seq").to_numpy())
    payload = batch.column("payload")
    _, offsets, data = payload.buffers()
    kept += [offsets, data]
    rows.payload_offsets = ffi.cast("int32_t *", offsets.address + 4 * payload.offset)
    rows.payload = ffi.cast("uint8_t *", data.address if data else 0)
    return rows, kept


def _label_text(label: Any) -> str:
    if label.kind != lib.NT_LABEL_TEXT:
        value = int(label.low)
        return str(value - 2**64 if label.kind == lib.NT_LABEL_SIGNED and value >= 2**63 else value)
    raw = int(label.low).to_bytes(8, "little") + int(label.high).to_bytes(8, "little")
    return raw.rstrip(b"\0 ").decode("ascii", "backslashreplace").replace("\0", "\\x00")


def _checked(answer: int) -> int:
    if answer < 0:
        raise CaptureError(f"feeds: out of memory or room (error {-answer}); capture fewer channels in this ring")
    return answer
