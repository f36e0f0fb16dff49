"""What was found in the sequences of a feed, on its way to an event: facts of `nanotape.capture.feeds`, kept here.

They outlive the process that found them: what is not told yet is saved with the decoder's state.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol, Self

import pyarrow as pa

LOST = "gap"


@dataclass(frozen=True, slots=True)
class Found:
    """One finding; each field as in `nanotape.capture.feeds.findings.Finding`."""

    kind: str
    stream: int
    """-1: of a decoder that is gone."""
    flow_id: int
    session: str | None
    key: str | None
    session_before: str | None
    seq_first: int
    seq_last: int
    packets: int
    messages: int
    ts_before_ns: int
    ts_ns: int
    ring_seq_before: int
    ring_seq: int
    flow_lost: int | None
    ring_lost: int

    @classmethod
    def of(cls, finding: Any) -> Self:
        """A copy of a decoder's."""
        return cls(**{each.name: getattr(finding, each.name) for each in fields(cls)})

    @property
    def feed_key(self) -> str | None:
        """What the sequences belong to: session/key."""
        return "/".join(each for each in (self.session, self.key) if each) or None


class DecodedFeeds(Protocol):
    """One batch of packets, decoded."""

    @property
    def columns(self) -> Mapping[str, pa.Array]:
        """Columns of `packets` by name."""

    @property
    def flow_ids(self) -> Any:
        """An array of each packet's."""

    @property
    def first(self) -> Any:
        """An array of a number for each packet, once it is tracked: 1 first line to bring it, 0 not, 2 unknown."""


class FeedSource(Protocol):
    """What a recorder needs of `nanotape.capture.feeds.FeedDecoder`."""

    @property
    def unknown(self) -> Mapping[str, str]:
        """Channels whose framing is not known, and its name."""

    @property
    def untracked(self) -> int:
        """Packets of more sessions and keys than there is room for: not followed."""

    def set_flows(self, flows: Sequence[Any]) -> None:
        """Says what the ring's flows are."""

    def decode(self, batch: pa.RecordBatch) -> DecodedFeeds:
        """What the headers of a reader's batch say."""

    def left_out(self, batch: pa.RecordBatch) -> None:
        """Takes a batch of which only the packets of flows come to `decode`."""

    def track(self, decoded: Any) -> Sequence[Any]:
        """Follows the sequences of a batch, once, in order."""

    def expire(self, now_ns: int) -> Sequence[Any]:
        """What has been missing for too long."""

    def covered_by(self, finding: Any) -> tuple[str | None, bool]:
        """The other line that brought a gap, and whether one still may."""

    def switches(self) -> Sequence[Mapping[str, Any]]:
        """Facts of the stamps of each interface's switch."""

    def complaints(self) -> Mapping[str, str]:
        """By interface: what is wrong with the stamps of its switch."""

    def lines(self) -> Sequence[Any]:
        """Facts of each flow."""

    def save(self, ring_id: str, ring_seq: int) -> bytes:
        """All that it knows."""

    def restore(self, state: bytes, ring_id: str) -> int | None:
        """Goes on with what another knew; the ring sequence up to which it did, None where it knew another ring."""

    def forget(self) -> None:
        """Follows each sequence anew from its next packet on."""

    def replay(self, rows: pa.RecordBatch) -> Sequence[Any]:
        """Follows packets that were recorded before this process began."""
