"""The listeners of a running service, as log and state tell of them: who goes blind, by the flow that they share."""

from collections.abc import Callable
from pathlib import Path

from nanotape.capture.counters import Flow
from nanotape.capture.errors import RingError
from nanotape.capture.listeners import Listener, ListenerWatch
from nanotape.capture.ring import Ring


class ServiceListeners:
    """What a service knows of them."""

    def __init__(self, watch: ListenerWatch, ring: str, shm_directory: Path, log: Callable[[str], None]) -> None:
        """Looks at nothing yet.

        Args:
            watch: Looks for them.
            ring: Its name, for its flow table.
            shm_directory: Where it is.
            log: Takes one line for each listener.
        """
        self._watch, self._ring, self._shm, self._log = watch, ring, shm_directory, log

    @property
    def wait_s(self) -> float:
        """How long there is nothing to do."""
        return self._watch.wait_s

    def look(self) -> tuple[list[str], list[str]] | None:
        """Lines of those that are new, which are told, and of all that there are; None: nothing has changed."""
        known = self._watch.known
        found = self._watch.look()
        if self._watch.known == known:
            return None
        flows = self._flows()

        def told(listener: Listener) -> str:
            return listener.told(flows.get(listener.flow_id))

        new = [told(each) for each in found]
        for line in new:
            self._log(line)
        return new, [told(each) for each in self._watch.known]

    def _flows(self) -> dict[int, Flow]:
        """The ring's own table; empty when it cannot be read just now."""
        try:
            with Ring.open(self._ring, self._shm) as ring:
                return {flow.id: flow for flow in ring.flows()}
        except RingError:
            return {}

    def close(self) -> None:
        """Ends the look in hand. May be called twice."""
        self._watch.close()
