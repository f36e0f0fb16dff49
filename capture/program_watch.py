"""Whether the XDP program of an interface is still the one that was there when it was opened.

Ours can be detached, and another one attached in its place, while link and sockets look as ever: nothing comes in then.
"""

from dataclasses import replace

from nanotape.capture.link_outage import LinkOutage
from nanotape.capture.link_state import LinkState


class ProgramWatch:
    """Of one interface. What a single look finds is not told: programs change while all is opened anew."""

    def __init__(self, interface: str, state: LinkState, now_ns: int, opened: object) -> None:
        """Takes the program that is there for the right one.

        Args:
            interface: Its name.
            state: As it is now.
            now_ns: UTC.
            opened: Names the opening; None: nobody captures.
        """
        self._interface, self._index, self._opened = interface, state.index, opened
        self._expected = None if opened is None else state.xdp_id
        self._fine_ns = now_ns
        self._is_suspect = self._is_handed_over = False
        self.outage: LinkOutage | None = None

    def handed_over(self) -> None:
        """What the next look finds, if any, is the right one: it took the last one's place without a gap."""
        self._is_handed_over = self._expected is not None

    def look(self, state: LinkState, now_ns: int, opened: object) -> list[LinkOutage]:
        """What is to be told: it is not the right one, or it is again.

        Args:
            state: As it is now.
            now_ns: UTC.
            opened: Names the opening; None: nobody captures, and nothing is missed.
        """
        if state.index != self._index:  # all there was went with the other interface
            self._index, self._expected = state.index, None
        if self._is_handed_over:
            self._is_handed_over, self._expected = False, state.xdp_id or self._expected
        if opened != self._opened:
            return self._open(state, now_ns, opened)
        if self._expected is None or state.xdp_id in (None, self._expected):
            return self._is_fine(now_ns)
        was, self._is_suspect = self._is_suspect, True
        outage = LinkOutage(self._interface, self._fine_ns, None, "xdp", xdp_id=state.xdp_id)
        if not was or outage == self.outage:
            return []
        self.outage = outage
        return [outage]

    def _open(self, state: LinkState, now_ns: int, opened: object) -> list[LinkOutage]:
        """Another program is the right one: on the same interface ours was away, however short that was."""
        is_away = None not in (self._opened, opened, self._expected) and state.xdp_id != self._expected
        if is_away and self.outage is None:
            self.outage = LinkOutage(self._interface, self._fine_ns, None, "xdp", xdp_id=0)
        self._opened, self._expected = opened, None if opened is None else state.xdp_id
        return self._is_fine(now_ns)

    def _is_fine(self, now_ns: int) -> list[LinkOutage]:
        outage, self.outage = self.outage, None
        self._fine_ns, self._is_suspect = now_ns, False
        return [replace(outage, ts_end_ns=now_ns)] if outage else []
