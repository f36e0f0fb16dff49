"""Findings in feeds as events."""

from collections.abc import Mapping
from typing import Any

from nanotape.storage.events import Cause, Event, Severity
from nanotape.storage.feed_attribution import Blame
from nanotape.storage.feed_findings import Found
from nanotape.storage.packets import RingFacts

_KINDS = {
    "gap": "feed_gap",
    "reorder": "reorder",
    "late": "reorder",
    "duplicate": "duplicate",
    "reset": "feed_reset",
    "session": "session",
    "end": "session",
}
FEED_KINDS = tuple(dict.fromkeys(_KINDS.values()))
"""Kinds of events that follow from the sequences of feeds."""


def kind_of(found: Found) -> str:
    """The kind of event that tells of a finding."""
    return _KINDS[found.kind]


class FeedEvents:
    """Of one ring."""

    def __init__(self, ring: RingFacts, flows: Mapping[int, Any]) -> None:
        """`flows` by id may grow."""
        self._ring, self._flows = ring, flows

    def gap(self, gap: Found, blame: Blame, filled_by: str | None) -> Event:
        """What is missing, for good."""
        severity: Severity = "warning" if filled_by else "error"
        return self._event("feed_gap", gap, severity, blame, filled_by, blame.detail)

    def of(self, found: Found) -> Event:
        """What is out of order, doubled or begun anew."""
        severity: Severity = "warning" if found.kind in ("late", "reset") else "info"
        return self._event(_KINDS[found.kind], found, severity, None, None, _detail(found))

    def silence(self, flow_id: int, kind: str, start_ns: int, end_ns: int | None, detail: str) -> Event:
        """A line that brings nothing, or does again."""
        flow = self._flows[flow_id]
        return Event(
            kind,
            start_ns,
            end_ns,
            "info" if end_ns else "warning",
            *self._belonging(),
            feed=flow.feed or None,
            channel=flow.channel,
            line=flow.line,
            detail=detail,
        )

    def bad_stamps(self, at_ns: int, complaint: str) -> Event:
        """Stamps of a switch that cannot be used."""
        return Event("bad_stamp", at_ns, None, "warning", *self._belonging(), detail=complaint)

    def _belonging(self) -> tuple[str, str, str]:
        return self._ring.host, self._ring.name, self._ring.ring_id

    def _event(
        self,
        kind: str,
        found: Found,
        severity: Severity,
        blame: Blame | None,
        filled_by: str | None,
        detail: str | None,
    ) -> Event:
        flow = self._flows.get(found.flow_id)
        cause: Cause | None = blame.cause if blame else None
        return Event(
            kind,
            min(found.ts_before_ns or found.ts_ns, found.ts_ns),
            found.ts_ns,
            severity,
            *self._belonging(),
            feed=flow.feed if flow else None,
            channel=flow.channel if flow else None,
            line=flow.line if flow else None,
            feed_key=found.feed_key,
            stage=blame.stage if blame else None,
            cause=cause,
            filled_by=filled_by,
            seq_kind="feed",
            seq_first=found.seq_first,
            seq_last=found.seq_last,
            packets_lost=blame.packets if blame else None,
            messages_lost=found.messages if blame else None,
            detail=detail,
        )


def _detail(found: Found) -> str | None:
    late_ms = (found.ts_ns - found.ts_before_ns) / 1e6
    if found.kind == "reorder":
        return f"{found.messages} messages came {late_ms:.3f} ms after what follows them"
    if found.kind == "late":
        return f"{found.messages} messages of a gap that was told came after all, {late_ms:.3f} ms late"
    if found.kind == "duplicate":
        return f"{found.messages} messages again, in {found.packets} packets"
    if found.kind == "reset":
        return f"expected sequence {found.seq_first}, begun anew with {found.seq_last}"
    if found.kind == "session":
        return f"session {found.session} after {found.session_before}"
    return f"end of session {found.session or ''}".rstrip()
