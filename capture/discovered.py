"""What was found on an interface, as facts of one moment: which flows arrive, how fast, how large, how they begin."""

from dataclasses import asdict, dataclass
from typing import Any

from nanotape.capture.framing_guess import FramingGuess


@dataclass(frozen=True, slots=True)
class DiscoveredFlow:
    """All packets of one (VLANs, source, group, port)."""

    source: str
    group: str
    """Where the packets go; a unicast address only where unicast was asked for."""
    port: int
    """UDP destination port."""
    vlan: int | None
    """Outermost 802.1Q id, as a configured line names it; None: untagged, or priority-tagged."""
    inner_vlan: int | None
    """Id of a second tag; None: there is none."""
    packets: int
    bytes: int
    """Of whole frames, as `smallest` and `largest` are."""
    rate_pps: float
    """Packets a second, over the last second."""
    mean_pps: float
    """Packets a second, over all the time."""
    bytes_per_second: float
    """Over the last second."""
    smallest: int
    largest: int
    payload_bytes: int
    """Of the first packet."""
    first_bytes: str
    """Beginning of the first packet's payload, 32 bytes at most; hexadecimal."""
    first_ns: int
    """UTC, nanoseconds since 1970."""
    last_ns: int
    framing: FramingGuess | None = None
    """What the first packets' headers look like; None: not clear, or not looked at."""


@dataclass(frozen=True, slots=True)
class Discovered:
    """What was found so far."""

    interface: str
    seconds: float
    """How long it listened."""
    select: str
    """`multicast`, or `udp`: unicast too."""
    flows: tuple[DiscoveredFlow, ...]
    """The busiest of the last second first."""
    flow_count: int
    """How many there are, should `flows` be the busiest of them only."""
    packets: int
    """All that were looked at: those of the flows and of the four counts that follow."""
    unparsed: int
    """Frames to a group whose headers cannot be read."""
    fragments: int
    """Later IP fragments, which name no port."""
    filtered: int
    """Left out by a filter of groups and ports."""
    not_kept: int
    """Of flows beyond the 65,536 that are told apart."""
    dropped: int | None
    """By the kernel, since this process was too slow: rates are too low then, flows may be missing. None: unknown."""
    unselected: int
    """Neither multicast UDP nor what may be: they came through the kernel's filter and were left out."""
    xdp_program: bool
    """An XDP program is on the interface: what it takes is not seen here."""

    def as_json(self) -> dict[str, Any]:
        """Everything, as `nanotape discover --json` prints it."""
        return asdict(self)
