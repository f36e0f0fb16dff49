"""The books: every packet accounted for by stage, from the counters in a ring's descriptor.

Each equation compares numbers that different hands count; what does not fit is `unexplained`, never rounded away.
Counters that a kind of source does not have are None and take no part.
"""

from dataclasses import dataclass

from nanotape.capture.counters import SourceCounters
from nanotape.capture.errors import RingError
from nanotape.capture.ring import Ring
from nanotape.native import ffi, lib


@dataclass(frozen=True, slots=True)
class SourceBooks:
    """One source, from the wire to the ring, in packets since the ring was made."""

    name: str
    interface: str
    offered: int | None
    """afxdp: judged by the XDP program; packet: passed the kernel's filter, drops included; pcap: read from the file;
    synthetic: made. None: not known (a socket sees only what it gets)."""
    passed_unmatched: int | None
    """Left to the kernel: not selected."""
    passed_no_socket: int | None
    """Left to the kernel: selected, but nobody captured on that queue."""
    redirected: int | None
    rx_dropped: int | None
    """Lost: no free frame, or it did not fit."""
    rx_ring_full: int | None
    """Lost: the loop was too slow."""
    socket_drops: int | None
    """Lost: the socket's buffer was full."""
    lost_with_holder: int | None
    unselected: int
    """Left out by the capture process: not selected. No loss."""
    oversize: int
    """Lost: larger than the ring's largest record."""
    waiting: int | None
    """In the RX ring, or the packet socket's, at the moment of counting."""
    in_ring: int
    unexplained: int
    """What the equations leave over; 0 when the books balance."""

    @property
    def lost(self) -> int:
        """All that this host lost before the ring."""
        parts = (self.rx_dropped, self.rx_ring_full, self.socket_drops, self.lost_with_holder, self.oversize)
        return sum(part or 0 for part in parts)


@dataclass(frozen=True, slots=True)
class RingBooks:
    """All sources of a ring, and the ring's own count."""

    ring: str
    sources: tuple[SourceBooks, ...]
    in_ring: int
    """Records that the sources say they put into it."""
    last_seq: int
    """Newest ring sequence: the ring's own count of them."""

    @property
    def lost(self) -> int:
        """All that this host lost before the ring."""
        return sum(source.lost for source in self.sources)

    @property
    def unexplained(self) -> int:
        """Sum of what is unexplained, sources and ring."""
        return sum(abs(source.unexplained) for source in self.sources) + abs(self.last_seq - self.in_ring)


def source_books(source: SourceCounters) -> SourceBooks:
    """The books of one source."""
    loop, stats = source.loop, source.stats
    offered = stats.xdp_seen if source.kind == "afxdp" else stats.offered
    came_in = stats.xdp_redirected if source.kind == "afxdp" else offered
    unexplained = 0
    if source.kind == "afxdp" and came_in is not None:
        passed = (stats.xdp_passed_unmatched or 0) + (stats.xdp_passed_no_socket or 0)
        unexplained += abs((offered or 0) - passed - came_in)
    if came_in is not None:
        before = (stats.rx_dropped, stats.rx_ring_full, stats.socket_drops, stats.rx_occupancy, stats.lost_with_holder)
        taken = loop.packets + loop.oversize + loop.unselected
        unexplained += abs(came_in - taken - sum(count or 0 for count in before))
    return SourceBooks(
        name=source.name,
        interface=source.interface,
        offered=offered,
        passed_unmatched=stats.xdp_passed_unmatched,
        passed_no_socket=stats.xdp_passed_no_socket,
        redirected=stats.xdp_redirected,
        rx_dropped=stats.rx_dropped,
        rx_ring_full=stats.rx_ring_full,
        socket_drops=stats.socket_drops,
        lost_with_holder=stats.lost_with_holder,
        unselected=loop.unselected,
        oversize=loop.oversize,
        waiting=stats.rx_occupancy,
        in_ring=loop.packets,
        unexplained=unexplained,
    )


def ring_books(ring: Ring) -> RingBooks:
    """The books of a ring, exact while nothing moves: when the capture has ended or the wire is quiet.

    Raises:
        RingError: The ring cannot be read.
    """
    last_seq = _last_seq(ring)
    sources = tuple(source_books(source) for source in ring.sources())
    return RingBooks(ring.name, sources, sum(source.in_ring for source in sources), last_seq)


def _last_seq(ring: Ring) -> int:
    """As a reader that begins with what comes next finds it; one of Python's own would load all that makes tables."""
    fault, reader = ffi.new("struct nt_fault *"), ffi.new("struct nt_reader *")
    if lib.nt_reader_init(reader, ring.handle, lib.NT_RESUME_QUARTER, fault):
        raise RingError(ffi.string(fault.text).decode("utf-8", "replace"))
    try:
        if lib.nt_reader_seek(reader, lib.NT_START_LATEST, 0):
            raise RingError(f"{ring.name}: its newest record cannot be found; look again, or see nanotape doctor")
        return (int(reader.next_seq) or 1) - 1
    finally:
        lib.nt_reader_free(reader)
