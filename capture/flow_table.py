"""A ring's flow table at hand: the flow of an id, looked up anew when a record names one that was not there before."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from nanotape.capture.counters import Flow

OTHER_CHANNEL = "other"
"""The channel of what was selected and belongs to no flow."""


class HasFlows(Protocol):
    """What is needed of `nanotape.capture.Ring`."""

    def flows(self) -> Sequence[Flow]:
        """The flow table; it only ever grows."""


class FlowTable:
    """The flows of one ring."""

    def __init__(self, ring: HasFlows) -> None:
        """Reads the table."""
        self._ring = ring
        self._flows = {flow.id: flow for flow in ring.flows()}

    def get(self, flow_id: int) -> Flow | None:
        """The flow; None for what belongs to none."""
        return self._flows.get(flow_id)

    def all(self) -> tuple[Flow, ...]:
        """All that are known."""
        return tuple(self._flows.values())

    def refresh(self, flow_ids: Iterable[int]) -> bool:
        """Reads the table again when one of these ids is not known; returns whether it did."""
        if all(flow_id == 0 or flow_id in self._flows for flow_id in flow_ids):
            return False
        self._flows = {flow.id: flow for flow in self._ring.flows()}
        return True
