"""Writes chosen packets of an archive as pcapng: nanoseconds, interfaces, drops, and events as comments.

The file is there whole or not at all. Of a packet that was cut short the length on the wire stays; a drop count says
what its ring lost just before that very packet, whether the packets before it are exported or not.
"""

import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from nanotape.storage.event_comments import EventComments
from nanotape.storage.export_target import ExportTarget
from nanotape.storage.frame_stream import DEFAULT_MEMORY_BYTES, FrameChoice, FrameStream, Origin, frame_stream
from nanotape.storage.packet_filter import PacketFilter
from nanotape.storage.pcapng import LINKTYPE_ETHERNET, PcapngWriter
from nanotape.storage.reader import ArchiveReader

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """How to export."""

    choice: FrameChoice = field(default_factory=FrameChoice)
    filter_text: str | None = None
    """A filter as tcpdump takes it; None: all that is chosen."""
    zstd: bool = False
    application: str = "nanotape"
    """What the file says that it was written by."""
    memory_bytes: int = DEFAULT_MEMORY_BYTES
    """For sorting; the rest of an export takes about 100 MiB."""


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was exported."""

    packets: int
    bytes: int
    """Of their frames, as captured."""
    interfaces: int
    rings: int
    first_ns: int | None
    """Earliest stamp, UTC; None: no packet."""
    last_ns: int | None
    drops: int
    """Sum of the drop counts in the file."""
    comments: int
    """Events that stand in the file."""
    events_after: int
    """Events that no exported packet of their ring came after."""
    truncated: int
    """Packets of which the archive does not have all that was on the wire."""


def export(
    reader: ArchiveReader,
    path: Path | None,
    standard_output: BinaryIO,
    options: ExportOptions | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ExportReport:
    """Writes the packets.

    Args:
        reader: The archives.
        path: The file; None: `standard_output`.
        standard_output: Used then.
        options: None: everything, plain.
        progress: Told how many packets of how many are done.

    Raises:
        StorageError: A choice, a condition or a filter is none; a file cannot be read or written.
    """
    options = options or ExportOptions()
    stream = frame_stream(reader, options.choice, options.memory_bytes)
    link_types = {origin.link_type for origin in stream.origins.values()} or {LINKTYPE_ETHERNET}
    filters = {}
    if options.filter_text is not None:
        filters = {link_type: PacketFilter(options.filter_text, link_type) for link_type in link_types}
    comments = EventComments(reader, stream.selection)
    with ExportTarget(path, standard_output, zstd=options.zstd) as target:
        system = f"{platform.system()} {platform.release()}"
        writer = PcapngWriter(target.write, platform.machine(), system, options.application)
        exporter = _Exporter(stream, writer, comments, filters)
        done = 0
        for table in stream.moderate_tables():
            exporter.show(table)
            done += table.num_rows
            if progress is not None:
                progress(done, stream.packets)
        exporter.finish()
    return exporter.report()


class _Exporter:
    """Writes tables of a stream, and sums up."""

    def __init__(
        self,
        stream: FrameStream,
        writer: PcapngWriter,
        comments: EventComments,
        filters: dict[int, PacketFilter],
    ) -> None:
        self._origins, self._writer, self._comments, self._filters = stream.origins, writer, comments, filters
        self._several_hosts = len({origin.host for origin in stream.origins.values()}) > 1
        self._numbers: dict[int, int] = {}
        self._rings: set[str] = set()
        self._packets = self._bytes = self._drops = self._truncated = 0
        self._first_ns: int | None = None
        self._last_ns: int | None = None

    def show(self, table: pa.Table) -> None:
        """Writes the packets of a table that pass."""
        if self._filters:
            table = table.filter(pa.array(self._passing(table)))
        if not table.num_rows:
            return
        stamps, lost = (table.column(name).to_numpy() for name in ("ts", "lost_before"))
        numbers = self._interface_numbers(table.column("origin").to_numpy())
        texts = self._texts(table, stamps)
        lengths, frames = table.column("wire_len").to_pylist(), table.column("frame").to_pylist()
        self._writer.packets(zip(numbers.tolist(), stamps.tolist(), lengths, frames, lost.tolist(), texts, strict=True))
        self._writer.flush()
        captured = pc.binary_length(table.column("frame")).to_numpy()
        self._packets += table.num_rows
        self._bytes += int(captured.sum())
        self._drops += int(lost.sum())
        self._truncated += int((table.column("wire_len").to_numpy() > captured).sum())
        first, last = int(stamps.min()), int(stamps.max())
        self._first_ns = first if self._first_ns is None else min(first, self._first_ns)
        self._last_ns = last if self._last_ns is None else max(last, self._last_ns)

    def finish(self) -> None:
        """Readers refuse a file that announces no interface at all."""
        if not self._numbers:
            self._writer.add_interface(LINKTYPE_ETHERNET)
        self._writer.flush()

    def report(self) -> ExportReport:
        """What was written."""
        return ExportReport(
            self._packets, self._bytes, len(self._numbers), len(self._rings), self._first_ns, self._last_ns,
            self._drops, self._comments.told, self._comments.untold, self._truncated,
        )  # fmt: skip

    def _interface_numbers(self, origins: Numbers) -> Numbers:
        """Numbers in the file; interfaces are announced as they come."""
        present, places = np.unique(origins, return_inverse=True)
        for origin in present.tolist():
            if origin not in self._numbers:
                self._numbers[origin] = self._announce(self._origins[origin])
        return np.array([self._numbers[origin] for origin in present.tolist()], np.int64)[places]

    def _announce(self, origin: Origin) -> int:
        self._rings.add(origin.ring_id)
        name = origin.interface or origin.ring
        where = f" of host {origin.host}" if self._several_hosts else ""
        return self._writer.add_interface(
            origin.link_type, name, f"ring {origin.ring}{where}, ring_id {origin.ring_id}"
        )

    def _passing(self, table: pa.Table) -> npt.NDArray[np.bool_]:
        origins = table.column("origin").to_numpy()
        passes = np.zeros(table.num_rows, bool)
        for origin in np.unique(origins).tolist():
            places = np.flatnonzero(origins == origin)
            rows = table.take(pa.array(places)) if len(places) < table.num_rows else table
            chosen = self._filters[self._origins[origin].link_type]
            passes[places] = chosen.matches(rows.column("frame").to_pylist(), rows.column("wire_len").to_pylist())
        return passes

    def _texts(self, table: pa.Table, stamps: Numbers) -> list[str]:
        texts = [""] * table.num_rows
        places, sequences = (table.column(name).to_numpy() for name in ("ring_place", "ring_seq"))
        origins = table.column("origin").to_numpy()
        for rows in _rows_by_ring(places):
            ring_id = self._origins[int(origins[rows[0]])].ring_id
            for at, text in self._comments.of(ring_id, sequences[rows], stamps[rows]).items():
                texts[int(rows[at])] = text
        return texts


def _rows_by_ring(places: Numbers) -> Iterator[Numbers]:
    for place in np.unique(places):
        yield np.flatnonzero(places == place)
