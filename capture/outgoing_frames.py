"""What a replay sends of what was recorded: Ethernet frames, rewritten as asked, and a count of what cannot be sent."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from nanotape.capture.frame_rewriting import FrameRewriting, as_ethernet

Recorded = Sequence[tuple[int, int, int, bytes]]
"""Stamp (UTC, nanoseconds), LINKTYPE_*, bytes on the wire, and the frame."""


class OutgoingFrames:
    """Makes chunks of a replay from what is recorded."""

    def __init__(self, recorded: Callable[[], Iterable[Recorded]], rewriting: FrameRewriting, mac: bytes) -> None:
        """Reads nothing yet.

        Args:
            recorded: Gives the frames, from the first on at each call.
            rewriting: Of their addresses.
            mac: The sender in Ethernet headers that have to be made.
        """
        self._recorded, self._rewriting, self._mac = recorded, rewriting, mac
        self.without_ethernet = 0
        """Frames that were left out: they have another header than Ethernet's, and cannot be given one."""

    def chunks(self) -> Iterator[list[tuple[int, bytes]]]:
        """The frames to send, from the first on."""
        self.without_ethernet = 0
        for recorded in self._recorded():
            chunk = []
            for ts_ns, link_type, _, frame in recorded:
                sent = as_ethernet(link_type, frame, self._mac)
                if sent is None:
                    self.without_ethernet += 1
                else:
                    chunk.append((ts_ns, self._rewriting.rewrite(sent)))
            yield chunk
