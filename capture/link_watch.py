"""Watches the links that feed a ring: outages that began or ended since the last look, also those between two looks.

Reads /sys/class/net/IF; needs no privilege and costs some microseconds. An interface that was never seen, as one of
another network namespace, is never told of.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from nanotape.capture.interface_state import interface_index, is_running

SYSFS = Path("/sys/class/net")

Cause = Literal["carrier", "down", "gone", "replaced"]
"""No carrier; set down on this host; the interface is away; there is another of its name."""

_IFF_UP = 1


@dataclass(frozen=True, slots=True)
class LinkState:
    """One interface at one moment."""

    index: int
    """Which no other interface of the namespace ever gets; 0: there is none of this name."""
    is_up: bool = False
    """Frames can come in."""
    is_set_up: bool = True
    """False: somebody on this host has set it down."""
    carrier_changes: int | None = None
    """Carrier lost and carrier found, since it was made; None: not to be learned."""
    operstate: str | None = None
    """As the kernel calls its state (RFC 2863); None: not to be learned."""


@dataclass(frozen=True, slots=True)
class LinkOutage:
    """A time in which an interface received nothing. It lies between the two stamps, which are those of looks."""

    interface: str
    ts_start_ns: int
    """UTC: the last look that found it up; of an outage that the first look found, that look."""
    ts_end_ns: int | None
    """UTC: the look that found it up again; None: it goes on."""
    cause: Cause
    outages: int | None = 1
    """How often it went away between the stamps, at least; None: unknown."""
    operstate: str | None = None
    """While it was away."""

    @property
    def is_over(self) -> bool:
        """Whether frames can come in again."""
        return self.ts_end_ns is not None

    @property
    def needs_new_sockets(self) -> bool:
        """Sockets, joins and the XDP program went with the old interface: they do not come back by themselves."""
        return self.cause in ("gone", "replaced")

    @property
    def detail(self) -> str:
        """One line, which names the interface first."""
        why = {
            "carrier": "no carrier" if self.operstate is None else f"no carrier ({self.operstate})",
            "down": "set down on this host",
            "gone": "the interface is gone",
            "replaced": "the interface was removed, and another of its name is there",
        }[self.cause]
        if not self.is_over:
            return f"{self.interface}: link down: {why}"
        times = f", {self.outages} times" if self.outages is not None and self.outages > 1 else ""
        return f"{self.interface}: link was down{times}: {why}"


def read_link(interface: str, sysfs: Path = SYSFS) -> LinkState:
    """Asks the kernel.

    Args:
        interface: Its name.
        sysfs: Where interfaces are listed; it may show those of another network namespace, which are not ours.
    """
    index = interface_index(interface)
    folder = sysfs / interface
    if index == 0:
        return LinkState(0)
    if _read(folder / "ifindex") != str(index):
        return LinkState(index, is_running(interface))
    flags = _read(folder / "flags")
    changes = _read(folder / "carrier_changes")
    return LinkState(
        index=index,
        is_up=_read(folder / "carrier") == "1",  # cannot be read while it is set down
        is_set_up=flags is None or bool(int(flags, 16) & _IFF_UP),
        carrier_changes=int(changes) if changes is not None else None,
        operstate=_read(folder / "operstate"),
    )


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").strip()  # ascii would be loaded now: too late for a recorder
    except OSError:
        return None


class LinkWatch:
    """Looks at some interfaces whenever `look` is called."""

    def __init__(
        self,
        interfaces: Iterable[str],
        clock: Callable[[], int] = time.time_ns,
        read: Callable[[str], LinkState] = read_link,
    ) -> None:
        """Looks once, so that what befalls them from now on is seen.

        Args:
            interfaces: Their names.
            clock: UTC, nanoseconds.
            read: Asks for the state of one.
        """
        self._clock = clock
        now_ns = clock()
        self._links = [_Link(name, read, now_ns) for name in dict.fromkeys(interfaces)]

    def look(self) -> list[LinkOutage]:
        """What has changed since the last look: outages that have begun, and those that are over."""
        now_ns = self._clock()
        return [outage for link in self._links for outage in link.look(now_ns)]

    @property
    def down(self) -> tuple[LinkOutage, ...]:
        """Outages that went on at the last look."""
        return tuple(link.outage for link in self._links if link.outage is not None)


class _Link:
    """One interface, and what the last look at it found."""

    def __init__(self, name: str, read: Callable[[str], LinkState], now_ns: int) -> None:
        self._name, self._read = name, read
        state = read(name)
        self._before = state if state.is_up else None  # one that is down is told of by the first look
        self._index = state.index
        self._up_ns = now_ns if state.is_up else None
        self.outage: LinkOutage | None = None

    def look(self, now_ns: int) -> list[LinkOutage]:
        before, state = self._before, self._read(self._name)
        if before is None and state.index == 0:
            return []
        told = self._compare(before, state, now_ns)
        self._before, self._index = state, state.index or self._index
        if state.is_up:
            self._up_ns = now_ns
        return told

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
