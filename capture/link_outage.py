"""What befell an interface that feeds a ring, as service, status and archive tell of it: one line each."""

from dataclasses import dataclass
from typing import Literal

Cause = Literal["carrier", "down", "gone", "replaced", "xdp", "renamed", "address"]
"""No carrier; set down on this host; the interface is away; there is another of its name; its XDP program is not the
one that was there; it has another name; it has other addresses."""

_HARMLESS = ("renamed", "address")


@dataclass(frozen=True, slots=True)
class LinkOutage:
    """A time in which an interface received nothing, or was not as it was. It lies between two looks."""

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
    xdp_id: int | None = None
    """Of cause `xdp`: the program that is there instead; 0: none."""
    other: str = ""
    """Of cause `renamed`: what it is called; of cause `address`: those before and after."""

    @property
    def is_over(self) -> bool:
        """Whether all is again as it was."""
        return self.ts_end_ns is not None

    @property
    def keeps_out(self) -> bool:
        """Whether nothing came in while it lasted."""
        return self.cause not in _HARMLESS

    @property
    def needs_new_sockets(self) -> bool:
        """Sockets, joins and the XDP program, or that alone, are away: they do not come back by themselves."""
        return self.cause in ("gone", "replaced") or (self.cause == "xdp" and self.xdp_id == 0)

    @property
    def severity(self) -> Literal["info", "warning", "error"]:
        """As an event."""
        if self.keeps_out:
            return "warning" if self.is_over else "error"
        return "info" if self.is_over else "warning"

    @property
    def detail(self) -> str:
        """One line, which names the interface first."""
        if self.cause == "address":
            return f"{self.interface}: its addresses have changed: {self.other}"
        if self.cause == "renamed":
            return f"{self.interface}: {self._renamed()}"
        why = self._why()
        if not self.is_over:
            return f"{self.interface}: link down: {why}"
        times = f", {self.outages} times" if self.outages is not None and self.outages > 1 else ""
        return f"{self.interface}: link was down{times}: {why}"

    def _renamed(self) -> str:
        if self.is_over:
            return f"has its name again; it was called {self.other}"
        return f"is called {self.other} now: captured all the same, but no start will find it; name it back"

    def _why(self) -> str:
        if self.cause == "xdp" and self.xdp_id:
            return f"another XDP program (id {self.xdp_id}) is attached; ours comes back when it goes"
        return {
            "carrier": "no carrier" if self.operstate is None else f"no carrier ({self.operstate})",
            "down": "set down on this host",
            "gone": "the interface is gone",
            "replaced": "the interface was removed, and another of its name is there",
            "xdp": "its XDP program was detached",
        }[self.cause]
