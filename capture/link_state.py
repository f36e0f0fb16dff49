"""One interface that feeds a ring, at one moment: whether frames can come in, what it is called, who filters it.

Reads /sys/class/net/IF and asks by rtnetlink; needs no privilege and costs some tens of microseconds.
"""

from dataclasses import dataclass
from pathlib import Path

from nanotape.capture.interface_facts import interface_facts
from nanotape.capture.interface_state import interface_index, is_running

SYSFS = Path("/sys/class/net")

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
    xdp_id: int | None = None
    """Of the XDP program that is attached; 0: none; None: not to be learned."""
    addresses: tuple[str, ...] | None = None
    """IPv4, with the length of their prefix; None: not to be learned."""


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
    facts = interface_facts(index)
    xdp_id, addresses = (facts.xdp_id, facts.addresses) if facts else (None, None)
    if _read(folder / "ifindex") != str(index):
        return LinkState(index, is_running(interface), xdp_id=xdp_id, addresses=addresses)
    flags = _read(folder / "flags")
    changes = _read(folder / "carrier_changes")
    return LinkState(
        index=index,
        is_up=_read(folder / "carrier") == "1",  # cannot be read while it is set down
        is_set_up=flags is None or bool(int(flags, 16) & _IFF_UP),
        carrier_changes=int(changes) if changes is not None else None,
        operstate=_read(folder / "operstate"),
        xdp_id=xdp_id,
        addresses=addresses,
    )


def name_of(index: int) -> str:
    """What the interface of a number is called now; empty: there is none."""
    facts = interface_facts(index)
    return facts.name if facts else ""


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").strip()  # ascii would be loaded now: too late for a recorder
    except OSError:
        return None
