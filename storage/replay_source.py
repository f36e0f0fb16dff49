"""The frames of a replay: chosen of an archive, or of a capture file, in the order in which they came.

Frames that were cut short are left out and counted: what was not recorded cannot be sent.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nanotape.storage.frame_stream import FrameChoice, frame_stream
from nanotape.storage.packet_filter import PacketFilter
from nanotape.storage.pcap_reading import ReadFrame, read_frames
from nanotape.storage.reader import open_archive

Chunk = list[ReadFrame]


@dataclass(slots=True)
class ReplaySource:
    """An archive, or a capture file; read anew by each call of `chunks`."""

    paths: Sequence[str]
    """Archives or globs, or capture files, which follow each other as their stamps say."""
    choice: FrameChoice
    """Of a capture file only its start and end count."""
    filter_text: str | None = None
    """A filter as tcpdump takes it."""
    truncated: int = 0
    """Frames that were left out as cut short, the last time."""

    @property
    def is_archive(self) -> bool:
        """Whether it is one."""
        return not any(Path(path).is_file() for path in self.paths)

    def chunks(self, rows: int) -> Iterator[Chunk]:
        """The frames.

        Args:
            rows: How many there are in one at most.

        Raises:
            StorageError: One of them cannot be read, or the choice or the filter is none.
        """
        self.truncated = 0
        found = self._of_archive(rows) if self.is_archive else self._of_files(rows)
        filters: dict[int, PacketFilter] = {}
        for chunk in found:
            whole = [each for each in chunk if each.wire_length <= len(each.frame)]
            self.truncated += len(chunk) - len(whole)
            yield whole if self.filter_text is None else list(self._passing(whole, filters, self.filter_text))

    def _of_archive(self, rows: int) -> Iterator[Chunk]:
        stream = frame_stream(open_archive(self.paths), self.choice)
        link_types = {number: origin.link_type for number, origin in stream.origins.items()}
        for table in stream.moderate_tables():
            for batch in table.to_batches(max_chunksize=rows):
                stamps, lengths, frames = (batch.column(name).to_pylist() for name in ("ts", "wire_len", "frame"))
                kinds = (link_types[number] for number in batch.column("origin").to_pylist())
                yield list(map(ReadFrame, stamps, kinds, lengths, frames))

    def _of_files(self, rows: int) -> Iterator[Chunk]:
        start_ns, end_ns = self.choice.selection.start_ns, self.choice.selection.end_ns
        frames: Iterable[ReadFrame] = itertools.chain.from_iterable(read_frames(Path(path)) for path in self.paths)
        if start_ns is not None or end_ns is not None:
            frames = (
                each
                for each in frames
                if (start_ns is None or each.ts_ns >= start_ns) and (end_ns is None or each.ts_ns < end_ns)
            )
        remaining = iter(frames)
        while chunk := list(itertools.islice(remaining, rows)):
            yield chunk

    def _passing(self, chunk: Chunk, filters: dict[int, PacketFilter], text: str) -> Iterator[ReadFrame]:
        for link_type, group in itertools.groupby(chunk, key=lambda each: each.link_type):
            frames = list(group)
            if link_type not in filters:
                filters[link_type] = PacketFilter(text, link_type)
            passes = filters[link_type].matches([each.frame for each in frames], [each.wire_length for each in frames])
            yield from itertools.compress(frames, passes)
