"""Watches the links that feed a ring: outages that began or ended since the last look, also those between two looks.

An interface is followed by its number: one that is renamed goes on. One that was never seen, as one of another
network namespace, is never told of.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from nanotape.capture.link_outage import Cause, LinkOutage
from nanotape.capture.link_state import LinkState, name_of, read_link
from nanotape.capture.program_watch import ProgramWatch

__all__ = ["LinkOutage", "LinkState", "LinkWatch", "read_link"]


class LinkWatch:
    """Looks at some interfaces whenever `look` is called."""

    def __init__(
        self,
        interfaces: Iterable[str],
        clock: Callable[[], int] = time.time_ns,
        read: Callable[[str], LinkState] = read_link,
        *,
        name_of: Callable[[int], str] = name_of,
        opened: object = None,
    ) -> None:
        """Looks once, so that what befalls them from now on is seen.

        Args:
            interfaces: Their names.
            clock: UTC, nanoseconds.
            read: Asks for the state of one.
            name_of: Asks what the interface of a number is called.
            opened: See `look`.
        """
        self._clock = clock
        now_ns = clock()
        self._links = [_Link(name, read, name_of, now_ns, opened) for name in dict.fromkeys(interfaces)]

    def look(self, opened: object = None) -> list[LinkOutage]:
        """What has changed since the last look: outages that have begun, and those that are over.

        Args:
            opened: Names the last opening of all that packets come in by: the XDP programs of then are ours. None:
                there are none, or nobody captures, and none is missed.
        """
        now_ns = self._clock()
        return [outage for link in self._links for outage in link.look(now_ns, opened)]

    def handed_over(self) -> None:
        """The XDP programs that the next look finds are ours."""
        for link in self._links:
            link.xdp.handed_over()

    @property
    def down(self) -> tuple[LinkOutage, ...]:
        """Outages that went on at the last look: nothing comes in."""
        return tuple(each for link in self._links for each in (link.outage, link.xdp.outage) if each is not None)

    @property
    def renamed(self) -> tuple[LinkOutage, ...]:
        """Those that have another name, as of the last look."""
        return tuple(link.renamed for link in self._links if link.renamed is not None)


class _Link:
    """One interface, and what the last look at it found."""

    def __init__(
        self,
        name: str,
        read: Callable[[str], LinkState],
        name_of: Callable[[int], str],
        now_ns: int,
        opened: object,
    ) -> None:
        self._name, self._read, self._name_of = name, read, name_of
        state = read(name)
        self._before = state if state.is_up else None  # one that is down is told of by the first look
        self._index, self._addresses = state.index, state.addresses
        self._up_ns = now_ns if state.is_up else None
        self._looked_ns = now_ns
        self.outage: LinkOutage | None = None
        self.renamed: LinkOutage | None = None
        self.xdp = ProgramWatch(name, state, now_ns, opened)

    def look(self, now_ns: int, opened: object) -> list[LinkOutage]:
        before, (state, called) = self._before, self._find()
        if before is None and state.index == 0:
            return []
        told = self._compare(before, state, now_ns)
        told += [*self._look_at_name(called, now_ns), *self._look_at_addresses(state, now_ns)]
        told += self.xdp.look(state, now_ns, opened)
        self._before, self._index = state, state.index or self._index
        self._looked_ns = now_ns
        if state.is_up:
            self._up_ns = now_ns
        return told

    def _find(self) -> tuple[LinkState, str]:
        """The state, and the other name that the interface has by now; empty: it has its own, or is away."""
        state = self._read(self._name)
        called = self._name_of(self._index) if state.index == 0 and self._index else ""
        other = self._read(called) if called else state
        return (other, called) if other.index == self._index else (state, "")

    def _look_at_name(self, called: str, now_ns: int) -> list[LinkOutage]:
        was = self.renamed
        if called == (was.other if was else ""):
            return []
        told = [replace(was, ts_end_ns=now_ns)] if was and not called else []
        start_ns = was.ts_start_ns if was else self._looked_ns
        self.renamed = LinkOutage(self._name, start_ns, None, "renamed", other=called) if called else None
        return told + ([self.renamed] if self.renamed else [])

    def _look_at_addresses(self, state: LinkState, now_ns: int) -> list[LinkOutage]:
        """Those of another interface are no change; nor are those that cannot be learned."""
        before, self._addresses = self._addresses, state.addresses
        if before is None or state.addresses in (None, before) or state.index != self._index:
            return []
        words = [", ".join(each) or "none" for each in (before, state.addresses or ())]
        return [LinkOutage(self._name, self._looked_ns, now_ns, "address", other=" -> ".join(words))]

    def _compare(self, before: LinkState | None, state: LinkState, now_ns: int) -> list[LinkOutage]:
        is_other = self._index not in (0, state.index) and state.index != 0
        changes = _more(before, state)
        if self.outage is not None:
            return self._follow(self.outage, state, now_ns, changes, is_other=is_other)
        if state.is_up and not is_other and changes < 2:
            return []
        cause: Cause = "replaced" if is_other else "carrier" if state.is_up else _cause(state)
        outage = LinkOutage(
            interface=self._name,
            ts_start_ns=now_ns if self._up_ns is None else self._up_ns,
            ts_end_ns=now_ns if state.is_up else None,
            cause=cause,
            outages=None if is_other else max(1, (changes + 1) // 2),
            operstate=None if state.is_up else state.operstate,
        )
        self.outage = None if state.is_up else outage
        return [outage]

    def _follow(
        self, outage: LinkOutage, state: LinkState, now_ns: int, changes: int, *, is_other: bool
    ) -> list[LinkOutage]:
        """An outage that goes on: why it does may change, and once it is known to be over it is told again."""
        times = None if is_other or outage.outages is None else outage.outages + changes // 2
        cause = outage.cause
        if is_other:
            cause = "replaced"
        elif state.index == 0:
            cause = "gone"
        outage, was = replace(outage, cause=cause, outages=times), outage
        if state.is_up:
            self.outage = None
            return [replace(outage, ts_end_ns=now_ns)]
        self.outage = outage
        return [outage] if outage.cause != was.cause else []


def _cause(state: LinkState) -> Cause:
    if state.index == 0:
        return "gone"
    return "carrier" if state.is_set_up else "down"


def _more(before: LinkState | None, after: LinkState) -> int:
    """How often the carrier went or came between two looks; 0 where that is not known."""
    if before is None or before.index != after.index:
        return 0
    if before.carrier_changes is None or after.carrier_changes is None:
        return 0
    return max(0, after.carrier_changes - before.carrier_changes)
