"""What following a feed's sequences finds."""

from dataclasses import dataclass

KINDS = ("gap", "reorder", "late", "duplicate", "reset", "session", "end")
"""By code: `enum nt_finding_kind`."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One of them."""

    kind: str
    """gap: missing for longer than the window; reorder: came late, within it; late: fills a gap that was told;
    duplicate; reset; session: a new one; end: of the session."""
    stream: int
    """Index in the decoder, for as long as that lives."""
    flow_id: int
    session: str | None
    key: str | None
    session_before: str | None
    """Of a new session: the one before it."""
    seq_first: int
    seq_last: int
    """Of a reset: the sequence it jumped to."""
    packets: int
    messages: int
    """Missing, filled or doubled."""
    ts_before_ns: int
    """UTC: the packet before; of what came late: when it was missed."""
    ts_ns: int
    """UTC: the packet that showed it."""
    ring_seq_before: int
    ring_seq: int
    flow_lost: int | None
    """Packets of the flow lost after XDP between the two; None: unknown."""
    ring_lost: int
    """Records of the ring, of any flow, lost between the two."""

    @property
    def feed_key(self) -> str | None:
        """What the sequences belong to: session/key."""
        return "/".join(each for each in (self.session, self.key) if each) or None
